"""Tables whose categories training did not see: warned of in Python, and rejected where a whole column is unseen."""

import json
import warnings

import polars as pl
import pytest

from polylogit import Classifier, PolylogitWarning
from polylogit.errors import DataError
from polylogit.recipes import recipe_from_entries
from polylogit.run import evaluate, predict, train

ROWS = pl.DataFrame({"shop": ["1", "2", "3", "4"] * 30, "x": [float(row) for row in range(120)], "y": ["p", "q"] * 60})


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    ROWS.write_csv(folder / "s.csv")
    recipe = recipe_from_entries({"data": {"target": "y", "columns": {"shop": "category"}}})
    train(str(folder / "s.csv"), recipe, out=folder / "s.safetensors")
    return folder / "s.safetensors"


def with_unseen(rows):
    return ROWS.with_columns(pl.when(pl.row_index() < rows).then(pl.lit("Z")).otherwise(pl.col("shop")).alias("shop"))


def test_python_warns_of_unseen_categories(model):
    classifier = Classifier.load(model)
    for call in (classifier.predict, classifier.predict_probabilities, classifier.predict_logits):
        with pytest.warns(PolylogitWarning, match=r'column "shop": 120 of 120 rows \(100%\)'):
            call(with_unseen(120))
    with pytest.warns(PolylogitWarning, match='column "x": 120 rows have no value'):
        classifier.predict(ROWS.with_columns(x=pl.lit(None, pl.Float64)))
    with pytest.warns(PolylogitWarning, match="does not use: other"):
        classifier.predict(ROWS.with_columns(other=pl.lit(1)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier.predict(ROWS)


@pytest.mark.parametrize(("rows", "warned"), [(23, 0), (24, 1), (60, 1)])
def test_many_unseen_categories_are_a_warning(rows, warned, model, tmp_path):
    with_unseen(rows).write_csv(tmp_path / "t.csv")
    result = predict(model, str(tmp_path / "t.csv"))
    assert len(result.warnings) == warned
    assert f'column "shop": {rows} rows hold a value never seen in training' in result.notes[0]


def test_one_row_is_one_row(model, tmp_path, polylogit):
    ROWS[:1].with_columns(shop=pl.lit("Z"), x=pl.lit(None, pl.Float64)).write_csv(tmp_path / "t.csv")
    done = polylogit("predict", model, "t.csv", "--out", "p.csv", "--allow-unseen")
    assert 'column "shop": 1 row holds a value' in done.stderr
    assert 'column "x": 1 row has no value' in done.stderr
    assert "p.csv: 1 row\n" in done.stderr


def test_a_column_of_unseen_categories_is_an_error_unless_allowed(model, tmp_path, polylogit):
    with_unseen(61).write_csv(tmp_path / "t.csv")
    with pytest.raises(DataError, match='column "shop": 61 of 120 rows hold a value that training did not see'):
        predict(model, str(tmp_path / "t.csv"), tmp_path / "p.csv")
    assert not (tmp_path / "p.csv").exists()
    done = polylogit("predict", model, "t.csv", "--out", "p.csv")
    assert done.exit_code == 1
    assert "--allow-unseen" in done.stderr
    done = polylogit("predict", model, "t.csv", "--out", "p.csv", "--allow-unseen")
    assert done.exit_code == 0
    assert 'warning: column "shop": 61 of 120 rows (51%)' in done.stderr
    assert pl.read_csv(tmp_path / "p.csv").height == 120


def test_a_few_rows_are_rejected_only_where_all_are_unseen(model, tmp_path):
    for rows, unseen in ((2, 2), (9, 8)):
        with_unseen(unseen).head(rows).write_csv(tmp_path / "t.csv")
        assert predict(model, str(tmp_path / "t.csv")).rows == rows
    for rows in (3, 9):
        with_unseen(120).head(rows).write_csv(tmp_path / "t.csv")
        with pytest.raises(DataError, match=f"{rows} of {rows} rows hold a value that training did not see"):
            predict(model, str(tmp_path / "t.csv"))


def test_evaluate_warns_and_stops_as_predict_does(model, tmp_path, polylogit):
    with_unseen(24).write_csv(tmp_path / "t.csv")
    assert 'warning: column "shop": 24 of 120 rows (20%)' in polylogit("evaluate", model, "t.csv").stderr
    with_unseen(120).write_csv(tmp_path / "t.csv")
    done = polylogit("evaluate", model, "t.csv", "--report", "r.html")
    assert done.exit_code == 1
    assert "120 of 120 rows hold a value that training did not see" in done.stderr
    assert not (tmp_path / "r.html").exists()
    done = polylogit("evaluate", model, "t.csv", "--allow-unseen", "--json")
    assert json.loads(done.stdout)["warnings"][0].startswith('column "shop": 120 of 120 rows (100%)')


def test_classes_are_compared_by_value(tmp_path):
    rows = ROWS.with_columns(y=pl.Series(["0", "1"] * 60))
    rows.write_csv(tmp_path / "s.csv")
    run = train(str(tmp_path / "s.csv"), recipe_from_entries({"data": {"target": "y"}}), out=tmp_path / "m.safetensors")
    rows.head(50).write_csv(tmp_path / "as_trained.csv")
    rows.head(50).with_columns(y=pl.Series(["0.0", "1.0"] * 25)).write_csv(tmp_path / "floats.csv")
    expected, found = (evaluate(run.model_path, str(tmp_path / name)).test for name in ("as_trained.csv", "floats.csv"))
    assert found == expected


def test_codes_that_came_as_floats_are_the_same_codes(model, tmp_path):
    ROWS.with_columns(pl.col("shop").cast(pl.Float64)).write_csv(tmp_path / "t.csv")
    assert "1.0" in (tmp_path / "t.csv").read_text()
    result = predict(model, str(tmp_path / "t.csv"))
    assert result.notes == ()
    assert result.frame.equals(predict(model, str(model.parent / "s.csv")).frame)
