"""Out-of-fold logits: logits of training rows from models that were fitted without them.

See also: `polylogit.run.fit` and `polylogit.run.cross_validation`, which use them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["FOLDS", "ROWS_WANTED", "HeldOutLogits", "out_of_fold_logits"]

FOLDS = 10
"""A model fitted without a tenth of the rows is close to the one fitted with all of them, also where rows are few."""

ROWS_WANTED = 2000
"""So many held-out rows fix a temperature to 2 or 3 %; further fits would cost time and give little."""


@dataclass(frozen=True)
class HeldOutLogits:
    """Logits of rows that the model behind them was not fitted to.

    Args:
        rows: Which rows, each once.
        logits: Their logits, in the order of `rows`.
        sizes: How many of them each fitted model scored, model by model.
    """

    rows: Int[Tensor, " M"]
    logits: Float[Tensor, "M K"]
    sizes: tuple[int, ...]

    @property
    def fits(self) -> int:
        """How many models were fitted."""
        return len(self.sizes)


def out_of_fold_logits(
    targets: Int[Tensor, " N"],
    fit_and_score: Callable[[Int[Tensor, " A"], Int[Tensor, " B"]], Float[Tensor, "B K"]],
    *,
    seed: int,
    groups: Int[Tensor, " N"] | None = None,
    folds: int = FOLDS,
    rows_wanted: int = ROWS_WANTED,
    on_fit: Callable[[int, int], None] | None = None,
) -> HeldOutLogits | None:
    """Cross-fitted logits: fold by fold, until enough rows are held out or every row has been once.

    With few rows every one of them is held out once, at the price of one small fit a fold; with 20,000 rows or more a
    single fold is enough. A row that is the only one of its class is never held out, for no model could know it.

    Args:
        targets: The class of each row.
        fit_and_score: Fits a model to the rows named first and gives its logits of the rows named second.
        seed: Of the draw of the folds.
        groups: The group of each row, where rows of a group are alike; no group stands on both sides of a fit. A class
            that lives in one group only is never held out. Where each group is of one class, as copies of rows are,
            every class is dealt out evenly, too.
        folds: How many parts the rows are dealt into, at least 2; every class is dealt out evenly.
        rows_wanted: Stop as soon as so many rows are held out.
        on_fit: Called after each fit with the number of fits done and of fits planned.

    Returns:
        The logits; None where no class has two rows.

    Example:
        >>> targets = torch.tensor([0, 0, 0, 1, 1, 1, 2])
        >>> def frequencies(fitted, scored):
        ...     return torch.bincount(targets[fitted], minlength=3).float().log().expand(len(scored), 3)
        >>> held_out = out_of_fold_logits(targets, frequencies, seed=0, folds=3)
        >>> held_out.rows.sort().values.tolist(), held_out.fits
        ([0, 1, 2, 3, 4, 5], 3)

    Source: Guo, Pleiss, Sun and Weinberger (2017), section 4: calibrate on rows not trained on; cross-fitting as in
        Niculescu-Mizil and Caruana (2005), section 4.
    """
    fold = _deal(targets, folds, seed) if groups is None else _deal_groups(targets, groups, folds, seed)
    rows: list[Tensor] = []
    for index in range(folds):
        held_out = (fold == index).nonzero()[:, 0]
        if len(held_out):
            rows.append(held_out)
        if sum(map(len, rows)) >= rows_wanted:
            break
    if not rows:
        return None
    logits: list[Tensor] = []
    for held_out in rows:
        logits.append(fit_and_score((fold != fold[held_out[0]]).nonzero()[:, 0], held_out))
        if on_fit is not None:
            on_fit(len(logits), len(rows))
    return HeldOutLogits(torch.cat(rows), torch.cat(logits), sizes=tuple(map(len, rows)))


def _deal(targets: Int[Tensor, " N"], folds: int, seed: int) -> Int[Tensor, " N"]:
    """The fold of each row, assigned class by class in one cycle; -1 for the only row of a class."""
    draw = np.random.Generator(np.random.PCG64(seed))
    fold = np.full(len(targets), -1)
    dealt = 0
    for k in range(int(targets.max()) + 1):
        rows = draw.permutation(np.flatnonzero(targets.numpy() == k))
        if len(rows) > 1:
            fold[rows] = (dealt + np.arange(len(rows))) % folds
            dealt += len(rows)
    return torch.from_numpy(fold)


def _deal_groups(targets: Int[Tensor, " N"], groups: Int[Tensor, " N"], folds: int, seed: int) -> Int[Tensor, " N"]:
    """The fold of each row, whole groups at a time, each to the fold that has the fewest rows; -1 as above."""
    draw = np.random.Generator(np.random.PCG64(seed))
    names, first, group, rows_of = np.unique(groups.numpy(), return_index=True, return_inverse=True, return_counts=True)
    class_of = targets.numpy()[first]
    if (class_of[group] == targets.numpy()).all():
        fold_of = _deal_within_classes(class_of, rows_of, folds, draw)
    else:
        sizes, fold_of = np.zeros(folds, dtype=np.int64), np.empty(len(names), dtype=np.int64)
        for index in draw.permutation(len(names)):
            fold_of[index] = int(sizes.argmin())
            sizes[fold_of[index]] += rows_of[index]
    fold = fold_of[group]
    for k in np.unique(targets.numpy()):
        rows = targets.numpy() == k
        if len(np.unique(fold[rows])) == 1:
            fold[rows] = -1
    return torch.from_numpy(fold)


def _deal_within_classes(
    class_of: npt.NDArray[np.int64], rows_of: npt.NDArray[np.int64], folds: int, draw: np.random.Generator
) -> npt.NDArray[np.int64]:
    """The fold of each group, assigned class by class; the rows of a class, in random order of groups, in a cycle."""
    fold_of, dealt = np.empty(len(class_of), dtype=np.int64), 0
    for k in np.unique(class_of):
        order = draw.permutation(np.flatnonzero(class_of == k))
        before = np.cumsum(rows_of[order]) - rows_of[order]
        fold_of[order] = (dealt + before) % folds
        dealt += int(rows_of[order].sum())
    return fold_of
