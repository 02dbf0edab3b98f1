"""Rows that carry weights, through the whole run: fit, calibration, cross-validation, every figure and the page."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from polylogit.errors import DataError, RecipeError
from polylogit.recipes.recipe import recipe_from_entries
from polylogit.run import evaluate, predict, train

HARDLY = 1e-9


@pytest.fixture(scope="module")
def noisy():
    """400 rows that a line tells apart; two fifths of them have a drawn class and hardly any weight."""
    draw = np.random.default_rng(0)
    x, noise = draw.normal(size=(400, 2)), draw.random(400) < 0.4
    kind = np.where(noise, draw.integers(0, 2, 400), x[:, 0] + 0.05 * draw.normal(size=400) > 0)
    return pl.DataFrame(
        {
            "x": x[:, 0],
            "y": x[:, 1],
            "counts": np.where(noise, HARDLY, 1.0),
            "kind": np.where(kind, "up", "down"),
        }
    )


def run(frame, path, weight="counts", *, sections=None, report=None, **options):
    frame.write_parquet(path)
    entries = {"data": {"target": "kind", "weight": weight, **options}, **(sections or {})}
    return train(str(path), recipe_from_entries(entries), out=path.with_suffix(".safetensors"), report=report)


@pytest.mark.cross_validated
@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_every_figure_takes_each_row_by_its_weight(noisy, tmp_path, kind):
    """Without weights no figure here is better than an accuracy of 0.85 and a log loss of 0.4."""
    sections = {"model": {"kind": kind}, "cross_validation": {"repeats": 1} if kind == "linear" else {}}
    sections["training"] = {"epochs": 30} if kind == "mlp" else {"C": 100}
    done = run(noisy, tmp_path / "t.parquet", sections=sections, report=tmp_path / "r.html")
    judged = [done.train, done.test, done.test_uncalibrated, evaluate(done.model_path, done.data).test]
    if kind == "linear":
        judged.append(done.cross_validation.summary)
    assert [figures.accuracy for figures in judged] == [pytest.approx(1, abs=0.05)] * len(judged)
    assert [figures.log_loss for figures in judged] == [pytest.approx(0, abs=0.2)] * len(judged)
    assert done.calibration.log_loss_before < 0.2
    assert done.calibration.log_loss_after < 0.2
    if kind == "mlp":
        last = json.loads(done.history_path.read_text().splitlines()[-1])
        assert last["validation_loss"] < 0.2
        assert last["validation_accuracy"] > 0.95
    page = done.report_path.read_text(encoding="utf-8")
    assert "the rows have weights, and every share, mean and count on this page is weighted" in page
    low, high = done.test.accuracy_interval
    assert high - low > 0.05  # 48 rows or so count, not 80


def test_a_weight_is_a_repetition(tmp_path):
    draw = np.random.default_rng(1)
    x, times = draw.normal(size=(90, 2)), draw.integers(1, 4, 90)
    frame = pl.DataFrame({"x": x[:, 0], "y": x[:, 1], "kind": np.where(x[:, 0] + draw.normal(size=90) > 0, "a", "b")})
    frame = frame.with_columns(part=pl.Series(["train", "train", "test"] * 30), times=pl.Series(times))
    repeated = frame.select(pl.exclude("times").repeat_by("times")).explode(pl.all())
    sections = {"calibration": {"method": "none"}, "training": {"tolerance": 1e-12, "class_weight": "balanced"}}
    options = {"split": "part", "number_values": "raw", "sections": sections}
    once = run(frame, tmp_path / "once.parquet", "times", **options)
    often = run(repeated, tmp_path / "often.parquet", None, **options)
    for name, value in once.classifier.network.state_dict().items():
        torch.testing.assert_close(value, often.classifier.network.state_dict()[name], atol=1e-5, rtol=1e-5)
    assert once.test.confusion == often.test.confusion
    assert once.test.log_loss == pytest.approx(often.test.log_loss, abs=1e-6)
    assert once.test.macro.roc_auc == pytest.approx(often.test.macro.roc_auc)


@pytest.mark.cross_validated
def test_each_fold_is_fitted_by_weight(noisy, tmp_path):
    """Six rows of ten say the opposite, and hardly count."""
    opposite = np.random.default_rng(2).random(noisy.height) < 0.6
    kind = np.where((noisy["x"].to_numpy() > 0) ^ opposite, "up", "down")
    frame = noisy.with_columns(kind=pl.Series(kind), counts=pl.Series(np.where(opposite, HARDLY, 1.0)))
    done = run(frame, tmp_path / "t.parquet", sections={"cross_validation": {"repeats": 1}})
    assert done.cross_validation.summary.accuracy > 0.9


def test_balanced_classes_are_balanced_by_weight_not_by_rows(noisy, tmp_path):
    """Then the weight that a class has in all changes nothing in the mean of a network's loss."""
    sections = {"model": {"kind": "mlp", "hidden": []}, "calibration": {"method": "none"}}
    sections["training"] = {"epochs": 3, "class_weight": "balanced", "batch_size": "all"}
    fits = []
    for times in (1.0, 7.0):
        heavier = noisy.with_columns(counts=pl.when(pl.col("kind") == "up").then(times).otherwise(1.0))
        fits.append(run(heavier, tmp_path / "t.parquet", sections=sections).classifier.network.state_dict())
    for name, value in fits[0].items():
        torch.testing.assert_close(value, fits[1][name])


@pytest.mark.cross_validated
def test_rows_of_weight_0_are_as_if_they_were_not_there(noisy, tmp_path):
    frame = noisy.with_columns(counts=(pl.col("counts") == 1).cast(pl.Float64))
    sections = {"cross_validation": {"repeats": 1}}
    with_them = run(frame, tmp_path / "t.parquet", sections=sections)
    without = run(frame.filter(pl.col("counts") > 0), tmp_path / "u.parquet", sections=sections)
    assert with_them.test == without.test
    scores = [replace(run.cross_validation, folds_digest="") for run in (with_them, without)]  # it names the file
    assert scores[0] == scores[1]
    assert with_them.classifier.temperature == without.classifier.temperature
    assert evaluate(with_them.model_path, with_them.data).test == with_them.test
    assert predict(with_them.model_path, with_them.data).rows == 400


def test_new_rows_need_no_weights(noisy, tmp_path):
    done = run(noisy, tmp_path / "t.parquet")
    noisy.drop("counts").write_csv(tmp_path / "new.csv")
    judged = evaluate(done.model_path, str(tmp_path / "new.csv"))
    assert 'there is no column "counts" of weights, so all rows weigh the same.' in judged.notes
    assert judged.test.accuracy < 0.85
    told = predict(done.model_path, done.data).notes
    assert not any("counts" in note for note in told)
    assert "counts" not in done.classifier.preprocessing.feature_names


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["1", "-2", "1"], 'column "counts", row 2: expected a weight of 0 or more, got -2'),
        (["1", "1", ""], 'column "counts", row 3: expected a weight of 0 or more, got a missing one'),
        (["1", "many", "1"], 'column "counts", row 2: expected a number, got "many"'),
        (["inf", "1", "1"], 'column "counts", row 1'),
        (["0", "0", "0"], 'column "counts": every weight is 0'),
    ],
)
@pytest.mark.parametrize("command", ["train", "check"])
def test_what_is_no_weight_is_reported_with_its_row(command, cells, words, polylogit, tmp_path):
    lines = [f"{number},{cells[number % 3]},{'ab'[number % 2]}\n" for number in range(30)]
    (tmp_path / "t.csv").write_text("x,counts,kind\n" + "".join(lines))
    told = polylogit(command, "t.csv", "--target", "kind", "--set", "data.weight=counts")
    assert told.exit_code == 1
    assert words in told.stderr


def test_the_command_line_names_the_column(noisy, polylogit, tmp_path):
    noisy.write_csv(tmp_path / "t.csv")
    told = polylogit("train", "t.csv", "--target", "kind", "--weight", "counts")
    assert 'classes, weighted by "counts"' in " ".join(told.stdout.split())
    told = polylogit("train", "t.csv", "--target", "kind", "--weight", "count")
    assert told.exit_code == 1
    assert 'data.weight names the column "count", which is not there. Did you mean "counts"?' in told.stderr


def test_pictures_carry_no_weights(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(RecipeError, match=r"data\.weight: does not apply to a picture folder"):
        train(str(tmp_path), recipe_from_entries({"data": {"weight": "w"}}), out=tmp_path / "m.safetensors")


def test_a_second_table_needs_the_weights_too(noisy, tmp_path):
    noisy.drop("counts").write_parquet(tmp_path / "second.parquet")
    with pytest.raises(DataError, match='"counts" is not there'):
        run(noisy, tmp_path / "t.parquet", test=str(tmp_path / "second.parquet"))
    noisy.write_parquet(tmp_path / "second.parquet")
    done = run(noisy, tmp_path / "t.parquet", test=str(tmp_path / "second.parquet"))
    assert done.test.accuracy > 0.95
