"""The help of the command line."""

from polylogit.recipes import shipped_recipes


def test_help_names_shipped_recipes_in_one_piece(polylogit):
    printed = polylogit("train", "--help").stdout
    assert all(f" {name}" in printed for name in shipped_recipes())
    named = "used for the data set of that name: mnist, fashion-mnist"
    assert printed.index(named) < printed.index("lessons: eight-rows")


def test_no_arguments_print_the_help(polylogit):
    done = polylogit()
    assert "Start with: polylogit train zoo" in done.output
    for name in ("train", "evaluate", "predict", "check", "lessons"):
        assert f"\n  {name} " in done.output
