"""Paired comparison of two classifiers: differences with intervals on the same rows, or on the same folds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from polylogit.errors import ScoreError
from polylogit.evaluation.metrics import row_brier_scores, row_losses
from polylogit.evaluation.rows import ScoredRows

__all__ = [
    "METRICS",
    "RESAMPLES",
    "McNemar",
    "Metric",
    "PairedDifference",
    "Resampled",
    "bootstrap_differences",
    "corrected_resampled",
    "mcnemar",
]

Metric = Literal["log_loss", "accuracy", "brier_score"]
METRICS: tuple[Metric, ...] = ("log_loss", "accuracy", "brier_score")

RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class PairedDifference:
    """The difference of one metric between two classifiers on the same rows or folds: second minus first.

    Args:
        metric: "log_loss" in nats, "accuracy", or "brier_score" (0 to 2).
        first: The metric of the first classifier.
        second: The metric of the second classifier.
        low: Lower end of the 95 % interval of the difference.
        high: Upper end.
    """

    metric: Metric
    first: float
    second: float
    low: float
    high: float

    @property
    def difference(self) -> float:
        """Second minus first."""
        return self.second - self.first

    @property
    def decided(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0

    @property
    def second_is_better(self) -> bool:
        """Whether the difference favours the second classifier: higher accuracy, or lower loss."""
        return self.difference > 0 if self.metric == "accuracy" else self.difference < 0


@dataclass(frozen=True)
class McNemar:
    """McNemar's test of equal accuracy on the rows that exactly one of two classifiers predicts correctly.

    Args:
        only_first: Rows that only the first classifier predicts correctly.
        only_second: Rows that only the second classifier predicts correctly.
        exact_p: Two-sided p-value of the exact binomial test.
        mid_p: Mid-p value, which is less conservative.
    """

    only_first: int
    only_second: int
    exact_p: float
    mid_p: float


@dataclass(frozen=True)
class Resampled:
    """A mean difference over the folds of repeated cross-validation.

    Args:
        difference: The mean of the differences, second minus first.
        low: Lower end of the 95 % interval.
        high: Upper end.
        p: Two-sided p-value of no difference.
    """

    difference: float
    low: float
    high: float
    p: float


def bootstrap_differences(
    first: ScoredRows,
    second: ScoredRows,
    *,
    groups: Int[Tensor, " N"] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[PairedDifference, ...]:
    """Differences of log loss, accuracy and Brier score between two classifiers on the same rows.

    The interval is the percentile interval of the bootstrap: rows, or whole groups of rows, are drawn with replacement,
    and both classifiers are evaluated on each draw.

    Args:
        first: The rows with the scores of the first classifier.
        second: The same rows with those of the second.
        groups: Group of each row, where rows of a group are alike; None: each row is drawn alone.
        resamples: Number of draws.
        seed: Of the draws.

    Returns:
        One difference for each of `METRICS`.

    Raises:
        ScoreError: The two do not have the same targets and weights.

    Example:
        >>> targets = torch.arange(200) % 2
        >>> good, bad = torch.nn.functional.one_hot(targets, 2) * 2.0, torch.zeros(200, 2)
        >>> loss, *_ = bootstrap_differences(ScoredRows.check(good, targets), ScoredRows.check(bad, targets))
        >>> f"{loss.difference:.3f}", loss.decided, loss.second_is_better
        ('0.566', True, False)

    Source: Efron and Tibshirani (1993), An introduction to the bootstrap, chapter 13; groups as clusters: Davison and
        Hinkley (1997), section 3.8.
    """
    if not torch.equal(first.targets, second.targets) or not torch.equal(first.weights, second.weights):
        raise ScoreError("expected the same rows, with the same targets and weights, for both classifiers.")
    weights = first.weights
    before, after = _row_values(first), _row_values(second)
    sums = torch.cat([(after - before) * weights, weights[None]])
    if groups is not None:
        _, group = torch.unique(groups, return_inverse=True)
        sums = torch.zeros(len(sums), int(group.max()) + 1, dtype=torch.float64).index_add(1, group, sums)
    units = sums.shape[1]
    draw = np.random.default_rng(seed)
    drawn = torch.empty(resamples, len(METRICS), dtype=torch.float64)
    for index in range(resamples):
        counts = torch.from_numpy(np.bincount(draw.integers(0, units, units), minlength=units)).double()
        total = sums @ counts
        drawn[index] = total[:-1] / total[-1]
    tail = (1 - CONFIDENCE) / 2
    low, high = drawn.quantile(torch.tensor([tail, 1 - tail], dtype=torch.float64), dim=0).tolist()
    return tuple(
        PairedDifference(metric, first.mean(before[i]), second.mean(after[i]), low[i], high[i])
        for i, metric in enumerate(METRICS)
    )


def _row_values(rows: ScoredRows) -> Float[Tensor, "3 N"]:
    """The value of each row in the order of `METRICS`."""
    return torch.stack([row_losses(rows), rows.hits, row_brier_scores(rows)])


def mcnemar(first: ScoredRows, second: ScoredRows) -> McNemar:
    """McNemar's test on independent rows of equal weight.

    Args:
        first: The rows with the scores of the first classifier.
        second: The same rows with those of the second.

    Returns:
        The counts and the p-values; these are 1 where no row is predicted correctly by exactly one of the two.

    Example:
        >>> targets = torch.zeros(20, dtype=torch.int64)
        >>> right, wrong = torch.tensor([[1.0, 0.0]]).expand(20, 2), torch.tensor([[0.0, 1.0]]).expand(20, 2)
        >>> mixed = torch.cat([right[:12], wrong[12:]])
        >>> test = mcnemar(ScoredRows.check(right, targets), ScoredRows.check(mixed, targets))
        >>> test.only_first, test.only_second, f"{test.exact_p:.4f}", f"{test.mid_p:.4f}"
        (8, 0, '0.0078', '0.0039')

    Source: McNemar (1947); Fagerland, Lydersen and Laake (2013), The McNemar test for binary matched-pairs data, BMC
        Medical Research Methodology 13, for the mid-p value.
    """
    from scipy.stats import binom  # noqa: PLC0415 - prediction needs no scipy

    only_first = int(((first.hits == 1) & (second.hits == 0)).sum())
    only_second = int(((first.hits == 0) & (second.hits == 1)).sum())
    rows, least = only_first + only_second, min(only_first, only_second)
    if not rows:
        return McNemar(0, 0, 1.0, 1.0)
    tail, point = float(binom.cdf(least, rows, 0.5)), float(binom.pmf(least, rows, 0.5))
    if only_first == only_second:
        return McNemar(only_first, only_second, 1.0, 1.0 - point / 2)
    return McNemar(only_first, only_second, min(1.0, 2 * tail), min(1.0, 2 * tail - point))


def corrected_resampled(differences: Sequence[float], test_share: float) -> Resampled:
    """The corrected resampled t-test of scores by fold.

    The folds of repeated cross-validation share training rows, so that their variance alone is too small:

        variance of the mean = (1 / J + test_share) * sample variance of the J differences

    Args:
        differences: The difference in each fold of each repeat, second minus first; at least two.
        test_share: Rows held out in a fold over rows fitted on.

    Returns:
        The mean difference with its interval, by Student's t with J - 1 degrees of freedom.

    Raises:
        ScoreError: There are fewer than two differences.

    Example:
        >>> found = corrected_resampled([0.02, 0.03, 0.01, 0.02, 0.02], test_share=0.25)
        >>> f"{found.difference:.3f}, {found.low:.3f} to {found.high:.3f}, p = {found.p:.3f}"
        '0.020, 0.007 to 0.033, p = 0.014'

    Source: Nadeau and Bengio (2003), Inference for the generalization error, Machine Learning 52, eq. 19; for repeated
        cross-validation: Bouckaert and Frank (2004).
    """
    from scipy.stats import t as student  # noqa: PLC0415 - prediction needs no scipy

    count = len(differences)
    if count < 2:
        raise ScoreError(f"expected the differences of at least two folds, got {count}.")
    mean = math.fsum(differences) / count
    variance = math.fsum((difference - mean) ** 2 for difference in differences) / (count - 1)
    error = math.sqrt((1 / count + test_share) * variance)
    if error == 0:
        return Resampled(mean, mean, mean, 1.0 if mean == 0 else 0.0)
    reach = float(student.ppf(0.5 + CONFIDENCE / 2, count - 1)) * error
    return Resampled(mean, mean - reach, mean + reach, float(2 * student.sf(abs(mean) / error, count - 1)))
