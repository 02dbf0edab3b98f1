"""Adam and AdamW on a CPU: torch's fused kernel without the grouping of parameters in each step.

The updates and the state are those of `torch.optim.Adam(fused=True)`, with the same bits and the same names.

See also: `optimizers.py`, which takes torch's own class on other devices and where the kernel is missing.
"""

from collections.abc import Iterable, MutableMapping, Sequence
from typing import Any

import torch
from torch import Tensor

from polylogit.system import torch_private

__all__ = ["HAS_KERNELS", "Adam", "moments"]

HAS_KERNELS = torch_private.FUSED_ADAM is not None and torch_private.FUSED_ADAMW is not None
"""Whether this version of torch has the private kernels; `optimizers.py` takes torch's own classes where it has not."""

_EPSILON = 1e-8


def moments(kept: MutableMapping[Tensor, dict[str, Tensor]], parameters: Sequence[Tensor]) -> list[dict[str, Tensor]]:
    """The state of Adam for each parameter, under torch's names: `step`, `exp_avg`, `exp_avg_sq`; zeros at the start.

    Args:
        kept: The state of an optimiser, which gets the new ones.
        parameters: The parameters.

    Returns:
        Their states, in their order.
    """
    states = [kept[parameter] for parameter in parameters]
    for state, parameter in zip(states, parameters, strict=True):
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
    return states


class Adam(torch.optim.Optimizer):
    """Adam, or AdamW where the decay stands apart from the gradient, of float32 parameters on a CPU.

    m <- b1 m + (1 - b1) g,  v <- b2 v + (1 - b2) g^2,  w <- w - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + 1e-8)

    Args:
        groups: Parameter groups with the keys `params` and `weight_decay`.
        lr: Learning rate.
        betas: b1 and b2.
        decoupled: Weights shrink by lr decay before the step, as AdamW has it; else the gradient is g + decay w.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor([1.0, -1.0]))
        >>> optimizer = Adam([{"params": [weight], "weight_decay": 0.0}], lr=0.5, betas=(0.9, 0.999), decoupled=True)
        >>> weight.square().sum().backward()
        >>> optimizer.step()
        >>> weight.tolist()
        [0.5000000596046448, -0.5000000596046448]

    Source: Kingma and Ba (2015), Adam, algorithm 1; Loshchilov and Hutter (2019), Decoupled Weight Decay
    Regularization, algorithm 2.
    """

    def __init__(
        self, groups: Iterable[dict[str, Any]], lr: float, betas: tuple[float, float], *, decoupled: bool
    ) -> None:
        super().__init__(groups, {"lr": lr, "betas": betas, "weight_decay": 0.0})
        kernel = torch_private.FUSED_ADAMW if decoupled else torch_private.FUSED_ADAM
        if kernel is None:
            raise RuntimeError("this version of torch lacks the fused kernels: take torch.optim.Adam or AdamW")
        self._kernel = kernel

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters, without the import of torch's compiler that its own method does first.

        That import takes two to three seconds, once in a process, and serves `torch.compile` alone. A version of torch
        whose method is not wrapped has no such import.
        """
        inherited = torch.optim.Optimizer.add_param_group
        getattr(inherited, "__wrapped__", inherited)(self, param_group)

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Take a step along the gradients."""
        for group in self.param_groups:
            moved = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not moved:
                continue
            states = moments(self.state, moved)
            steps = [state["step"] for state in states]
            torch_private.foreach_add(steps, 1)
            self._kernel(
                moved,
                [parameter.grad for parameter in moved],
                [state["exp_avg"] for state in states],
                [state["exp_avg_sq"] for state in states],
                [],
                steps,
                lr=group["lr"],
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                weight_decay=group["weight_decay"],
                eps=_EPSILON,
                amsgrad=False,
                maximize=False,
            )
