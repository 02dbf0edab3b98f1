"""Logits, targets and weights, checked once and brought to one precision."""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polylogit.classes import check_class_indices
from polylogit.errors import ScoreError

__all__ = ["ScoredRows"]


@dataclass(frozen=True, eq=False)
class ScoredRows:
    """Rows whose class is known, with the scores that a classifier gave them.

    Everything is on the CPU and in float64, so that no figure depends on the device or the precision of training.

    Attributes:
        logits: Scores, finite.
        targets: The true class of each row, 0 to K - 1.
        weights: Weight of each row, above zero; all 1 where none were given.
    """

    logits: Float[Tensor, "N K"]
    targets: Int[Tensor, " N"]
    weights: Float[Tensor, " N"]

    @classmethod
    def check(
        cls,
        logits: Float[Tensor, "N K"],
        targets: Int[Tensor, " N"],
        sample_weight: Float[Tensor, " N"] | None = None,
    ) -> "ScoredRows":
        """Checked rows; those of weight zero are left out, for no figure may depend on them.

        Args:
            logits: Scores of any float type, on any device.
            targets: The true class of each row, 0 to K - 1.
            sample_weight: Weight of each row, zero or more; None for equal weights.

        Returns:
            The rows in float64 on the CPU.

        Raises:
            ScoreError: There is no row, a shape does not fit, a logit is not finite, a target is no class, or a
                weight is negative or not finite.

        Example:
            >>> ScoredRows.check(torch.zeros(2, 3), torch.tensor([0, 2])).weights
            tensor([1., 1.], dtype=torch.float64)
            >>> ScoredRows.check(torch.zeros(2, 3), torch.tensor([0, 3]))
            Traceback (most recent call last):
            polylogit.errors.ScoreError: targets[1]: expected a class index from 0 to 2, got 3 ...
        """
        if logits.ndim != 2 or targets.shape != logits.shape[:1]:
            raise ScoreError(
                f"expected logits of shape (rows, classes) and one target a row, got logits {tuple(logits.shape)} and "
                f"targets {tuple(targets.shape)}."
            )
        rows, classes = logits.shape
        if rows == 0 or classes == 0:
            raise ScoreError(f"there is nothing to evaluate: the logits have shape {tuple(logits.shape)}.")
        logits = logits.detach().to("cpu", torch.float64)
        targets = targets.detach().to("cpu", torch.int64)
        if not (finite := logits.isfinite()).all():
            row, k = (~finite).nonzero()[0].tolist()
            raise ScoreError(
                f"logits[{row}, {k}] is {logits[row, k].item()}: expected finite scores. Look at the training."
            )
        check_class_indices(
            targets, classes, remedy=f"The logits have {classes} classes; indices count from 0.", error=ScoreError
        )
        if sample_weight is None:
            return cls(logits, targets, torch.ones(rows, dtype=torch.float64))
        if sample_weight.shape != targets.shape:
            raise ScoreError(f"expected one weight a row ({rows}), got weights of shape {tuple(sample_weight.shape)}.")
        weights = sample_weight.detach().to("cpu", torch.float64)
        if (wrong := ~weights.isfinite() | (weights < 0)).any():
            row = int(wrong.nonzero()[0])
            raise ScoreError(f"sample_weight[{row}] is {weights[row].item()}: expected zero or more, and finite.")
        counted = weights > 0
        if not counted.any():
            raise ScoreError(f"there is nothing to evaluate: all {rows} weights are zero.")
        return cls(logits[counted], targets[counted], weights[counted])

    def with_logits(self, logits: Float[Tensor, "N K"]) -> "ScoredRows":
        """The same rows with other scores, which are checked no more."""
        return replace(self, logits=logits)

    @cached_property
    def logits_by_class(self) -> Float[Tensor, "K N"]:
        """The logits with a row a class: sums over few classes are then several times as fast."""
        return self.logits.T.contiguous()

    @cached_property
    def log_probabilities(self) -> Float[Tensor, "N K"]:
        """Log of the softmax of the logits."""
        return self.logits.log_softmax(dim=1)

    @cached_property
    def probabilities(self) -> Float[Tensor, "N K"]:
        """Softmax of the logits."""
        return self.log_probabilities.exp()

    @cached_property
    def predictions(self) -> Int[Tensor, " N"]:
        """The class of the largest logit; the first of several that are equal."""
        return self.logits.argmax(dim=1)

    @cached_property
    def hits(self) -> Float[Tensor, " N"]:
        """1 where the prediction is the target, else 0."""
        return (self.predictions == self.targets).to(torch.float64)

    def mean(self, values: Float[Tensor, " N"]) -> float:
        """Weighted mean of one value a row: sum of weight times value over the sum of weights."""
        return float(self.weights @ values / self.weights.sum())

    def mean_and_error(self, values: Float[Tensor, " N"]) -> tuple[float, float]:
        """Weighted mean of one value a row, and its standard error: the deviation over the root of effective rows."""
        mean = self.mean(values)
        return mean, math.sqrt(self.mean((values - mean).square()) / self.effective_rows)

    @cached_property
    def effective_rows(self) -> float:
        """Number of equally weighted rows with the same information: (sum of weights)^2 / sum of squared weights.

        Source: Kish (1965), Survey Sampling, section 8.2.
        """
        return float(self.weights.sum() ** 2 / self.weights.square().sum())
