"""Muon: momentum whose steps on matrices are orthogonalised.

It helps where few steps are available: a step costs a few small matrix products more than AdamW's and achieves more.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim.adamw import adamw

from polylogit.fitting.adam import moments
from polylogit.system.matrix_product import matrix_product_nt

__all__ = ["Muon", "orthogonalised"]

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 3
_SCALE = 0.4
_EPSILON = 1e-8
_ADAM_DECAY = 0.99


def orthogonalised(matrix: Float[Tensor, "A B"]) -> Float[Tensor, "A B"]:
    """A matrix with nearly the singular vectors of this one and singular values near 1.

    X <- P X with P = a I + b X X' + c (X X')^2, from X = matrix / |matrix|, three times: a Newton-Schulz iteration
    whose coefficients drive singular values fast into a band around 1 instead of slowly to 1 itself. The polynomials P
    and the Gram matrix commute, so that (X X') <- P (X X') P, and only the product of all P meets the matrix: two
    products with its long side instead of six.

    Args:
        matrix: Of any size; zeros stay zeros.

    Returns:
        The matrix, of the same shape.

    Example:
        >>> turned = orthogonalised(torch.diag(torch.tensor([3.0, 1.0])))
        >>> bool((turned.diag() > 0.6).all()), bool((turned.diag() < 1.3).all())
        (True, True)

    Source: Jordan et al. (2024), Muon: An optimizer for hidden layers in neural networks, section "Newton-Schulz".
    """
    tall = matrix.shape[0] > matrix.shape[1]
    turned = matrix.T if tall else matrix
    turned = turned / (turned.norm() + _EPSILON)
    gram = matrix_product_nt(turned, turned)
    factor = polynomial = _polynomial(gram)
    for _ in range(_ITERATIONS - 1):
        gram = polynomial @ gram @ polynomial
        polynomial = _polynomial(gram)
        factor = polynomial @ factor
    result = matrix_product_nt(factor, turned.T)
    return result.T if tall else result


def _polynomial(gram: Float[Tensor, "A A"]) -> Float[Tensor, "A A"]:
    first, second, third = _COEFFICIENTS
    polynomial = torch.addmm(gram, gram, gram, beta=second, alpha=third)
    polynomial.diagonal().add_(first)
    return polynomial


class Muon(torch.optim.Optimizer):
    """Muon on the groups that ask for it, AdamW on the others.

    Groups with `orthogonal=True`, each parameter read as a matrix W (A x B) with one row per output:

        M <- mu M + G,   W <- (1 - lr decay) W - lr 0.4 sqrt(max(A, B)) orthogonalised(G + mu M)

    The factor gives a step about twice the size of AdamW's: measured, and better here than once or four times.

    Args:
        groups: Parameter groups with the keys `params`, `orthogonal` and `weight_decay`.
        lr: Learning rate.
        momentum: mu, and the first beta of AdamW.

    Example:
        >>> weight = torch.nn.Parameter(torch.eye(2))
        >>> optimizer = Muon([{"params": [weight], "orthogonal": True, "weight_decay": 0.0}], lr=0.1, momentum=0.9)
        >>> weight.square().sum().backward()
        >>> optimizer.step()
        >>> bool((weight.diag() < 1).all())
        True

    Source: Jordan et al. (2024), as above; the root from Liu et al. (2025), Muon is Scalable for LLM Training,
    section 2.2; Loshchilov and Hutter (2019), Decoupled Weight Decay Regularization, algorithm 2.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], lr: float, momentum: float) -> None:
        super().__init__(groups, {"lr": lr, "momentum": momentum, "weight_decay": 0.0, "orthogonal": False})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Take a step along the gradients."""
        for group in self.param_groups:
            moved = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not group["orthogonal"]:
                self._adamw_step(group, moved)
                continue
            for parameter in moved:
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                move = _orthogonal_move(parameter.grad, self.state[parameter], group["momentum"])
                parameter.sub_(move, alpha=group["lr"])

    def _adamw_step(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        """AdamW on all of them in one call: these are many and small."""
        states = moments(self.state, parameters)
        adamw(
            parameters,
            [parameter.grad for parameter in parameters if parameter.grad is not None],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=all(parameter.device.type == "cpu" for parameter in parameters),  # where the count of steps is
            amsgrad=False,
            beta1=group["momentum"],
            beta2=_ADAM_DECAY,
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=_EPSILON,
            maximize=False,
        )


def _orthogonal_move(gradient: Tensor, state: dict[str, Tensor], momentum: float) -> Tensor:
    if not state:
        state["momentum"] = torch.zeros_like(gradient)
    state["momentum"].mul_(momentum).add_(gradient)
    matrix = gradient.add(state["momentum"], alpha=momentum).flatten(1)
    return orthogonalised(matrix).reshape(gradient.shape).mul_(_SCALE * math.sqrt(max(matrix.shape)))
