"""Running lessons: the function that measures each of them, and the run of one lesson."""

import time
from collections.abc import Callable, Mapping

from polylogit.errors import PolylogitError
from polylogit.lessons import digits, draws, eight_rows, fashion, scores, zoo
from polylogit.lessons.catalogue import Lesson, Measurements
from polylogit.lessons.comparison import LessonResult, compare

__all__ = ["MEASURES", "run_lesson"]

MEASURES: Mapping[str, Callable[[], Measurements]] = {
    **scores.MEASURES,
    **draws.MEASURES,
    **eight_rows.MEASURES,
    **zoo.MEASURES,
    **digits.MEASURES,
    **fashion.MEASURES,
}
"""The function that measures each lesson, by its id."""


def run_lesson(lesson: Lesson) -> LessonResult:
    """Measure a lesson and compare the results with the printed numbers.

    Args:
        lesson: A lesson of the catalogue.

    Returns:
        A row for each number; `fault` holds the message of an error that the user can fix, such as missing data.

    Example:
        >>> from polylogit.lessons.catalogue import choose_lessons
        >>> result = run_lesson(choose_lessons(["softmax-of-a-vector"])[0])
        >>> result.ok, [round(x, 6) for x in result.rows[0].measured]
        (True, [0.090031, 0.244728, 0.665241])
    """
    start = time.perf_counter()
    fault = ""
    measured: Measurements = {}
    try:
        measured = MEASURES[lesson.id]()
    except PolylogitError as error:
        fault = str(error)
    rows = tuple(compare(lesson.id, number, None if fault else measured[number.quantity]) for number in lesson.numbers)
    return LessonResult(lesson=lesson, rows=rows, seconds=time.perf_counter() - start, fault=fault)
