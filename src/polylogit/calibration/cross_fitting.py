"""Cross-fitting of calibrations: each row is calibrated by a map that was fitted without it."""

from collections.abc import Mapping

import torch
from jaxtyping import Int
from torch import Tensor

from polylogit.calibration.calibration import Calibration
from polylogit.calibration.candidates import Candidate
from polylogit.evaluation.rows import ScoredRows

__all__ = ["cross_fitted", "fits_by_fold", "folds_of"]

FOLDS = 5


def folds_of(
    targets: Int[Tensor, " N"], groups: Int[Tensor, " N"] | None, seed: int, *, by_class: bool
) -> Int[Tensor, " N"]:
    """A fold for each row, drawn class by class or at random; with groups whole groups at a time.

    Folds drawn class by class vary less, but each has the class frequencies of all rows. A map with a bias for each
    class learns the chance in these frequencies, and would seem to help on the rows left out (docs/log.md): such maps
    need folds drawn at random.

    Args:
        targets: The class of each row.
        groups: The group of each row where rows of a group are alike.
        seed: Random seed.
        by_class: Whether every class is divided evenly.

    Example:
        >>> targets = torch.tensor([0] * 5 + [1] * 5)
        >>> folds_of(targets, None, 0, by_class=True)[:5].sort().values.tolist()
        [0, 1, 2, 3, 4]
        >>> folds_of(targets, None, 0, by_class=False).bincount().tolist()
        [2, 2, 2, 2, 2]
    """
    generator = torch.Generator().manual_seed(seed)
    if groups is not None:
        _, group = torch.unique(groups, return_inverse=True)
        return (torch.randperm(int(group.max()) + 1, generator=generator) % FOLDS)[group]
    drawn = torch.randperm(len(targets), generator=generator)
    if not by_class:
        return drawn % FOLDS
    order = drawn[targets[drawn].argsort(stable=True)]
    fold = torch.empty_like(targets)
    fold[order] = torch.arange(len(targets)) % FOLDS
    return fold


def fits_by_fold(
    rows: ScoredRows, fold: Int[Tensor, " N"], candidate: Candidate, start: Calibration
) -> dict[int, Calibration]:
    """For each fold the calibration fitted without it; folds that are empty or hold all rows have none.

    Args:
        rows: Rows that the network was not fitted to.
        fold: The fold of each row.
        candidate: The method.
        start: Where its fits start, for speed: the fit to all rows.
    """
    parts = {index: fold == index for index in range(FOLDS)}
    return {
        index: candidate.fit(_part(rows, ~own), start) or Calibration()
        for index, own in parts.items()
        if own.any() and not own.all()
    }


def cross_fitted(rows: ScoredRows, fold: Int[Tensor, " N"], maps: Mapping[int, Calibration]) -> ScoredRows:
    """The rows with their logits calibrated by maps that were fitted without them.

    Args:
        rows: The rows.
        fold: The fold of each row.
        maps: The result of `fits_by_fold`.
    """
    logits = rows.logits.clone()
    for index, calibration in maps.items():
        logits[fold == index] = calibration.apply(rows.logits[fold == index])
    return rows.with_logits(logits)


def _part(rows: ScoredRows, chosen: Tensor) -> ScoredRows:
    return ScoredRows(rows.logits[chosen], rows.targets[chosen], rows.weights[chosen])
