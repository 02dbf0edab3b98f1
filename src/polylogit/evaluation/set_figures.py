"""Coverage and size of prediction sets on labelled rows.

See also: `polylogit.calibration.prediction_sets`, which makes the sets.
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from polylogit.evaluation.metrics import accuracy_interval
from polylogit.evaluation.rows import ScoredRows

__all__ = ["ClassSets", "SetFigures", "set_figures"]


@dataclass(frozen=True)
class ClassSets:
    """The prediction sets of the rows of one class. None: no row is of the class.

    Attributes:
        covered: Share of these rows whose set contains the class.
        mean_size: Mean number of classes in their sets.
    """

    covered: float | None
    mean_size: float | None


@dataclass(frozen=True)
class SetFigures:
    """Coverage and size of the prediction sets of some rows.

    Attributes:
        coverage: The coverage that was asked for.
        covered: Share of rows whose set contains their class.
        interval: 95 % interval of that share (Wilson).
        mean_size: Mean number of classes in a set.
        single: Share of rows whose set has one class.
        per_class: The same for the rows of each class.
    """

    coverage: float
    covered: float
    interval: tuple[float, float]
    mean_size: float
    single: float
    per_class: tuple[ClassSets, ...]

    def as_json(self) -> dict[str, Any]:
        """The same as dictionaries, lists and numbers; the classes in their order."""
        return asdict(self) | {
            "interval": list(self.interval),
            "per_class": [asdict(figures) for figures in self.per_class],
        }


def set_figures(rows: ScoredRows, contained: Bool[Tensor, "N K"], coverage: float) -> SetFigures:
    """Coverage and size of prediction sets.

    Args:
        rows: Rows whose class is known.
        contained: Whether each class is in the set of each row.
        coverage: The coverage that was asked for.

    Returns:
        The figures, weighted like all others.

    Example:
        >>> rows = ScoredRows.check(torch.tensor([[2.0, 1.0], [0.0, 1.0]]), torch.tensor([1, 0]))
        >>> found = set_figures(rows, torch.tensor([[True, True], [False, True]]), 0.9)
        >>> found.covered, found.mean_size, found.per_class[0]
        (0.5, 1.5, ClassSets(covered=0.0, mean_size=1.0))
    """
    hits = contained.gather(1, rows.targets[:, None])[:, 0].double()
    sizes = contained.sum(dim=1).double()
    classes = rows.logits.shape[1]
    totals, hit_sums, size_sums = (
        torch.bincount(rows.targets, weights=rows.weights * values, minlength=classes).tolist()
        for values in (torch.ones_like(hits), hits, sizes)
    )
    covered = rows.mean(hits)
    return SetFigures(
        coverage=coverage,
        covered=covered,
        interval=accuracy_interval(covered, rows.effective_rows),
        mean_size=rows.mean(sizes),
        single=rows.mean((sizes == 1).double()),
        per_class=tuple(
            ClassSets(hit / total, size / total) if total else ClassSets(None, None)
            for total, hit, size in zip(totals, hit_sums, size_sums, strict=True)
        ),
    )
