from dataclasses import replace

from rich.console import Console

from polylogit.lessons.catalogue import Number, all_lessons
from polylogit.lessons.comparison import LessonResult, compare
from polylogit.lessons.terminal import result_table, summary_line


def told(renderable):
    console = Console(width=120, color_system=None)
    with console.capture() as captured:
        console.print(renderable)
    return captured.get()


def result_of(*pairs):
    numbers = tuple(number for number, _ in pairs)
    lesson = replace(all_lessons()[0], numbers=numbers)
    return LessonResult(lesson, tuple(compare(lesson.id, number, measured) for number, measured in pairs), 2.5)


def test_numbers_stand_beside_each_other_with_their_distance():
    table = told(result_table(result_of((Number("loss", 1.4689, 5e-5), 1.46892))))
    assert table.splitlines()[2].split() == ["loss", "1.4689", "1.46892", "2.0e-05", "5e-05", "ok"]


def test_rows_of_numbers_show_their_shape_and_the_largest_distance():
    table = told(result_table(result_of((Number("rows", [[1, 0], [0, 1]], 0.0), [[1.0, 0.0], [0.5, 1.0]]))))
    assert table.splitlines()[2].split() == ["rows", "(2", "x", "2)", "1", "…", "1", "…", "5.0e-01", "0", "off"]


def test_words_have_no_distance():
    table = told(result_table(result_of((Number("class", "Shirt", 0.0), "Coat"))))
    assert table.splitlines()[2].split() == ["class", "Shirt", "Coat", "0", "off"]


def test_a_reason_is_reported_once():
    why = "the seed is not known"
    table = told(result_table(result_of((Number("a", 1, 1.0, why), 1), (Number("b", 1, 1.0, why), 1))))
    assert table.count(why) == 1


def test_the_summary_line_count_and_name():
    good, bad = result_of((Number("a", 1, 0.0), 1)), result_of((Number("a", 1, 0.0), 2), (Number("b", 1, 0.0), 1))
    assert summary_line([good]) == "1 lesson, 1 numbers, 1 as printed"
    assert summary_line([good, bad]) == "2 lessons, 3 numbers, 2 as printed; off: softmax-of-a-vector"
