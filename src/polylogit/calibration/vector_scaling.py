"""Vector scaling: a scale and a bias for each class, and their fit on held-out rows.

See also: `polylogit.calibration.temperature`, which is fitted first.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from polylogit.evaluation.metrics import row_losses
from polylogit.evaluation.rows import ScoredRows

__all__ = ["VectorFit", "VectorScaling", "fit_vector_scaling"]

ROWS_A_CLASS = 10
PRIOR_ROWS = 10.0
FOLDS = 5
STANDARD_ERRORS = 1.0
"""How these were chosen: docs/log.md, "When is a scale and a bias for each class better than a temperature?"."""
MOST_STEPS = 50


@dataclass(frozen=True)
class VectorScaling:
    """The map z[k] -> scale[k] z[k] + bias[k] of logits.

    Attributes:
        scale: A positive factor for each class.
        bias: What is added for each class then, in nats.

    Example:
        >>> VectorScaling(scale=(1.0, 2.0), bias=(0.0, 1.0)).apply(torch.tensor([[4.0, 0.5]]))
        tensor([[4., 2.]])
    """

    scale: tuple[float, ...]
    bias: tuple[float, ...]

    def apply(self, logits: Float[Tensor, "N K"]) -> Float[Tensor, "N K"]:
        """Logits with each class scaled and shifted."""
        return logits * logits.new_tensor(self.scale) + logits.new_tensor(self.bias)

    def as_json(self) -> dict[str, Any]:
        """The same as lists of numbers."""
        return {"scale": list(self.scale), "bias": list(self.bias)}

    def ranges(self) -> str:
        """The ranges of the scales and biases."""
        return (
            f"scales from {min(self.scale):.2f} to {max(self.scale):.2f}, "
            f"biases from {min(self.bias):+.2f} to {max(self.bias):+.2f}"
        )

    def in_words(self) -> str:
        """One sentence for a reader of the report."""
        return f"Each class has a scale and a bias of its own: {self.ranges()}."


@dataclass(frozen=True)
class VectorFit:
    """A vector scaling, if one is accepted, and its evidence.

    Attributes:
        scaling: None where it is not accepted.
        gain: Cross-validated fall of the log loss of the held-out rows, beyond what the temperature gives, in nats;
            None where nothing was tried.
        gain_error: Standard error of the gain.
        reason: Why the scaling was not accepted; None where it was.
    """

    scaling: VectorScaling | None
    gain: float | None
    gain_error: float | None
    reason: str | None

    def as_json(self) -> dict[str, Any]:
        """The scale and the bias of each class, None where not accepted, and the evidence."""
        scaling = {"scale": None, "bias": None} if self.scaling is None else self.scaling.as_json()
        return scaling | {"gain": self.gain, "gain_error": self.gain_error, "reason": self.reason}


def fit_vector_scaling(rows: ScoredRows, *, seed: int = 0) -> VectorFit:
    """The scales and biases that give held-out rows the smallest log loss, held near those that change nothing.

    min over a, b of sum_n -log softmax(a * z + b)[target] + (r/2) sum_k ((a_k - 1)^2 + b_k^2),   r = 10

    The problem is convex. The penalty has the weight of ten rows, so that a class with few rows keeps a scale near 1
    and a bias near 0. The scaling is accepted only with at least 10 rows for each class, and if its gain in log loss in
    five-fold cross-validation among these rows exceeds one standard error.

    Args:
        rows: Rows that the network was not fitted to, their logits divided by the temperature.
        seed: Random seed of the folds.

    Returns:
        The scaling, or None with the reason, and the gain.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> logits = torch.randn(2000, 3, generator=generator)
        >>> truth = (logits + torch.tensor([0.0, 0.0, 1.0])).softmax(1)
        >>> targets = torch.multinomial(truth, 1, generator=generator)[:, 0]
        >>> fit = fit_vector_scaling(ScoredRows.check(logits, targets))
        >>> [round(bias - fit.scaling.bias[0], 1) for bias in fit.scaling.bias]
        [0.0, 0.1, 1.1]

    Source: Guo, Pleiss, Sun and Weinberger (2017), section 4.2 (matrix and vector scaling); a penalty as Kull et al.
        (2019), section 3, have it.
    """
    classes = rows.logits.shape[1]

    def stay(reason: str, gain: float | None = None, gain_error: float | None = None) -> VectorFit:
        return VectorFit(None, gain, gain_error, reason)

    if rows.effective_rows < ROWS_A_CLASS * classes:
        return stay(
            f"{rows.effective_rows:.0f} rows were held out; a scale and a bias for each of {classes} classes need "
            f"{ROWS_A_CLASS * classes}"
        )
    fold = torch.randperm(len(rows.targets), generator=torch.Generator().manual_seed(seed)) % FOLDS
    falls = torch.empty_like(rows.weights)
    for index in range(FOLDS):
        scale, bias = _fitted(_part(rows, fold != index))
        left_out = _part(rows, fold == index)
        scaled = left_out.with_logits(left_out.logits * scale + bias)
        falls[fold == index] = row_losses(left_out) - row_losses(scaled)
    gain, gain_error = rows.mean_and_error(falls)
    if gain <= STANDARD_ERRORS * gain_error:
        return stay(
            "scaling each class does not lower the log loss of held-out rows by more than one standard error",
            gain,
            gain_error,
        )
    scale, bias = _fitted(rows)
    if (scale <= 0).any():
        return stay("the best scale of a class is not positive", gain, gain_error)
    return VectorFit(VectorScaling(tuple(scale.tolist()), tuple(bias.tolist())), gain, gain_error, None)


def _part(rows: ScoredRows, chosen: Tensor) -> ScoredRows:
    return ScoredRows(rows.logits[chosen], rows.targets[chosen], rows.weights[chosen])


def _fitted(rows: ScoredRows, prior_rows: float = PRIOR_ROWS) -> tuple[Float[Tensor, " K"], Float[Tensor, " K"]]:
    """Newton's method with step halving, from the scaling that changes nothing."""
    classes = rows.logits.shape[1]
    weights = rows.weights * (rows.effective_rows / rows.weights.sum())
    start = torch.cat([torch.ones(classes), torch.zeros(classes)]).double()
    parameters = start.clone()

    def objective(parameters: Tensor) -> float:
        scaled = rows.logits * parameters[:classes] + parameters[classes:]
        losses = row_losses(ScoredRows(scaled, rows.targets, weights))
        return float(weights @ losses + prior_rows / 2 * (parameters - start).square().sum())

    value = objective(parameters)
    for _ in range(MOST_STEPS):
        gradient, hessian = _slopes(rows, weights, parameters)
        gradient += prior_rows * (parameters - start)
        hessian.diagonal().add_(prior_rows)
        step = torch.linalg.solve(hessian, gradient)
        fall, size = float(step @ gradient), 1.0
        if fall < 1e-10 * max(1.0, abs(value)):
            break
        while (after := objective(parameters - size * step)) > value - 1e-4 * size * fall and size > 1e-6:
            size /= 2
        parameters, value = parameters - size * step, after
    return parameters[:classes], parameters[classes:]


def _slopes(
    rows: ScoredRows, weights: Float[Tensor, " N"], parameters: Float[Tensor, " P"]
) -> tuple[Float[Tensor, " P"], Float[Tensor, "P P"]]:
    """Gradient and Hessian of the summed cross-entropy by the scales, then the biases."""
    classes = rows.logits.shape[1]
    probabilities = (rows.logits * parameters[:classes] + parameters[classes:]).softmax(dim=1)
    residuals = probabilities.clone()
    residuals[torch.arange(len(rows.targets)), rows.targets] -= 1
    gradient = torch.cat([weights @ (residuals * rows.logits), weights @ residuals])
    spread = torch.cat([probabilities * rows.logits, probabilities], dim=1)
    hessian = -(spread.T @ (spread * weights[:, None]))
    second = weights @ (probabilities * rows.logits.square())
    first, zeroth = weights @ spread[:, :classes], weights @ probabilities
    hessian.diagonal().add_(torch.cat([second, zeroth]))
    hessian.diagonal(classes).add_(first)
    hessian.diagonal(-classes).add_(first)
    return gradient, hessian
