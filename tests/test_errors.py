import pytest

from polylogit import errors
from polylogit.errors import did_you_mean


@pytest.mark.parametrize("name", ["DataError", "ScoreError", "RecipeError"])
def test_faults_of_values_are_value_errors_too(name):
    kind = getattr(errors, name)
    assert issubclass(kind, errors.PolylogitError)
    assert issubclass(kind, ValueError)


def test_the_drawn_tree_names_every_exception():
    kinds = [name for name in errors.__all__ if name.endswith("Error")]
    assert all(name in errors.__doc__ for name in kinds)


def test_nearest_names_ignore_case():
    assert did_you_mean("TYPE", ["type", "legs"]) == ' Did you mean "type"?'


def test_far_names_list_what_is_known():
    assert did_you_mean("zzz", ["type", "legs"]) == " Known: type, legs."


def test_a_long_list_is_cut():
    told = did_you_mean("zzz", [f"column{index}" for index in range(50)])
    assert "column19, …" in told
    assert "column20" not in told


def test_nothing_known_says_nothing():
    assert did_you_mean("zzz", []) == ""
