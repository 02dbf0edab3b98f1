"""Copies of rows stay on one side of every split, and the outcome says so."""

import json

import numpy as np
import polars as pl
import pytest
import torch

from polylogit.data.split import stratified_split
from polylogit.fitting.out_of_fold import out_of_fold_logits
from polylogit.recipes import recipe_from_entries
from polylogit.run import evaluate, train
from polylogit.run.table_task import table_task


@pytest.fixture
def thrice(tmp_path):
    """100 rows of noise, each written three times; only copies of a row say anything about its class."""
    draw = np.random.default_rng(0)
    frame = pl.DataFrame(draw.normal(size=(100, 120)).round(4))
    kinds = pl.Series("kind", draw.choice(["a", "b"], size=100))
    path = tmp_path / "thrice.csv"
    pl.concat([frame.with_columns(kinds)] * 3).write_csv(path)
    return str(path)


def recipe(**data):
    return recipe_from_entries({"data": {"target": "kind", **data}})


def test_no_copy_of_a_training_row_is_held_out(thrice):
    _, task = table_task(thrice, recipe())
    train_rows, test_rows = task.split.train % 100, task.split.test % 100
    assert len(test_rows) == pytest.approx(60, abs=3)
    assert not torch.isin(test_rows, train_rows).any()


def test_metrics_are_those_of_noise(thrice, tmp_path):
    together = train(thrice, recipe(), out=tmp_path / "a.safetensors")
    apart = train(thrice, recipe(duplicate_rows="independent"), out=tmp_path / "b.safetensors")
    assert together.test.accuracy < 0.7 < apart.test.accuracy
    assert "copies stay on one side of every split" in together.notes[0]
    assert "metrics can be optimistic" in apart.notes[0]


def test_evaluate_finds_the_same_held_out_rows(thrice, tmp_path):
    trained = train(thrice, recipe(), out=tmp_path / "a.safetensors")
    assert evaluate(tmp_path / "a.safetensors", thrice).test.log_loss == pytest.approx(trained.test.log_loss)


def test_the_command_line_says_what_happened_to_copies(thrice, polylogit):
    result = polylogit("train", thrice, "--target", "kind", "--json")
    assert "200 rows repeat an earlier row" in json.loads(result.stdout.splitlines()[-1])["notes"][0]
    assert "200 rows repeat an earlier row" in result.stderr


def test_a_column_of_groups_and_copies_cannot_both_decide(polylogit, thrice):
    settings = ["--set", "data.group=kind", "--set", "data.duplicate_rows=together"]
    result = polylogit("train", thrice, "--target", "kind", *settings)
    assert result.exit_code == 2
    assert "group says which rows stay together" in result.stderr


def test_whole_sets_are_held_out_class_by_class():
    targets, copies = torch.tensor([0] * 30 + [1] * 30), torch.arange(60) // 3
    split = stratified_split(targets, 0.2, seed=0, copies=copies)
    assert not torch.isin(copies[split.test], copies[split.train]).any()
    assert torch.bincount(targets[split.test]).tolist() == [6, 6]


def test_folds_keep_copies_together_and_classes_even():
    targets, groups = torch.tensor([0] * 40 + [1] * 10), torch.arange(50) // 2
    folds = []

    def score(fitted, scored):
        assert not torch.isin(groups[fitted], groups[scored]).any()
        folds.append(torch.bincount(targets[scored], minlength=2).tolist())
        return torch.zeros(len(scored), 2)

    out_of_fold_logits(targets, score, seed=0, groups=groups, folds=5)
    assert folds == [[8, 2]] * 5
