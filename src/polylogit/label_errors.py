"""Labels that are probably wrong: confident learning on logits of rows from models that were fitted without them."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polylogit.calibration.temperature import fit_temperature
from polylogit.evaluation.rows import ScoredRows

__all__ = ["CLEAR_ACCURACY", "LabelErrors", "LabelSuspect", "find_label_errors"]

CLEAR_ACCURACY = 0.7
"""Below this accuracy rows of overlapping classes cannot be distinguished from wrong labels; docs/label_errors.md."""


MOST_SHARE = 0.5
CHI_SQUARE_95 = 3.841
"""The 95 % quantile of chi-square with one degree of freedom: twice what an interval end lacks in log-likelihood."""

MOST_ROWS_FITTED = 20_000
"""The share of replaced labels is fitted to so many rows, drawn at random where there are more."""

LEAST_LOGARITHM = -700.0
"""In place of the logarithm of 0."""

TOLERANCE = 1e-6
"""Where a class is certain of all its rows, its threshold is 1, and rounding must not keep a row below it."""


@dataclass(frozen=True)
class LabelSuspect:
    """One row whose label is probably wrong.

    Args:
        row: Index of the row, from 0.
        given: The class index that it is labelled with.
        suggested: The most probable class index.
        given_probability: Probability of the given class: the self-confidence of the row.
        suggested_probability: Probability of the suggested class.
        error_probability: Probability that the label is wrong.
    """

    row: int
    given: int
    suggested: int
    given_probability: float
    suggested_probability: float
    error_probability: float


@dataclass(frozen=True, eq=False)
class LabelErrors:
    """The result of a search for wrong labels.

    Args:
        rows: How many rows were examined.
        accuracy: The weighted share of these rows whose label is the most probable class.
        suspects: The rows whose label is probably wrong, the most suspicious first.
        ranking: All examined rows, the most suspicious first.
        thresholds: For each class the mean probability that its own rows give it; None for a class without rows.
    """

    rows: int
    accuracy: float
    suspects: tuple[LabelSuspect, ...]
    ranking: Int[Tensor, " N"]
    thresholds: tuple[float | None, ...]

    @property
    def overlapping(self) -> bool:
        """Whether the classes overlap too much to tell wrong labels from rows that are hard to classify."""
        return self.accuracy < CLEAR_ACCURACY


def find_label_errors(
    logits: Float[Tensor, "N K"],
    targets: Int[Tensor, " N"],
    *,
    sample_weight: Float[Tensor, " N"] | None = None,
) -> LabelErrors:
    """Find the rows whose label is probably wrong.

    The labels are taken as classes drawn from p = softmax(z / T), of which a share f was replaced by classes drawn
    uniformly. f is the upper end of its 95 % interval by the likelihood, and T the best temperature for it: where the
    probabilities account for every unlikely label, as with overlapping classes, f is near 0. The probability that label
    y is wrong is

        1 - (1 - f + f / K) p[y] / ((1 - f) p[y] + f / K)

    A row counts as confidently of class k if p[k] is at least the threshold of k, the mean of p[k] over the rows
    labelled k; of several such classes the most probable one counts. There are as many suspects as rows confidently of
    another class than their label (the off-diagonal of the confident joint), but no more than rows whose label is wrong
    with a probability above 0.5. They are the rows of the lowest self-confidence p[y].

    Args:
        logits: Scores of each row, not calibrated, from a model that was **not fitted on the row**: a model that has
            learned a wrong label by heart does not doubt it.
        targets: The label of each row.
        sample_weight: Weight of each row in thresholds and fit; rows of weight zero are not examined.

    Returns:
        The suspects and the ranking of all rows.

    Raises:
        ScoreError: As `ScoredRows.check`.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> labels = torch.arange(300) % 3
        >>> logits = 6 * torch.nn.functional.one_hot(labels, 3) + torch.randn(300, 3, generator=generator)
        >>> labels[[7, 100]] = torch.tensor([2, 0])
        >>> found = find_label_errors(logits, labels)
        >>> sorted((suspect.row, suspect.given, suspect.suggested) for suspect in found.suspects)
        [(7, 2, 1), (100, 0, 1)]

    Source: Northcutt, Jiang and Chuang (2021), Confident learning: estimating uncertainty in dataset labels, Journal of
        Artificial Intelligence Research 70, sections 3.1 (confident joint) and 3.2 (ranking by self-confidence). The
        limit by the share f is polylogit's own; docs/label_errors.md has its effect.
    """
    scored = ScoredRows.check(logits, targets, sample_weight)
    index = torch.arange(len(targets))
    if sample_weight is not None:
        index = index[sample_weight.detach().to("cpu", torch.float64) > 0]
    probabilities, error = _with_label_noise(scored)
    labels, own = scored.targets, probabilities.gather(1, scored.targets[:, None])[:, 0]
    sums = torch.zeros(probabilities.shape[1], dtype=torch.float64)
    weight = sums.index_add(0, labels, scored.weights)
    # A class without rows has the threshold NaN, which no probability reaches.
    thresholds = sums.index_add(0, labels, scored.weights * own) / weight
    reached = torch.where(probabilities >= thresholds - TOLERANCE, probabilities, -1.0).max(dim=1)
    confident = (reached.values >= 0) & (reached.indices != labels)
    order = own.argsort(stable=True)
    doubted = order[scored.predictions[order] != labels[order]]
    most = min(int(confident.sum()), int((error > 0.5).sum()))
    return LabelErrors(
        rows=len(labels),
        accuracy=scored.mean(scored.hits),
        suspects=tuple(
            LabelSuspect(
                row=int(index[row]),
                given=int(labels[row]),
                suggested=int(scored.predictions[row]),
                given_probability=float(own[row]),
                suggested_probability=float(probabilities[row].max()),
                error_probability=float(error[row]),
            )
            for row in doubted[:most].tolist()
        ),
        ranking=index[order],
        thresholds=tuple(None if math.isnan(share) else share for share in thresholds.tolist()),
    )


def _with_label_noise(rows: ScoredRows) -> tuple[Float[Tensor, "N K"], Float[Tensor, " N"]]:
    """The probabilities of the classes before labels were replaced, and of each label that it is wrong."""
    temperature, share = _largest_share(rows)
    probabilities = (rows.logits / temperature).softmax(dim=1)
    if share == 0:
        return probabilities, torch.zeros(len(rows.targets), dtype=torch.float64)
    own, uniform = probabilities.gather(1, rows.targets[:, None])[:, 0], share / rows.logits.shape[1]
    return probabilities, 1 - (1 - share + uniform) * own / ((1 - share) * own + uniform)


def _largest_share(rows: ScoredRows) -> tuple[float, float]:
    """The upper end of the 95 % interval of the share of replaced labels, and the best temperature for it.

    The likelihood has several maxima, because a high temperature accounts for wrong labels too; it is evaluated on a
    grid of both.
    """
    if len(rows.targets) > MOST_ROWS_FITTED:
        drawn = torch.randperm(len(rows.targets), generator=torch.Generator().manual_seed(0))[:MOST_ROWS_FITTED]
        rows = ScoredRows(rows.logits[drawn], rows.targets[drawn], rows.weights[drawn])
    alone = fit_temperature(rows.logits, rows.targets, sample_weight=rows.weights).temperature
    temperatures = [alone * 2.0**power for power in torch.arange(2.0, -6.1, -0.25).tolist()]
    least = 0.5 / max(rows.effective_rows, 2.0)
    shares = [0.0, *torch.logspace(math.log10(least), math.log10(MOST_SHARE), 60, dtype=torch.float64).tolist()]
    weights, uniform = rows.weights / rows.weights.sum() * rows.effective_rows, 1 / rows.logits.shape[1]
    likelihood = torch.empty(len(temperatures), len(shares), dtype=torch.float64)
    for i, temperature in enumerate(temperatures):
        own = (rows.logits / temperature).softmax(dim=1).gather(1, rows.targets[:, None])[:, 0]
        for j, share in enumerate(shares):
            likelihood[i, j] = weights @ ((1 - share) * own + share * uniform).log().clamp_min(LEAST_LOGARITHM)
    profile = likelihood.max(dim=0)
    allowed = profile.values >= profile.values.max() - CHI_SQUARE_95 / 2
    largest = int(allowed.nonzero().max())
    return temperatures[int(profile.indices[largest])], shares[largest]
