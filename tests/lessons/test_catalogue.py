import pytest

from polylogit.errors import RecipeError
from polylogit.lessons.catalogue import all_lessons, choose_lessons


def numbers_in(value):
    if isinstance(value, list):
        for part in value:
            yield from numbers_in(part)
    else:
        yield value


def test_each_lesson_is_reported_once_and_each_number_once():
    ids = [lesson.id for lesson in all_lessons()]
    assert len(ids) == len(set(ids))
    for lesson in all_lessons():
        quantities = [number.quantity for number in lesson.numbers]
        assert quantities
        assert len(quantities) == len(set(quantities))


def test_a_tolerance_wider_than_the_digits_printed_has_a_reason():
    for lesson in all_lessons():
        for number in lesson.numbers:
            wide = number.tolerance > 5e-5 and any(isinstance(x, float) for x in numbers_in(number.expected))
            assert bool(number.why) == wide, (lesson.id, number.quantity)


def test_every_page_has_lessons_of_its_own():
    assert {page for lesson in all_lessons() for page in lesson.pages} >= {1, 2, 3, 4, 5}


def test_without_ids_the_quick_ones_are_chosen():
    assert choose_lessons() == tuple(lesson for lesson in all_lessons() if lesson.quick)
    assert choose_lessons(every=True) == all_lessons()


def test_the_quick_ones_take_less_than_a_minute_together():
    assert sum(lesson.seconds for lesson in choose_lessons()) < 60


def test_an_unknown_id_is_reported_with_the_nearest():
    with pytest.raises(RecipeError, match=r'no lesson "seeded-drawz"\. Did you mean "seeded-draws"'):
        choose_lessons(["seeded-drawz"])


def test_ids_beside_all_are_refused():
    with pytest.raises(RecipeError, match="one or the other"):
        choose_lessons(["seeded-draws"], every=True)
