"""Structured scaling: an affine map of the log-probabilities with a ridge penalty, and its fit on held-out rows.

With a scale and a bias for each class it is structured vector scaling (SVS), with a full matrix structured matrix
scaling (SMS). For two classes the vector form is Beta calibration.

See also: `polylogit.calibration.temperature`, which is fitted first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polylogit.calibration.newton import minimise
from polylogit.evaluation.metrics import row_losses
from polylogit.evaluation.rows import ScoredRows

__all__ = ["StructuredScaling", "fit_structured_scaling"]


@dataclass(frozen=True)
class StructuredScaling:
    """The map s -> W s + bias of log-probabilities s, W = diag(scale) + off_diagonal.

    Attributes:
        scale: A positive factor for each class.
        bias: What is added for each class, in nats.
        off_diagonal: K rows of K factors with zeros on the diagonal; None for the vector form.

    Example:
        >>> StructuredScaling(scale=(1.0, 1.0), bias=(0.0, 1.0)).apply(torch.zeros(1, 2)).softmax(dim=1)
        tensor([[0.2689, 0.7311]])
    """

    scale: tuple[float, ...]
    bias: tuple[float, ...]
    off_diagonal: tuple[tuple[float, ...], ...] | None = None

    def apply(self, logits: Float[Tensor, "N K"]) -> Float[Tensor, "N K"]:
        """Logits whose log-probabilities have gone through the map, up to a constant for each row."""
        scores = logits.log_softmax(dim=1)
        mapped = scores * scores.new_tensor(self.scale) + scores.new_tensor(self.bias)
        if self.off_diagonal is not None:  # class by class: a matrix product adds in an order that depends on its shape
            for k, factors in enumerate(scores.new_tensor(self.off_diagonal).T):
                mapped = mapped + scores[:, k : k + 1] * factors
        return mapped

    def as_json(self) -> dict[str, Any]:
        """The same as lists of numbers."""
        off_diagonal = None if self.off_diagonal is None else [list(row) for row in self.off_diagonal]
        return {"scale": list(self.scale), "bias": list(self.bias), "off_diagonal": off_diagonal}

    @classmethod
    def from_json(cls, entries: Mapping[str, Any]) -> "StructuredScaling":
        """The scaling of validated header entries."""
        rows = entries.get("off_diagonal")
        off_diagonal = None if rows is None else tuple(tuple(row) for row in rows)
        return cls(tuple(entries["scale"]), tuple(entries["bias"]), off_diagonal)

    def ranges(self) -> str:
        """The ranges of the parameters."""
        ranges = (
            f"scales from {min(self.scale):.2f} to {max(self.scale):.2f}, "
            f"biases from {min(self.bias):+.2f} to {max(self.bias):+.2f}"
        )
        if self.off_diagonal is not None:
            factors = [factor for row in self.off_diagonal for factor in row]
            ranges += f", other factors from {min(factors):+.2f} to {max(factors):+.2f}"
        return ranges

    def in_words(self) -> str:
        """One sentence for a reader of the report."""
        form = "have a full matrix and a bias" if self.off_diagonal is not None else "have a scale and a bias"
        return f"The log-probabilities of each class {form}: {self.ranges()}."


def fit_structured_scaling(
    rows: ScoredRows, *, matrix: bool, start: StructuredScaling | None = None
) -> StructuredScaling | None:
    """The structured scaling that gives held-out rows the smallest penalised log loss.

    min over W, b of sum_n -log softmax(W s + b)[target] + K sum_k ((W[k,k] - 1)^2 + b[k]^2)
                     + K (K - 1) sum_{k != l} W[k,l]^2,   s = log softmax(z)

    The problem is convex and solved by Newton's method. The penalty does not grow with the rows: with
    few of them the map stays near the identity.

    Args:
        rows: Rows that the network was not fitted to, their logits divided by the temperature.
        matrix: Whether W is a full matrix; otherwise it is diagonal.
        start: Where Newton's method starts, for speed: a fit to similar rows; None: the identity.

    Returns:
        The scaling; None where a scale is not positive.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> logits = torch.randn(2000, 3, generator=generator)
        >>> truth = (logits + torch.tensor([0.0, 0.0, 1.0])).softmax(1)
        >>> targets = torch.multinomial(truth, 1, generator=generator)[:, 0]
        >>> bias = fit_structured_scaling(ScoredRows.check(logits, targets), matrix=False).bias
        >>> [round(b - bias[0], 1) for b in bias]
        [0.0, 0.0, 1.0]

    Source: Berta, Holzmueller, Jordan and Bach (2025), Structured Matrix Scaling for Multi-Class Calibration,
        arXiv 2511.03685 (ridge penalties K/n and K (K - 1)/n); for two classes Kull, Silva Filho and Flach (2017), Beta
        calibration, eq. 4.
    """
    classes = rows.logits.shape[1]
    scores = rows.logits.log_softmax(dim=1)
    inputs = torch.cat([scores, scores.new_ones(len(scores), 1)], dim=1)
    of_class, of_input = _parameters(classes, matrix)
    penalty = 2.0 * classes * torch.where((of_class == of_input) | (of_input == classes), 1.0, classes - 1.0).double()
    weights = rows.weights * (rows.effective_rows / rows.weights.sum())
    targets = torch.nn.functional.one_hot(rows.targets, classes).double()

    def mapped(change: Float[Tensor, " P"]) -> Float[Tensor, "N K"]:
        matrix = scores.new_zeros(classes, classes + 1).index_put((of_class, of_input), change)
        return scores + inputs @ matrix.T

    def objective(change: Float[Tensor, " P"]) -> float:
        return float(weights @ row_losses(rows.with_logits(mapped(change))) + penalty @ change.square() / 2)

    def derivatives(change: Float[Tensor, " P"]) -> tuple[Float[Tensor, " P"], Float[Tensor, "P P"]]:
        probabilities = mapped(change).softmax(dim=1)
        gradient = ((probabilities - targets) * weights[:, None]).T @ inputs
        spread = probabilities[:, of_class] * inputs[:, of_input]
        hessian = -(spread.T @ (spread * weights[:, None]))
        for k in range(classes):
            own = (of_class == k).nonzero()[:, 0]
            chosen = inputs[:, of_input[own]]
            hessian[own[:, None], own] += chosen.T @ (chosen * (weights * probabilities[:, k])[:, None])
        hessian.diagonal().add_(penalty)
        return gradient[of_class, of_input] + penalty * change, hessian

    first = scores.new_zeros(classes, classes + 1) if start is None else _change(start).to(scores)
    change = minimise(objective, derivatives, first[of_class, of_input])
    affine = scores.new_zeros(classes, classes + 1).index_put((of_class, of_input), change)
    scale, bias = 1 + affine.diagonal(), affine[:, classes]
    if (scale <= 0).any():
        return None
    others = (affine[:, :classes] - affine.diagonal().diag()).tolist()
    off_diagonal = tuple(tuple(row) for row in others) if matrix else None
    return StructuredScaling(tuple(scale.tolist()), tuple(bias.tolist()), off_diagonal)


def _change(scaling: StructuredScaling) -> Float[Tensor, "K K1"]:
    """The affine map beyond the identity."""
    matrix = torch.diag(torch.tensor(scaling.scale, dtype=torch.float64) - 1)
    if scaling.off_diagonal is not None:
        matrix = matrix + torch.tensor(scaling.off_diagonal, dtype=torch.float64)
    return torch.cat([matrix, torch.tensor(scaling.bias, dtype=torch.float64)[:, None]], dim=1)


def _parameters(classes: int, matrix: bool) -> tuple[Int[Tensor, " P"], Int[Tensor, " P"]]:
    """The class and the input (a class's log-probability, or last the constant) that each parameter connects."""
    if matrix:
        pairs = torch.cartesian_prod(torch.arange(classes), torch.arange(classes + 1))
        return pairs[:, 0], pairs[:, 1]
    each = torch.arange(classes)
    return torch.cat([each, each]), torch.cat([each, torch.full((classes,), classes)])
