import pytest

from polylogit.lessons.catalogue import choose_lessons
from polylogit.lessons.running import run_lesson


@pytest.mark.parametrize("name", ["zoo-cross-entropy", "zoo-module"])
def test_what_comes_out_is_what_was_printed(name):
    result = run_lesson(choose_lessons([name])[0])
    assert [row for row in result.rows if not row.ok] == []
