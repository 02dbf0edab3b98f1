import math

import pytest

from polylogit.lessons.catalogue import Number, all_lessons
from polylogit.lessons.comparison import LessonResult, agrees, compare


@pytest.mark.parametrize(
    ("expected", "measured", "tolerance", "ok"),
    [
        (1.4689, 1.46892, 5e-5, True),
        (1.4689, 1.46896, 5e-5, False),
        (1.4689, math.nan, 5e-5, False),
        (1.4689, math.inf, 5e-5, False),
        (6, 6, 0.0, True),
        (6, 7, 0.0, False),
        ("Shirt", "Shirt", 0.0, True),
        ("Shirt", "Coat", 0.0, False),
        ("Shirt", 6, 10.0, False),
        ([1, 2], [1.0, 2.0], 0.0, True),
        ([1, 2], [1.0, 2.1], 0.05, False),
        ([1, 2], [1.0], 1.0, False),
        ([1, 2], [[1.0, 2.0]], 1.0, False),
        ([[1, 2], [3, 4]], [[1, 2], [3, 4.04]], 0.05, True),
        (1, [1], 1.0, False),
        ([1], 1, 1.0, False),
    ],
)
def test_agreement(expected, measured, tolerance, ok):
    assert agrees(expected, measured, tolerance) is ok


def test_what_was_not_measured_is_off():
    row = compare("some-lesson", Number("loss", 1.0, math.inf), None)
    assert row.as_json() == {
        "lesson": "some-lesson",
        "quantity": "loss",
        "expected": 1.0,
        "measured": None,
        "tolerance": math.inf,
        "ok": False,
    }


def test_one_row_that_is_off_makes_the_lesson_off():
    rows = tuple(compare("some-lesson", Number("loss", 1.0, 0.1), value) for value in (1.05, 1.05, 1.2))
    lesson = all_lessons()[0]
    assert LessonResult(lesson, rows[:2], 0.0).ok
    assert not LessonResult(lesson, rows, 0.0).ok
