"""Parity: the comparison of an exported model with the classifier, before the export is written."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import Tensor

from polylogit.classifier import Classifier
from polylogit.data.pictures.pretrained.encoder import BackboneEncoder
from polylogit.errors import ExportError

__all__ = ["TOLERANCE", "TOLERANCE_OF_PRETRAINED", "Answers", "Parity", "Rows", "Runner", "compare", "expected_answers"]

TOLERANCE = 1e-5
"""The largest difference of a probability that an export may have."""

TOLERANCE_OF_PRETRAINED = 1e-4
"""The same where a pretrained network gives the features, after fifty layers of float32 sums in another order."""

Rows = pl.DataFrame | Tensor
"""Rows of a table with typed columns, or uint8 pictures."""


@dataclass(frozen=True)
class Answers:
    """What a model answers for N rows.

    Args:
        class_names: The predicted class of each row.
        probabilities: N x K.
        nearly_least: For a model that chooses by costs or class shares: for each row the classes whose expected cost is
            so close to the least that rounding could exchange them.
    """

    class_names: Sequence[str | None]
    probabilities: npt.NDArray[np.float64]
    nearly_least: Sequence[Collection[str]] | None = None

    @property
    def first(self) -> "Answers":
        """The answer for the first row alone."""
        nearly = self.nearly_least
        return Answers(self.class_names[:1], self.probabilities[:1], None if nearly is None else nearly[:1])


Runner = Callable[[Rows], Answers]
"""The exported model, run by the engine that it is meant for."""


@dataclass(frozen=True)
class Parity:
    """How far the export is from the classifier.

    Attributes:
        engine: What ran the export, with its version.
        rows: How many rows were compared.
        largest_difference: Of a probability, over all rows and classes.
        near_ties: Rows whose two leading probabilities differ by at most the tolerance: rounding may decide their
            class, so that either of the two is accepted. Of a model that chooses by costs or class shares: rows with
            several classes of nearly the least expected cost, each of which is accepted.
        not_finite: Rows for which the classifier has no finite probabilities, and neither has the export.
    """

    engine: str
    rows: int
    largest_difference: float
    near_ties: int
    not_finite: int

    def as_json(self) -> dict[str, Any]:
        """Plain data for `--json` and for the metadata of the export."""
        return {
            "engine": self.engine,
            "rows": self.rows,
            "largest_difference": self.largest_difference,
            "near_ties": self.near_ties,
            "not_finite": self.not_finite,
        }


def expected_answers(classifier: Classifier, rows: Rows) -> Answers:
    """The answers of the classifier itself, without its warnings about unseen categories."""
    if isinstance(rows, pl.DataFrame):
        logits = classifier.logits_counting(rows)[0]
    else:
        logits = classifier.score_pictures(rows).logits
    rule = classifier.decision
    chosen = logits.argmax(dim=1) if rule is None else rule.decide(logits)
    names = [classifier.class_names[index] for index in chosen.tolist()]
    nearly = None
    if rule is not None:
        nearly = [
            {classifier.class_names[place] for place in row.nonzero()[:, 0].tolist()}
            for row in rule.nearly_least(logits)
        ]
    return Answers(names, torch.softmax(logits, dim=1).double().numpy(), nearly)


def compare(run: Runner, engine: str, classifier: Classifier, rows: Rows) -> Parity:
    """Run the export on rows together, on the first alone and on none, and compare it with the classifier.

    Args:
        run: The exported model.
        engine: What runs it.
        classifier: The model that was exported.
        rows: Rows to compare on.

    Returns:
        The comparison.

    Raises:
        ExportError: A class differs, or a probability by more than `TOLERANCE`, or `TOLERANCE_OF_PRETRAINED` where that
            applies; the message names the first such row.
            Or the export cannot be run.
    """
    expected = expected_answers(classifier, rows)
    tolerance = TOLERANCE_OF_PRETRAINED if isinstance(classifier.preprocessing, BackboneEncoder) else TOLERANCE
    none = Answers([], expected.probabilities[:0])
    check = partial(_check, engine=engine, tolerance=tolerance)
    check(_answers(run, rows[:0], engine, "no rows"), none, what="no rows")
    alone = check(_answers(run, rows[:1], engine, "one row"), expected.first, what="the first row alone")
    largest, near, empty = check(_answers(run, rows, engine, "all rows"), expected, what="all rows")
    return Parity(engine, len(expected.class_names), max(largest, alone[0]), near, empty)


def _answers(run: Runner, rows: Rows, engine: str, what: str) -> Answers:
    try:
        return run(rows)
    except ExportError:
        raise
    except Exception as fault:  # each engine has its own exceptions
        reason = (str(fault).splitlines() or [type(fault).__name__])[0]
        raise ExportError(f"{engine}, {what}: the export cannot be run: {reason} Nothing was written.") from fault


def _check(found: Answers, expected: Answers, *, engine: str, what: str, tolerance: float) -> tuple[float, int, int]:
    """The largest difference, the near ties and the rows that are not finite."""
    if found.probabilities.shape != expected.probabilities.shape:
        raise ExportError(
            f"{engine}, {what}: expected probabilities of shape {expected.probabilities.shape}, got "
            f"{found.probabilities.shape}. Nothing was written."
        )
    if not len(expected.class_names):
        return 0.0, 0, 0
    finite = np.isfinite(expected.probabilities).all(axis=1)
    if (np.isfinite(found.probabilities).all(axis=1) != finite).any():
        row = int((np.isfinite(found.probabilities).all(axis=1) != finite).argmax())
        raise _differs(engine, what, row, found, expected, tolerance=tolerance)
    differences = np.abs(found.probabilities - expected.probabilities).max(axis=1)
    differences[~finite] = 0.0
    same = np.array([a == b for a, b in zip(found.class_names, expected.class_names, strict=True)])
    if expected.nearly_least is None:
        leading = np.sort(expected.probabilities, axis=1)[:, -2:]
        near = finite & (leading[:, 1] - leading[:, 0] <= tolerance)
        accepted = same | near
    else:
        near = finite & np.array([len(classes) > 1 for classes in expected.nearly_least])
        pairs = zip(found.class_names, expected.nearly_least, strict=True)
        accepted = same | np.array([name in classes for name, classes in pairs])
    wrong = finite & ((differences > tolerance) | ~accepted)
    if wrong.any():
        raise _differs(engine, what, int(wrong.argmax()), found, expected, tolerance=tolerance)
    return float(differences.max()), int(near.sum()), int((~finite).sum())


def _differs(engine: str, what: str, row: int, found: Answers, expected: Answers, *, tolerance: float) -> ExportError:
    difference = np.abs(found.probabilities[row] - expected.probabilities[row]).max()
    return ExportError(
        f"{engine}, {what}, row {row + 1}: the export predicts {found.class_names[row]!r}, the model "
        f"{expected.class_names[row]!r}; the largest difference of a probability is {difference:.2g}, and at most "
        f"{tolerance:g} is accepted. Nothing was written."
    )
