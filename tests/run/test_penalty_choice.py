"""The choice of C by cross-validated log loss."""

import json

import numpy as np
import polars as pl
import pytest
import torch

from polylogit.calibration import fit_calibration
from polylogit.evaluation.metrics import log_loss
from polylogit.evaluation.rows import ScoredRows
from polylogit.fitting.out_of_fold import HeldOutLogits
from polylogit.recipes import recipe_from_entries
from polylogit.run import train
from polylogit.run.penalty_choice import choose_penalty

pytestmark = pytest.mark.penalty_chosen


def path_with_its_best_at(best, rows=200, noise=0.0, seed=0):
    """Held-out logits whose log loss is lowest at one C; with noise the values near it cannot be distinguished."""
    targets = torch.arange(rows) % 2
    draw = torch.Generator().manual_seed(seed)

    def logits_at(C):
        far = abs(np.log10(C / best))
        margin = 2.0 - far + noise * torch.randn(rows, generator=draw)
        logits = torch.zeros(rows, 2)
        logits[torch.arange(rows), targets] = margin
        return HeldOutLogits(torch.arange(rows), logits, (rows,))

    return logits_at, targets


@pytest.mark.parametrize("best", [1e-4, 0.1, 1.0, 100.0])
def test_the_lowest_log_loss_wins_where_it_is_clear(best):
    choice = choose_penalty(*path_with_its_best_at(best))
    assert pytest.approx(best) == choice.C
    assert [point.C for point in choice.path] == sorted(point.C for point in choice.path)
    assert next(point for point in choice.path if point.C == choice.C).behind == 0
    assert not choice.at_the_edge


def test_values_that_cannot_be_distinguished_go_to_the_one_nearest_to_1():
    choice = choose_penalty(*path_with_its_best_at(10.0, rows=40, noise=8.0))
    lowest = min(choice.path, key=lambda point: point.log_loss)
    chosen = next(point for point in choice.path if point.C == choice.C)
    assert 0 < chosen.behind <= chosen.standard_error
    assert abs(np.log(choice.C)) < abs(np.log(lowest.C))


def test_the_path_ends_at_its_limit_and_says_so():
    choice = choose_penalty(*path_with_its_best_at(1e9))
    assert choice.at_the_edge
    assert choice.C == 1e6
    assert "limit" in choice.in_words


def test_weights_count_as_repeated_rows():
    targets, draw = torch.tensor([0, 1, 1, 0]), torch.Generator().manual_seed(0)
    logits = {power: torch.randn(4, 2, generator=draw) for power in range(-12, 13)}
    times = torch.tensor([3, 1, 2, 1])
    index = torch.repeat_interleave(torch.arange(4), times)

    def weighted(C):
        return HeldOutLogits(torch.arange(4), logits[round(2 * np.log10(C))], (4,))

    def repeated(C):
        return HeldOutLogits(torch.arange(7), logits[round(2 * np.log10(C))][index], (7,))

    once, often = choose_penalty(weighted, targets, times.double()), choose_penalty(repeated, targets[index])
    assert [point.log_loss for point in once.path] == pytest.approx([point.log_loss for point in often.path])


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """Many columns of noise and one that helps: a strong penalty is right."""
    draw = np.random.default_rng(0)
    columns = {f"x{n}": draw.normal(size=1500) for n in range(30)}
    kind = np.where(columns["x0"] + 1.5 * draw.normal(size=1500) > 0, "high", "low")
    path = tmp_path_factory.mktemp("noise") / "t.csv"
    pl.DataFrame(columns | {"kind": kind}).write_csv(path)
    return path


def test_a_run_chooses_and_records_it(noise):
    recipe = recipe_from_entries({"data": {"target": "kind", "test_fraction": 0.9}})
    run = train(str(noise), recipe, out=noise.with_name("m.safetensors"))
    assert run.penalty.C < 1
    assert run.classifier.recipe["training"]["C"] == run.recipe.training.C == run.penalty.C
    assert json.loads(json.dumps(run.as_json()))["penalty"]["path"][0]["C"] == pytest.approx(run.penalty.path[0].C)
    named = recipe_from_entries({"data": {"target": "kind", "test_fraction": 0.9}, "training": {"C": run.penalty.C}})
    again = train(str(noise), named, out=noise.with_name("again.safetensors"))
    assert again.penalty is None
    torch.testing.assert_close(again.classifier.network.state_dict(), run.classifier.network.state_dict())
    usual = recipe_from_entries({"data": {"target": "kind", "test_fraction": 0.9}, "training": {"C": 1.0}})
    assert run.test.log_loss < train(str(noise), usual, out=noise.with_name("usual.safetensors")).test.log_loss


def test_the_calibration_is_fitted_to_the_logits_of_the_chosen_penalty(noise, monkeypatch):
    seen = []

    def spy(logits, targets, **options):
        seen.append(logits)
        return fit_calibration(logits, targets, **options)

    monkeypatch.setattr("polylogit.run.held_out_rows.fit_calibration", spy)
    run = train(
        str(noise),
        recipe_from_entries({"data": {"target": "kind", "test_fraction": 0.9}}),
        out=noise.with_name("m.safetensors"),
    )
    assert torch.equal(seen[0], run.penalty.held_out.logits)
    targets = torch.tensor((pl.read_csv(noise)["kind"] == "low").cast(pl.Int64).to_list())
    scored = ScoredRows.check(seen[0], targets[run.penalty.held_out.rows])
    chosen = next(point for point in run.penalty.path if point.C == run.penalty.C)
    assert log_loss(scored) == pytest.approx(chosen.log_loss)  # fewer than 1,000 rows: no temperature


def test_a_class_of_one_row_each_leaves_nothing_to_choose_from(tmp_path):
    pl.DataFrame({"x": [1, 2, 3, 4], "kind": ["a", "b", "c", "d"]}).write_csv(tmp_path / "t.csv")
    recipe = recipe_from_entries({"data": {"target": "kind", "test_fraction": 0.0}})
    run = train(str(tmp_path / "t.csv"), recipe, out=tmp_path / "m.safetensors")
    assert run.penalty is None
    assert run.recipe.training.C == 1.0


def test_a_model_that_will_be_calibrated_is_compared_after_temperature_scaling():
    """At C = 0.1 the logits are the best but timid, above they are noisier and of the right size."""
    draw = torch.Generator().manual_seed(0)
    rows = 1000
    truth = 2 * torch.randn(rows, generator=draw)
    targets = (torch.rand(rows, generator=draw) < truth.sigmoid()).long()
    noise = torch.randn(rows, generator=draw)

    def logits_at(C):
        score = truth / 8 if C < 0.2 else truth + noise * (0.5 + 0.3 * abs(np.log10(C / 10)))
        return HeldOutLogits(torch.arange(rows), torch.stack([-score / 2, score / 2], 1), (rows,))

    powers = (-2, -4, 4)
    assert pytest.approx(10) == choose_penalty(logits_at, targets, powers=powers).C
    timid = choose_penalty(logits_at, targets, powers=powers, calibrated=True)
    assert pytest.approx(0.1) == timid.C
    assert timid.path[0].log_loss < 0.5
    assert choose_penalty(logits_at, targets, torch.ones(rows), powers=powers, calibrated=True).C == timid.C


@pytest.mark.parametrize("method", ["auto", "none"])
def test_training_compares_as_it_calibrates(method, tmp_path, monkeypatch):
    asked = []

    def asking(*arguments, calibrated, **options):
        asked.append(calibrated)
        return choose_penalty(*arguments, calibrated=calibrated, **options)

    monkeypatch.setattr("polylogit.run.linear_fit.choose_penalty", asking)
    train(
        "zoo",
        recipe_from_entries({"calibration": {"method": method}, "cross_validation": {"folds": 0}}),
        out=tmp_path / "m.safetensors",
    )
    assert asked == [method != "none"]
