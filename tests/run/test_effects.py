"""Effects of columns: they add up to the logits, whatever the types of the columns."""

import datetime as dt
import json

import numpy as np
import polars as pl
import pytest

from polylogit import Classifier
from polylogit.errors import DataError
from polylogit.recipes import recipe_from_entries
from polylogit.report.page import report_html
from polylogit.run import column_effects, train
from polylogit.run.contributions import column_contributions
from polylogit.run.effects import MOST_EFFECTS, _range_drawn, _years

ROWS = 300


def mixed(classes):
    """A table of every type of column, with gaps."""
    draw = np.random.default_rng(3)
    x, y = draw.normal(size=ROWS), draw.exponential(size=ROWS)
    skin, flag = draw.choice(["fur", "scales", "wool"], ROWS), draw.random(ROWS) < 0.3
    days = [dt.date(2019, 3, 1) + dt.timedelta(days=int(day)) for day in draw.integers(0, 1500, ROWS)]
    score = np.sin(2 * x) + (skin == "fur") - flag + 0.3 * y
    kind = np.digitize(score + 0.3 * draw.normal(size=ROWS), np.linspace(-0.5, 1.5, classes - 1))
    frame = pl.DataFrame({"x": x, "y": y, "skin": skin, "flag": flag, "day": days, "kind": [f"k{k}" for k in kind]})
    gaps = pl.int_range(pl.len()) % 17 == 0
    return frame.with_columns(pl.when(~gaps).then(pl.col(name)).alias(name) for name in ("x", "skin", "flag"))


@pytest.fixture(scope="module", params=[2, 3])
def trained(request, tmp_path_factory):
    folder, frame = tmp_path_factory.mktemp("effects"), mixed(request.param)
    frame.write_csv(folder / "t.csv")
    entries = {"model": {"kind": "additive"}, "data": {"target": "kind"}, "cross_validation": {"folds": 0}}
    run = train(
        str(folder / "t.csv"), recipe_from_entries(entries), out=folder / "m.safetensors", report=folder / "r.json"
    )
    return Classifier.load(run.model_path), frame.drop("kind"), folder


def at(effect, cell, name):
    """The effect of a cell, read off the curve or the bars."""
    curve = effect.curves[name]
    if cell is None:
        return effect.missing[name]
    if effect.kind == "category":
        return curve[effect.names.index(str(cell).lower() if isinstance(cell, bool) else cell)]
    return float(np.interp(cell, effect.places, curve))


def test_effects_add_up_to_the_logits(trained):
    classifier, frame, _ = trained
    effects = column_effects(classifier, frame)
    assert [effect.size for effect in effects] == sorted((effect.size for effect in effects), reverse=True)
    by_name = {effect.column: effect for effect in effects}
    assert set(by_name) == {"x", "y", "skin", "flag", "day", "day, month", "day, weekday"}
    logits = classifier.score(classifier.preprocessing.encode(frame)).network_logits.double().numpy()
    centred = logits[:, 1:] - logits[:, :1] if logits.shape[1] == 2 else logits - logits.mean(1, keepdims=True)
    for place, name in enumerate(by_name["x"].curves):
        total = np.zeros(ROWS)
        for row, cells in enumerate(frame.iter_rows(named=True)):
            day = cells.pop("day")
            total[row] = sum(at(by_name[column], cell, name) for column, cell in cells.items())
            total[row] += at(by_name["day"], _years(np.array([(day - dt.date(1970, 1, 1)).days], dtype=float))[0], name)
            total[row] += at(by_name["day, month"], f"{day:%B}", name) + at(by_name["day, weekday"], f"{day:%A}", name)
        np.testing.assert_allclose(total, centred[:, place] - centred[:, place].mean(), atol=1e-4)


def test_effects_are_centred_and_say_of_which_rows(trained):
    classifier, frame, _ = trained
    by_name = {effect.column: effect for effect in column_effects(classifier, frame, rows="evaluated rows")}
    skin = by_name["skin"]
    assert skin.rows == "evaluated rows"
    assert sum(skin.histogram) == ROWS - frame["skin"].null_count()
    counts = [*skin.histogram, frame["skin"].null_count()]
    for name, curve in skin.curves.items():
        assert np.dot(counts, [*curve, skin.missing[name]]) == pytest.approx(0, abs=1e-4)
    assert len(column_effects(classifier, frame, most=2)) == 2


def test_differences_of_effects_are_contributions(trained):
    classifier, frame, _ = trained
    inputs = classifier.preprocessing.encode(frame)
    logits = classifier.logits_of_inputs(inputs)
    found = column_contributions(classifier, inputs, logits)
    (effect,) = (effect for effect in column_effects(classifier, frame) if effect.column == "y")
    pairs = [(0, 1), (0, 2)]
    for first, second in pairs:
        if (found[first].winner, found[first].runner_up) != (found[second].winner, found[second].runner_up):
            continue
        names = (found[first].winner, found[first].runner_up)
        of = [
            sum(
                sign * at(effect, frame["y"][row], name)
                for sign, name in zip((1, -1), names, strict=True)
                if name in effect.curves
            )
            for row in (first, second)
        ]
        assert of[0] - of[1] == pytest.approx(found[first].columns["y"] - found[second].columns["y"], abs=1e-4)


def test_the_reports_show_them(trained):
    *_, folder = trained
    effects = json.loads((folder / "r.json").read_text())["effects"]
    assert {effect["column"] for effect in effects} >= {"x", "skin", "day, month"}
    assert len(effects[0]["curves"]) in {1, 3}


def test_the_page_draws_the_largest(trained, tmp_path):
    _, _, folder = trained
    entries = {"model": {"kind": "additive"}, "data": {"target": "kind"}, "cross_validation": {"folds": 0}}
    train(
        str(folder / "t.csv"), recipe_from_entries(entries), out=tmp_path / "m.safetensors", report=tmp_path / "r.html"
    )
    page = (tmp_path / "r.html").read_text()
    assert 'id="figure-effects"' in page
    assert "Effect of x on the logits, over the distribution of the training rows" in page
    assert 'id="figure-coefficients"' not in page
    assert report_html.__doc__


def test_other_models_have_none(tmp_path):
    recipe = recipe_from_entries({"model": {"kind": "mlp"}, "training": {"epochs": 1}})
    classifier = train("zoo", recipe, out=tmp_path / "m.safetensors").classifier
    with pytest.raises(DataError, match="expected a linear or an additive model of a table"):
        column_effects(classifier, pl.DataFrame({"legs": [4]}))


def test_a_linear_model_has_straight_lines(tmp_path):
    frame = mixed(2)
    frame.write_csv(tmp_path / "t.csv")
    entries = {"data": {"target": "kind"}, "cross_validation": {"folds": 0}}
    classifier = train(str(tmp_path / "t.csv"), recipe_from_entries(entries), out=tmp_path / "m.safetensors").classifier
    (effect,) = (effect for effect in column_effects(classifier, frame.drop("kind")) if effect.column == "y")
    assert list(effect.places) == [frame["y"].min(), frame["y"].max()]


def test_the_report_of_a_wide_linear_model_shows_its_text(tmp_path):
    rng = np.random.default_rng(0)
    truth = np.arange(60) % 2
    numbers = rng.normal(size=(60, MOST_EFFECTS + 5)) + truth[:, None]
    words = rng.choice(["a long walk by the sea", "much rain over the hills", "two birds on one tree"], 60)
    notes = [f"{text}, day {day}" for day, text in enumerate(words)]
    table = {f"x{place}": column for place, column in enumerate(numbers.T)} | {"note": notes, "kind": truth}
    pl.DataFrame(table).write_csv(tmp_path / "t.csv")
    report = tmp_path / "r.json"
    entries = {
        "model": {"kind": "linear"},
        "data": {"target": "kind", "columns": {"note": "text"}},
        "cross_validation": {"folds": 0},
    }
    train(str(tmp_path / "t.csv"), recipe_from_entries(entries), out=tmp_path / "m.safetensors", report=report)
    assert [effect["column"] for effect in json.loads(report.read_text())["effects"]] == ["note"]


def test_a_far_end_is_not_drawn_whole():
    assert _range_drawn(np.array([0.0, 1.0, 2.0, 3.0, 1e6])) == (0.0, 9.0)
    assert _range_drawn(np.array([0.0, 1.0, 2.0, 3.0])) == (0.0, 3.0)
