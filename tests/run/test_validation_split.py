import pytest
import torch

from polylogit.errors import RecipeError
from polylogit.recipes.recipe import recipe_from_entries
from polylogit.run.validation_split import fitted_and_validation_rows, usual_validation_share


@pytest.fixture
def drawn(task_of):
    """So many rows of two classes by turns, the last fifth for testing."""
    return lambda rows, groups=None: task_of(torch.zeros(rows, 1, 2, 2, dtype=torch.uint8), groups)


def recipe(fraction=None, group=None):
    training = {} if fraction is None else {"validation_fraction": fraction}
    data = {} if group is None else {"group": group}
    return recipe_from_entries({"model": {"kind": "mlp"}, "training": training, "data": data})


@pytest.mark.parametrize(
    ("rows", "kept"), [(40, 8), (10_000, 2000), (15_000, 2000), (60_000, 6000), (100_000, 10_000), (10**7, 10_000)]
)
def test_a_tenth_is_kept_but_neither_too_few_nor_too_many(rows, kept):
    assert usual_validation_share(rows) * rows == pytest.approx(kept)


@pytest.mark.parametrize(("fraction", "kept"), [(None, 16), (0.25, 20), (0.0, 0)])
def test_training_rows_are_dealt_by_class_into_two_parts(drawn, fraction, kept):
    task = drawn(100)
    fitted, validation = fitted_and_validation_rows(task, recipe(fraction))
    assert sorted([*fitted.tolist(), *validation.tolist()]) == list(range(80))
    assert len(validation) == kept
    assert task.rows.targets[validation].sum() == kept / 2


@pytest.mark.parametrize(("size", "fraction"), [(4, None), (2, 0.2), (12, None)])
def test_they_share_no_group(drawn, size, fraction):
    groups = torch.arange(40) // size
    fitted, validation = fitted_and_validation_rows(drawn(40, groups=groups), recipe(fraction, group="patient"))
    assert len(validation)
    assert not set(groups[fitted].tolist()) & set(groups[validation].tolist())
    assert sorted([*fitted.tolist(), *validation.tolist()]) == list(range(32))


def test_groups_that_cannot_be_kept_whole_are_reported(drawn):
    with pytest.raises(RecipeError, match='validation_fraction: no group of "patient" can be kept'):
        fitted_and_validation_rows(drawn(40, groups=torch.zeros(40, dtype=torch.long)), recipe(group="patient"))
    pretrained = recipe_from_entries({"model": {"kind": "pretrained"}, "data": {"group": "patient"}})
    with pytest.raises(RecipeError, match=r'training\.finetune: no group of "patient" can be kept'):
        fitted_and_validation_rows(drawn(40, groups=torch.zeros(40, dtype=torch.long)), pretrained)
