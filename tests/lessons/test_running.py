import pytest

from polylogit.errors import DataError
from polylogit.lessons import running
from polylogit.lessons.catalogue import all_lessons, choose_lessons
from polylogit.lessons.running import MEASURES, run_lesson

SCORES_AND_DRAWS = [lesson for lesson in all_lessons() if lesson.seconds < 1 and "mnist" not in lesson.id]


def test_the_catalogue_and_the_measures_name_the_same_lessons():
    assert set(MEASURES) == {lesson.id for lesson in all_lessons()}


@pytest.mark.parametrize("lesson", SCORES_AND_DRAWS, ids=lambda lesson: lesson.id)
def test_what_comes_out_is_what_was_printed(lesson):
    result = run_lesson(lesson)
    assert [row for row in result.rows if not row.ok] == []
    assert set(MEASURES[lesson.id]()) == {number.quantity for number in lesson.numbers}


def test_data_that_are_not_there_make_every_row_off(monkeypatch):
    def absent():
        raise DataError("mnist: the files are not there.")

    lesson = choose_lessons(["seeded-draws"])[0]
    monkeypatch.setattr(running, "MEASURES", {lesson.id: absent})
    result = run_lesson(lesson)
    assert result.fault == "mnist: the files are not there."
    assert [(row.measured, row.ok) for row in result.rows] == [(None, False)] * len(lesson.numbers)
