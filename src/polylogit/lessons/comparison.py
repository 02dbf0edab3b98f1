"""Comparison of measured numbers with printed ones; does not import torch."""

from dataclasses import asdict, dataclass
from typing import Any

from polylogit.lessons.catalogue import Lesson, Number, Value

__all__ = ["LessonResult", "Row", "agrees", "compare"]


@dataclass(frozen=True)
class Row:
    """One printed number and the measured one.

    Args:
        lesson: The lesson's id.
        quantity: What was measured.
        expected: As printed.
        measured: The measured value; None where the lesson could not be run.
        tolerance: Largest absolute difference.
        ok: Whether the difference is within the tolerance.
    """

    lesson: str
    quantity: str
    expected: Value
    measured: Value | None
    tolerance: float
    ok: bool

    def as_json(self) -> dict[str, Any]:
        """The entry of this row in the output of `polylogit lessons --json`."""
        return asdict(self)


@dataclass(frozen=True)
class LessonResult:
    """A lesson that was run.

    Args:
        lesson: Which.
        rows: One for each number of it.
        seconds: Wall time.
        fault: Why it could not be run; empty where it could.
    """

    lesson: Lesson
    rows: tuple[Row, ...]
    seconds: float
    fault: str = ""

    @property
    def ok(self) -> bool:
        """Whether every row is inside its tolerance."""
        return all(row.ok for row in self.rows)


def compare(lesson: str, number: Number, measured: Value | None) -> Row:
    """A row for one number.

    Args:
        lesson: The lesson's id.
        number: What was printed.
        measured: The measured value; None where the lesson could not be run.

    Returns:
        The row.
    """
    return Row(
        lesson=lesson,
        quantity=number.quantity,
        expected=number.expected,
        measured=measured,
        tolerance=number.tolerance,
        ok=measured is not None and agrees(number.expected, measured, number.tolerance),
    )


def agrees(expected: Value, measured: Value, tolerance: float) -> bool:
    """Whether each measured number is within the tolerance; words must be the same, and so must shapes.

    Args:
        expected: As printed.
        measured: The measured value.
        tolerance: Absolute.

    Returns:
        False also where a number is NaN.

    Example:
        >>> agrees([0.09, 0.2447], [0.09003, 0.24473], 5e-5), agrees([0.09, 0.2447], [0.09003], 5e-5)
        (True, False)
    """
    if isinstance(expected, str) or isinstance(measured, str):
        return expected == measured
    if isinstance(expected, int | float) and isinstance(measured, int | float):
        return abs(measured - expected) <= tolerance
    if isinstance(expected, int | float) or isinstance(measured, int | float):
        return False
    return len(expected) == len(measured) and all(
        agrees(one, other, tolerance) for one, other in zip(expected, measured, strict=True)
    )
