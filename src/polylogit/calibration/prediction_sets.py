"""Prediction sets by conformal prediction: the scores of held-out rows, and the rule of a wanted coverage.

See also: docs/prediction_sets.md, on which guarantee holds when.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from polylogit.errors import ModelFileError, RecipeError

__all__ = ["ConformalScores", "PredictionSetRule", "ScoreSource"]

ScoreSource = Literal["held-out", "validation", "cross-fitted"]
"""held-out: rows that neither the model nor its calibration was fitted to. validation: rows that the network was not
fitted to, each calibrated by a map fitted to the others. cross-fitted: training rows, each scored by a model and
calibrated by a map that were fitted without it."""

ROUNDING = 1e-5
"""Least probabilities are lowered by this share, so that rounding in float32 leaves no class out."""


@dataclass(frozen=True)
class PredictionSetRule:
    """A class is in the set of a row if its probability is at least a threshold; the most probable class always is.

    Attributes:
        coverage: The share of rows whose set should contain their class, above 0 and below 1.
        least_probability: The threshold of each class: all the same, unless the coverage holds class by class; 0 where
            the class is in every set.

    Example:
        >>> rule = PredictionSetRule(0.9, (0.2, 0.2, 0.2))
        >>> rule.contains(torch.tensor([[0.7, 0.25, 0.05], [0.1, 0.05, 0.85]]).log()).int().tolist()
        [[1, 1, 0], [0, 0, 1]]
        >>> rule.sets(torch.tensor([[0.7, 0.25, 0.05]]).log(), ("ant", "bee", "cat"))
        [('ant', 'bee')]

    Source: Sadinle, Lei and Wasserman (2019), Least Ambiguous Set-Valued Classifiers with Bounded Error Levels,
        theorem 1 (one threshold gives the smallest sets) and section 2.2 (a threshold for each class).
    """

    coverage: float
    least_probability: tuple[float, ...]

    def contains(self, logits: Float[Tensor, "N K"]) -> Bool[Tensor, "N K"]:
        """Whether each class is in the set of each row.

        Args:
            logits: Calibrated logits.

        Returns:
            True for the classes of the set; at least one in each row.
        """
        contained = torch.softmax(logits, dim=1) >= logits.new_tensor(self.least_probability)
        return contained.scatter(1, logits.argmax(dim=1, keepdim=True), value=True)

    def sets(self, logits: Float[Tensor, "N K"], class_names: Sequence[str]) -> list[tuple[str, ...]]:
        """The names of the classes in the set of each row, in the order of `class_names`."""
        return [
            tuple(name for name, inside in zip(class_names, row, strict=True) if inside)
            for row in self.contains(logits).tolist()
        ]


@dataclass(frozen=True, eq=False)
class ConformalScores:
    """The log losses of rows that the classifier was not fitted to, from which prediction sets of any coverage follow.

    Attributes:
        losses: -log of the calibrated probability of each row's class, in nats: class by class, in each class rising.
        rows: Number of rows of each class.
        weights: Weight of each row, above 0; None: all weigh the same.
        source: Where the rows come from; the guarantee depends on it.
        grouped: Whether whole groups of rows were held out.

    Example:
        >>> losses = -torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]).log()
        >>> scores = ConformalScores.of_rows(losses, torch.tensor([0, 1, 0, 1, 0, 1, 0, 1, 0]), 2, source="held-out")
        >>> [round(least, 3) for least in scores.rule(0.8).least_probability]  # the 8th of 9 losses: ceil(0.8 * 10)
        [0.2, 0.2]
        >>> round(scores.highest_coverage, 3)
        0.9

    Source: Vovk, Gammerman and Shafer (2005), Algorithmic Learning in a Random World, chapters 2 and 4; weights as in
        Tibshirani, Foygel Barber, Candes and Ramdas (2019), Conformal Prediction Under Covariate Shift, theorem 2.
    """

    losses: Float[Tensor, " M"]
    rows: tuple[int, ...]
    weights: Float[Tensor, " M"] | None = None
    source: ScoreSource = "held-out"
    grouped: bool = False

    @classmethod
    def of_rows(
        cls,
        losses: Float[Tensor, " M"],
        targets: Int[Tensor, " M"],
        classes: int,
        *,
        weights: Float[Tensor, " M"] | None = None,
        source: ScoreSource,
        grouped: bool = False,
    ) -> "ConformalScores":
        """The scores of rows in any order.

        Args:
            losses: -log of the probability of each row's class, as the classifier or one like it gives it.
            targets: The class of each row, 0 to K - 1.
            classes: K.
            weights: Weight of each row, above 0; None: all weigh the same.
            source: Where the rows come from.
            grouped: Whether whole groups of rows were held out.
        """
        order = losses.argsort(stable=True)
        order = order[targets[order].argsort(stable=True)]
        return cls(
            losses[order].clamp(min=0).float(),
            tuple(torch.bincount(targets, minlength=classes).tolist()),
            None if weights is None else weights[order].double(),
            source,
            grouped,
        )

    def as_header(self) -> dict[str, Any]:
        """Its entry in the header of a model file."""
        return {"rows": list(self.rows), "source": self.source, "grouped": self.grouped}

    def tensors(self) -> dict[str, Tensor]:
        """Its tensors in a model file: `scores`, and where the rows have weights `weights`."""
        return {"scores": self.losses} | ({} if self.weights is None else {"weights": self.weights})

    @classmethod
    def from_state(cls, entry: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "ConformalScores":
        """The scores of a validated header entry and the tensors of a model file.

        Raises:
            ModelFileError: The tensors are not those that the entry describes.
        """
        count = sum(entry["rows"])
        expected = {"scores": torch.float32} | ({"weights": torch.float64} if "weights" in tensors else {})
        for name, dtype in expected.items():
            found = tensors.get(name)
            if found is None or found.dtype != dtype or tuple(found.shape) != (count,) or not count:
                raise ModelFileError(f"prediction_sets.{name}: expected {count} values of {dtype}, one for each row")
            if bool((found < 0).any() if name == "scores" else (found <= 0).any()):
                raise ModelFileError(f"prediction_sets.{name}: expected values above 0")
        if len(tensors) > len(expected):
            raise ModelFileError(f"tensors that belong to no part of the model: {', '.join(sorted(tensors))}")
        return cls(tensors["scores"], tuple(entry["rows"]), tensors.get("weights"), entry["source"], entry["grouped"])

    def rule(self, coverage: float, *, by_class: bool = False) -> PredictionSetRule:
        """The rule of prediction sets that contain the true class of a wanted share of rows.

        The threshold is the smallest loss q such that the rows of at most that loss make up the wanted share of all
        rows and one more, the new row: sum of w[i] over losses <= q is at least coverage * (sum of w + max of w).
        With equal weights q is the ceil(coverage (M + 1))-th of M losses.

        Args:
            coverage: The wanted share, above 0 and below 1.
            by_class: Whether it should hold among the rows of each class. A class with too few rows is in every set;
                see `too_few`.

        Returns:
            The rule.

        Raises:
            RecipeError: The coverage is no share, or exceeds what so many rows can guarantee.
        """
        if not 0 < coverage < 1:
            raise RecipeError(f"coverage {coverage:g}: expected a share above 0 and below 1, such as 0.9.")
        if by_class:
            found = [self._largest_loss(coverage, own) for own in self._of_class]
            return PredictionSetRule(coverage, tuple(map(_least_probability, found)))
        largest = self._largest_loss(coverage, slice(None))
        if largest == math.inf:
            raise RecipeError(
                f"coverage {coverage:g}: {self._count} held-out rows allow at most {self.highest_coverage:.4g}; beyond "
                "that every set would have to contain all classes. Ask for less, or train with more rows."
            )
        return PredictionSetRule(coverage, (_least_probability(largest),) * len(self.rows))

    def too_few(self, coverage: float) -> tuple[int, ...]:
        """The classes whose held-out rows are too few for a coverage class by class: they are in every set."""
        return tuple(k for k, own in enumerate(self._of_class) if self._largest_loss(coverage, own) == math.inf)

    @property
    def highest_coverage(self) -> float:
        """The highest coverage that so many rows can guarantee with sets that leave out any class: M / (M + 1)."""
        weights = self._weights
        return float(weights.sum() / (weights.sum() + weights.max()))

    def spread(self, coverage: float, confidence: float = 0.95) -> tuple[float, float]:
        """The interval in which the coverage of this very classifier is, given that its scores are of held-out rows.

        Over all draws of M held-out rows the coverage of new rows follows the Beta distribution of k and M + 1 - k,
        k = ceil(coverage (M + 1)). With weights M is the effective number of rows.

        Args:
            coverage: The wanted share.
            confidence: Probability with which the interval contains the coverage.

        Returns:
            Lower and upper end.

        Source: Vovk (2012), Conditional Validity of Inductive Conformal Predictors, proposition 2b; Angelopoulos and
            Bates (2023), Conformal Prediction: A Gentle Introduction, section 3.2.
        """
        from scipy.special import betaincinv  # noqa: PLC0415 - prediction needs no scipy

        rows = int(self._weights.sum() ** 2 / self._weights.square().sum())
        rank = min(math.ceil(coverage * (rows + 1) - 1e-9), rows)
        low, high = (1 - confidence) / 2, (1 + confidence) / 2
        return float(betaincinv(rank, rows + 1 - rank, low)), float(betaincinv(rank, rows + 1 - rank, high))

    @property
    def _count(self) -> int:
        return len(self.losses)

    @cached_property
    def _weights(self) -> Float[Tensor, " M"]:
        return torch.ones(self._count, dtype=torch.float64) if self.weights is None else self.weights

    @cached_property
    def _of_class(self) -> tuple[slice, ...]:
        ends = [sum(self.rows[: k + 1]) for k in range(len(self.rows))]
        return tuple(slice(end - count, end) for end, count in zip(ends, self.rows, strict=True))

    def _largest_loss(self, coverage: float, own: slice) -> float:
        """The largest loss of a class in a set, from some of the rows; infinite where they are too few."""
        losses, order = self.losses[own].sort(stable=True)
        weights = self._weights[own][order]
        if not len(losses):
            return math.inf
        reached = weights.cumsum(0) >= coverage * (weights.sum() + weights.max()) * (1 - 1e-12)
        return float(losses[reached.int().argmax()]) if reached.any() else math.inf


def _least_probability(largest_loss: float) -> float:
    return math.exp(-largest_loss) * (1 - ROUNDING)
