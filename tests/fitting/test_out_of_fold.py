import pytest
import torch

from polylogit.fitting.out_of_fold import out_of_fold_logits


def spy(targets, **options):
    """Run with a model that gives row numbers for logits, and keep what it was asked."""
    asked = []

    def fit_and_score(fitted, scored):
        asked.append((set(fitted.tolist()), set(scored.tolist())))
        return scored[:, None].double().expand(-1, 3)

    return out_of_fold_logits(targets, fit_and_score, seed=0, **options), asked


def test_no_row_is_scored_by_a_model_that_saw_it():
    targets = torch.arange(3).repeat(17)
    held_out, asked = spy(targets)
    assert len(asked) == held_out.fits == 10
    for fitted, scored in asked:
        assert not fitted & scored
        assert len(fitted | scored) == len(targets)
    assert sorted(held_out.rows.tolist()) == list(range(len(targets)))
    assert torch.equal(held_out.logits[:, 0].long(), held_out.rows)


def test_it_stops_when_enough_rows_are_held_out():
    held_out, asked = spy(torch.arange(3).repeat(1000), rows_wanted=500)
    assert len(asked) == 2
    assert len(held_out.rows) == 600


def test_fits_are_counted_against_those_planned():
    counted = []
    spy(torch.arange(3).repeat(1000), rows_wanted=500, on_fit=lambda done, total: counted.append((done, total)))
    assert counted == [(1, 2), (2, 2)]


@pytest.mark.parametrize("folds", [2, 7])
def test_every_class_is_dealt_out_evenly(folds):
    targets = torch.tensor([0] * 40 + [1] * 9 + [2] * 100)
    _, asked = spy(targets, folds=folds)
    for k in range(3):
        of_class = set((targets == k).nonzero()[:, 0].tolist())
        counts = [len(scored & of_class) for _, scored in asked]
        assert max(counts) - min(counts) <= 1
    sizes = [len(scored) for _, scored in asked]
    assert max(sizes) - min(sizes) <= 1


def test_the_only_row_of_a_class_is_always_fitted_to():
    held_out, asked = spy(torch.tensor([0, 0, 1, 2, 2]))
    assert 2 not in held_out.rows.tolist()
    assert all(2 in fitted for fitted, _ in asked)


def test_classes_of_one_row_each_leave_nothing_to_hold_out():
    assert spy(torch.arange(4))[0] is None


def test_the_seed_decides_the_folds():
    targets = torch.arange(3).repeat(17)
    assert spy(targets)[1] == spy(targets)[1]


def test_no_group_stands_on_both_sides():
    groups = torch.arange(30).repeat_interleave(4)
    targets = torch.arange(3).repeat(40)
    held_out, asked = spy(targets, groups=groups)
    assert sorted(held_out.rows.tolist()) == list(range(120))
    for _, scored in asked:
        inside = groups[sorted(scored)].unique()
        assert len(scored) == 4 * len(inside)
    assert {len(scored) for _, scored in asked} == {12}


def test_a_class_of_one_group_is_never_held_out():
    groups = torch.arange(30).repeat_interleave(4)
    targets = torch.arange(2).repeat(60)
    targets[groups == 7] = 2
    held_out, _ = spy(targets, groups=groups)
    assert not set((targets == 2).nonzero()[:, 0].tolist()) & set(held_out.rows.tolist())
