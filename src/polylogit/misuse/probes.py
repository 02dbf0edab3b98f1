"""Calls of a model that leave it unchanged: its mode, buffers, attributes, gradients and the random generators.

The probes:

- `scores()`: what comes out for the batch.
- `redrawn()`: what comes out for other parameters: what is still true then is the model's form, not its present state.
- `one_step()`: what comes out after a step against the gradient, "not trained yet" or "cannot be".
- `changed_rows(row)`: which rows of scores move when one row of inputs is changed.
- `on_larger_inputs()`, `takes_fewer_rows()`: what the scores are bounded by, and whether the model knows its rows.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from polylogit.misuse.kept_state import module_state_kept, random_state_kept, seed_all
from polylogit.system import torch_private

__all__ = ["SEED", "Probe", "redrawn_parameter"]

SEED = 20231
"""Of the random numbers that probes draw."""


class Probe:
    """A model and a batch of inputs, to be asked for scores.

    Args:
        model: An `nn.Module`, compiled or not, or any callable.
        inputs: A tensor, or a tuple or mapping of arguments.
        select: From what the model gives to the scores.
    """

    def __init__(
        self,
        model: Callable[..., Any],
        inputs: Any,  # noqa: ANN401 - whatever the model takes
        select: Callable[[Any], Any] = lambda output: output,
    ) -> None:
        self.model = _inner(model)
        self.inputs = inputs
        self.select = select
        self.parameters: dict[str, Tensor] = {}
        self.buffers: dict[str, Tensor] = {}
        if isinstance(self.model, nn.Module) and not isinstance(self.model, torch.jit.ScriptModule):
            self.parameters = {name: value.detach() for name, value in self.model.named_parameters()}
            self.buffers = {name: value.detach() for name, value in self.model.named_buffers()}

    @property
    def has_parameters(self) -> bool:
        """Whether there is anything to redraw."""
        return any(value.is_floating_point() and value.numel() for value in self.parameters.values())

    def scores(self) -> Tensor:
        """The scores of the batch, detached."""
        output: Tensor = self.output()
        return output

    def output(self) -> Any:  # noqa: ANN401 - whatever the model gives
        """What the model gives for the batch."""
        with torch.no_grad():
            return self.call(self.parameters, self.inputs)

    def redrawn_outputs(self) -> list[Any]:
        """What the model gives under two redrawn sets of parameters; fewer where the call fails."""
        generator, results = torch.Generator().manual_seed(SEED), []
        for size in (1.0, 4.0):
            parameters = {name: redrawn_parameter(value, size, generator) for name, value in self.parameters.items()}
            try:
                with torch.no_grad():
                    results.append(self.call(parameters, self.inputs))
            except (RuntimeError, ValueError):
                continue
        return results

    def redrawn(self) -> list[Tensor]:
        """The scores under two redrawn sets of parameters; fewer where they are not finite or the call fails."""
        return [result for result in self.redrawn_outputs() if bool(result.isfinite().all())]

    def one_step(self, loss: Callable[[Tensor], Tensor]) -> Tensor | None:
        """The scores after one step against the gradient of the loss; None where no gradient reaches a parameter.

        Args:
            loss: From scores to a number.
        """
        parameters = {
            name: value.clone().requires_grad_() for name, value in self.parameters.items() if value.is_floating_point()
        }
        with torch.enable_grad():
            value = loss(self.call({**self.parameters, **parameters}, self.inputs)).sum()
            if not value.requires_grad:
                return None
            gradients = torch.autograd.grad(value, list(parameters.values()), allow_unused=True)
        norm = (
            sum(float(gradient.cpu().double().square().sum()) for gradient in gradients if gradient is not None) ** 0.5
        )
        if norm == 0 or math.isnan(norm):
            return None
        moved = {
            name: value.detach() if gradient is None else value.detach() - gradient / norm
            for (name, value), gradient in zip(parameters.items(), gradients, strict=True)
        }
        with torch.no_grad():
            scores: Tensor = self.call({**self.parameters, **moved}, self.inputs)
            return scores

    @property
    def trainable(self) -> bool:
        """Whether the model is a module with parameters that require a gradient."""
        return (
            bool(self.parameters)
            and isinstance(self.model, nn.Module)
            and any(value.requires_grad for value in self.model.parameters())
        )

    def seeded(self, seed: int) -> Tensor:
        """The scores of the batch under another random seed, such as another draw of dropout.

        Args:
            seed: The seed.
        """
        with torch.no_grad():
            scores: Tensor = self.call(self.parameters, self.inputs, seed=seed)
            return scores

    def on_larger_inputs(self) -> Tensor | None:
        """The scores for inputs a hundred times as large; None where these are no floating point numbers."""
        if not isinstance(self.inputs, Tensor) or not self.inputs.is_floating_point():
            return None
        with torch.no_grad():
            scores: Tensor = self.call(self.parameters, self.inputs * 100)
            return scores

    def takes_fewer_rows(self) -> bool:
        """Whether the model takes a batch of one row less; one that knows its rows, like a graph's nodes, does not."""
        try:
            with torch.no_grad():
                self.call(self.parameters, self.inputs[:-1])
        except (RuntimeError, ValueError, IndexError):
            return False
        return True

    def changed_rows(self, row: int, *, evaluating: bool = False) -> Tensor | None:
        """Which rows of scores change when one row of the inputs does; None where the inputs cannot be changed so.

        Args:
            row: The row of the inputs.
            evaluating: Whether to ask the model in evaluation mode, where no batch statistics join the rows.
        """
        if not isinstance(self.inputs, Tensor) or self.inputs.dim() == 0 or len(self.inputs) < 2:
            return None
        other = self.inputs.clone()
        if self.inputs.is_floating_point():
            generator = torch.Generator().manual_seed(SEED)
            noise = torch.randn(other[row].shape, generator=generator).to(other)
            other[row] += noise * (other.float().std() + 1e-3).to(other)
        else:
            different = [n for n in range(len(other)) if not torch.equal(other[n], other[row])]
            if not different:
                return None
            other[row] = other[different[0]]
        with torch.no_grad():
            before = self.call(self.parameters, self.inputs, evaluating=evaluating)
            after = self.call(self.parameters, other, evaluating=evaluating)
        changed: Tensor = before != after
        return changed.flatten(1).any(1) if before.dim() > 1 else changed

    def on_inputs(self, inputs: Any) -> Tensor:  # noqa: ANN401 - whatever the model takes
        """The scores in evaluation mode for other inputs.

        Args:
            inputs: As the batch's.
        """
        with torch.no_grad():
            scores: Tensor = self.call(self.parameters, inputs, evaluating=True)
            return scores

    def call(
        self,
        parameters: Mapping[str, Tensor],
        inputs: Any,  # noqa: ANN401 - whatever the model takes
        *,
        seed: int = SEED,
        evaluating: bool = False,
    ) -> Any:  # noqa: ANN401 - whatever the model gives
        """What the model gives for parameters and inputs, with everything restored that the call changes.

        Args:
            parameters: By name.
            inputs: A tensor, or a tuple or mapping of arguments.
            seed: Random seed of the call: by default the same dropout in each.
            evaluating: Whether the model is put into evaluation mode.
        """
        arguments: tuple[Any, ...] = inputs if isinstance(inputs, tuple) else (inputs,)
        keywords: dict[str, Any] = {}
        if isinstance(inputs, Mapping):
            arguments, keywords = (), dict(inputs)
        devices = sorted({value.device.index or 0 for value in parameters.values() if value.is_cuda})
        with random_state_kept(devices):
            seed_all(seed)  # the same dropout in each call, so that only what was changed can make a difference
            if isinstance(self.model, nn.Module) and (parameters or self.buffers):
                state = {**parameters, **{name: value.clone() for name, value in self.buffers.items()}}
                with module_state_kept(self.model, buffers=False):
                    if evaluating:
                        self.model.eval()
                    result = self.select(functional_call(self.model, state, arguments, keywords))
            else:
                with module_state_kept(self.model):
                    result = self.select(self.model(*arguments, **keywords))
        if torch_private.autocast_is_enabled():
            torch.clear_autocast_cache()  # casts made without gradients must not serve the training step
        return result


def _inner(model: Callable[..., Any]) -> Callable[..., Any]:
    """The module inside `torch.compile` (asked itself nothing recompiles) and inside a wrapper for several devices."""
    while True:
        if hasattr(model, "_orig_mod"):
            model = model._orig_mod
        elif isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model = model.module
        else:
            return model


def redrawn_parameter(value: Tensor, size: float, generator: torch.Generator) -> Tensor:
    """A parameter of the same shape and about the same size, redrawn; a matrix that is all 0 gets a usual size.

    Args:
        value: The parameter.
        size: Factor of its root mean square.
        generator: Of the random numbers.
    """
    if not value.is_floating_point() or value.numel() == 0:
        return value
    spread = float(value.float().square().mean().sqrt()) or value[0].numel() ** -0.5
    return (torch.randn(value.shape, generator=generator) * (size * spread)).to(value)
