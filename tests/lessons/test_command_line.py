import json
from dataclasses import replace

from polylogit.errors import DataError
from polylogit.lessons import catalogue, running


def test_one_lesson_as_a_table(polylogit):
    result = polylogit("lessons", "softmax-of-a-vector")
    assert result.exit_code == 0
    assert "their sum" in result.stdout
    assert "1 lesson, 3 numbers, 3 as printed" in result.stdout


def test_the_rows_as_json_are_the_last_line_and_the_only_one(polylogit):
    result = polylogit("lessons", "seeded-draws", "softmax-of-a-vector", "--json")
    assert result.exit_code == 0
    (line,) = result.stdout.splitlines()
    rows = json.loads(line)
    assert [row["lesson"] for row in rows] == ["softmax-of-a-vector"] * 3 + ["seeded-draws"] * 4
    assert all(list(row) == ["lesson", "quantity", "expected", "measured", "tolerance", "ok"] for row in rows)
    assert rows[0]["expected"] == [0.09, 0.2447, 0.6652]


def test_a_number_that_is_off_ends_with_status_1(polylogit, monkeypatch):
    lessons = catalogue.all_lessons()
    wrong = replace(lessons[0], numbers=(replace(lessons[0].numbers[1], expected=1.1), lessons[0].numbers[0]))
    monkeypatch.setattr(catalogue, "all_lessons", lambda: (wrong, *lessons[1:]))
    monkeypatch.setitem(running.MEASURES, wrong.id, lambda: {number.quantity: 1.0 for number in lessons[0].numbers})
    result = polylogit("lessons", wrong.id)
    assert result.exit_code == 1
    assert "off: softmax-of-a-vector" in result.stdout


def test_a_lesson_that_cannot_be_run_says_why(polylogit, monkeypatch):
    def absent():
        raise DataError("mnist: the files are not there.")

    monkeypatch.setitem(running.MEASURES, "seeded-draws", absent)
    result = polylogit("lessons", "seeded-draws", "softmax-of-a-vector")
    assert result.exit_code == 1
    assert "could not be run: mnist: the files are not there." in result.stdout
    assert "2 lessons, 7 numbers, 3 as printed; off: seeded-draws" in result.stdout


def test_the_list_names_every_lesson(polylogit):
    told = polylogit("lessons", "--list").stdout
    listed = json.loads(polylogit("lessons", "--list", "--json").stdout)
    assert [entry["id"] for entry in listed] == [lesson.id for lesson in catalogue.all_lessons()]
    for entry in listed:
        assert entry["id"] in told
        assert entry["numbers"] > 0


def test_wrong_usage(polylogit):
    unknown = polylogit("lessons", "softmax-of-a-vektor")
    assert unknown.exit_code == 2
    assert 'Did you mean "softmax-of-a-vector"' in unknown.stderr
    both = polylogit("lessons", "seeded-draws", "--all")
    assert both.exit_code == 2
