"""Tables of lessons and their results for a terminal."""

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from polylogit.lessons.catalogue import Lesson, Value
from polylogit.lessons.comparison import LessonResult, Row

__all__ = ["lesson_list", "result_table", "summary_line"]


def lesson_list(lessons: Iterable[Lesson]) -> RenderableType:
    """A table of lessons with title and duration."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("lesson", no_wrap=True)
    table.add_column("what it shows")
    table.add_column("seconds", justify="right")
    for lesson in lessons:
        table.add_row(lesson.id, Text(lesson.title), f"{lesson.seconds:g}", style="" if lesson.quick else "bold")
    return table


def result_table(result: LessonResult) -> RenderableType:
    """A table of printed and measured values and their differences."""
    heading = Text.assemble(
        (result.lesson.id, "bold"), f"  {result.lesson.title}  ", (f"{result.seconds:.1f} s", "dim")
    )
    if result.fault:
        return Group(heading, Text(f"  could not be run: {result.fault}", style="red"), Text())
    table = Table(box=None, padding=(0, 0, 0, 2), header_style="dim")
    table.add_column("")
    for name in ("printed", "measured", "difference", "tolerance"):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in result.rows:
        table.add_row(
            Text(row.quantity + shape(row.expected)),
            Text(shown(row.expected)),
            Text("" if row.measured is None else shown(row.measured)),
            apart(row),
            f"{row.tolerance:g}",
            Text("ok", style="green") if row.ok else Text("off", style="bold red"),
        )
    reasons = dict.fromkeys(number.why for number in result.lesson.numbers if number.why)
    return Group(heading, table, *(Text(f"  not exact: {reason}", style="dim") for reason in reasons), Text())


def summary_line(results: Sequence[LessonResult]) -> str:
    """The number of lessons and of numbers within tolerance, and the lessons that are off."""
    rows = [row for result in results for row in result.rows]
    off = [result.lesson.id for result in results if not result.ok]
    lessons = "1 lesson" if len(results) == 1 else f"{len(results)} lessons"
    summary = f"{lessons}, {len(rows)} numbers, {sum(row.ok for row in rows)} as printed"
    return f"{summary}; off: {', '.join(off)}" if off else summary


def shown(value: Value) -> str:
    """A value in a few characters; of more than two numbers only the first.

    Example:
        >>> shown(0.0987654321), shown([101, 16]), shown([[0.5, 0.25], [1.0, 0.0]]), shown("refused")
        ('0.09876543', '101 16', '0.5 …', 'refused')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return f"{value:.7g}"
    numbers = _numbers(value)
    return " ".join(f"{number:.7g}" for number in numbers) if len(numbers) <= 2 else f"{numbers[0]:.7g} …"


def shape(value: Value) -> str:
    """How many numbers a value has along each axis; empty for one number.

    Example:
        >>> shape([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]]), shape(0.5)
        (' (2 x 3)', '')
    """
    lengths = []
    while not isinstance(value, int | float | str) and value:
        lengths.append(str(len(value)))
        value = value[0]
    return f" ({' x '.join(lengths)})" if lengths else ""


def apart(row: Row) -> str:
    """The largest difference of a row, where it has numbers."""
    expected, measured = _numbers(row.expected), _numbers(row.measured)
    if len(expected) != len(measured) or not expected:
        return ""
    return f"{max(abs(one - other) for one, other in zip(expected, measured, strict=True)):.1e}"


def _numbers(value: Value | None) -> list[float]:
    if value is None or isinstance(value, str):
        return []
    if isinstance(value, int | float):
        return [float(value)]
    return [number for part in value for number in _numbers(part)]
