"""Text columns from the table to predictions, explanations and refusals, in the languages that people write."""

import json

import numpy as np
import polars as pl
import pytest
import torch

from polylogit import Classifier
from polylogit.data.tables.encoder import TableEncoder
from polylogit.errors import DataError, ExportError, RecipeError
from polylogit.export import export_model
from polylogit.recipes import recipe_from_entries
from polylogit.run import predict, train
from polylogit.run.effects import column_effects
from polylogit.system.sparse_rows import SparseRows

GOOD = ["good", "lovely", "fast delivery", "works well", "좋아요", "很好"]
BAD = ["bad", "broken", "never again", "late parcel", "별로예요", "很差"]
FILLER = ["the", "order", "came", "with", "a", "box", "and", "paper", "🎉", "&amp;", "<br>", "today"]


def reviews(rows=160, seed=0):
    random = np.random.default_rng(seed)
    kinds = random.integers(0, 2, rows)
    texts = [
        " ".join([*random.choice(FILLER, 4), random.choice(GOOD if kind else BAD), *random.choice(FILLER, 3)])
        for kind in kinds
    ]
    return pl.DataFrame(
        {
            "review": texts,
            "stars": random.normal(kinds, 2.0),
            "shop": random.choice(["north", "south"], rows),
            "opinion": np.where(kinds, "good", "bad"),
        }
    )


def trained(folder, frame=None, **entries):
    path = folder / "reviews.csv"
    (reviews() if frame is None else frame).write_csv(path)
    data = {"target": "opinion", **entries.pop("data", {})}
    recipe = recipe_from_entries({"model": {"kind": "linear"}, **entries, "data": data})
    return train(str(path), recipe, out=folder / "m.safetensors")


@pytest.mark.parametrize("kind", ["linear", "additive"])
def test_text_beside_numbers_and_categories_is_learned_and_predicted_alike_on_every_way(tmp_path, kind):
    run = trained(tmp_path, model={"kind": kind})
    classifier = run.classifier
    assert [column.type for column in classifier.preprocessing.columns] == ["text", "number", "category"]
    new = reviews(60, seed=1)
    logits = classifier.predict_logits(new.drop("opinion"))
    predicted = classifier.predict(new.drop("opinion"))
    assert np.mean([a == b for a, b in zip(predicted, new["opinion"], strict=True)]) > 0.9
    again = Classifier.load(tmp_path / "m.safetensors")
    assert torch.equal(again.predict_logits(new.drop("opinion")), logits)
    rows = again.predict_rows(new.drop("opinion").to_dicts())
    assert [row.class_name for row in rows] == predicted
    probabilities = torch.softmax(logits, 1)
    of_rows = torch.tensor([[row.probabilities[name] for name in classifier.class_names] for row in rows])
    assert torch.allclose(of_rows, probabilities, rtol=0, atol=1e-6)
    alone = torch.cat([classifier.predict_logits(new.drop("opinion")[row]) for row in range(5)])
    assert torch.allclose(alone, logits[:5], rtol=0, atol=1e-6)


def test_rows_of_text_are_sparse_and_tables_without_text_are_not():
    frame = reviews().drop("opinion")
    encoder, inputs = TableEncoder.fit_encode(frame)
    assert isinstance(inputs, SparseRows)
    assert torch.equal(inputs.dense(), encoder.encode(frame).dense())
    plain = frame.drop("review")
    without, dense = TableEncoder.fit_encode(plain)
    assert isinstance(dense, torch.Tensor)
    places = [place for place, name in enumerate(encoder.feature_names) if name in without.feature_names]
    assert torch.equal(inputs.dense()[:, places], dense)


def test_a_category_of_very_many_levels_is_sparse_and_equals_the_dense_form(monkeypatch):
    random = np.random.default_rng(0)
    frame = pl.DataFrame({"code": [f"c{n}" for n in random.integers(0, 300, 900)], "n": random.normal(size=900)})
    dense = TableEncoder.fit(frame)
    assert isinstance(dense.encode(frame), torch.Tensor)
    monkeypatch.setattr("polylogit.data.tables.sparse_features.MANY_LEVELS", 100)
    rows = dense.encode(frame)
    assert isinstance(rows, SparseRows)
    monkeypatch.undo()
    assert torch.equal(rows.dense(), dense.encode(frame))


def test_the_contributions_of_columns_and_terms_add_up(tmp_path):
    trained(tmp_path, calibration={"method": "none"})
    new = reviews(30, seed=1)
    new.write_csv(tmp_path / "new.csv")
    found = predict(tmp_path / "m.safetensors", str(tmp_path / "new.csv"), explain=True).frame
    parts = found.select(pl.sum_horizontal(r"^contribution_.*$")).to_series().to_numpy()
    ratio = np.abs(np.log(found["probability_good"] / found["probability_bad"]).to_numpy())
    np.testing.assert_allclose(parts, ratio, atol=1e-4)
    assert found["winner"].to_list() == found["class"].to_list()
    predict(tmp_path / "m.safetensors", str(tmp_path / "new.csv"), tmp_path / "new.jsonl", explain=True)
    first = json.loads((tmp_path / "new.jsonl").read_text(encoding="utf-8").splitlines()[0])["explanation"]
    assert first["columns"].keys() == {"review", "stars", "shop"}
    strongest = first["terms"]["review"]
    assert len(strongest) == 5
    assert f"{strongest[0]['term']} {strongest[0]['contribution']:+.4f}" in found["terms_review"][0]
    predict(tmp_path / "m.safetensors", str(tmp_path / "new.csv"), tmp_path / "new.parquet", explain=True)
    assert pl.read_parquet(tmp_path / "new.parquet").columns == found.columns


def test_only_models_whose_logits_are_sums_explain(tmp_path):
    trained(tmp_path, model={"kind": "mlp"}, training={"epochs": 1})
    with pytest.raises(RecipeError, match="--explain: applies to linear and additive models of tables"):
        predict(tmp_path / "m.safetensors", str(tmp_path / "reviews.csv"), explain=True)


def test_a_perceptron_takes_text(tmp_path):
    run = trained(tmp_path, model={"kind": "mlp", "hidden": [8]}, training={"epochs": 30})
    new = reviews(60, seed=1)
    right = [a == b for a, b in zip(run.classifier.predict(new.drop("opinion")), new["opinion"], strict=True)]
    assert np.mean(right) > 0.85


def test_unknown_words_are_reported(tmp_path):
    trained(tmp_path)
    new = reviews(20, seed=1)
    new.write_csv(tmp_path / "new.csv")
    notes = predict(tmp_path / "m.safetensors", str(tmp_path / "new.csv")).notes
    assert not any("vocabulary" in note for note in notes)
    new.with_columns(review=pl.lit("une phrase que personne ne connaît")).write_csv(tmp_path / "new.csv")
    warned = predict(tmp_path / "m.safetensors", str(tmp_path / "new.csv")).warnings
    assert any("120 of 120 words (100%) are not in the vocabulary" in words for words in warned)


def test_how_text_is_cut_can_be_asked_for(tmp_path):
    run = trained(tmp_path, data={"columns": {"review": "text:characters:2-3", "shop": "text"}, "drop": ["stars"]})
    review, shop = run.classifier.preprocessing.columns
    assert review.format == "characters:2-3"
    assert set(review.vocabulary.terms.str.len_chars()) == {2, 3}
    assert (shop.type, shop.format) == ("text", "characters:3-5")


def test_text_without_words_is_named(tmp_path):
    frame = reviews().with_columns(review=pl.lit("? !"))
    with pytest.raises(DataError, match='column "review": no words that could be terms'):
        trained(tmp_path, frame, data={"columns": {"review": "text:words"}})


def test_free_text_is_left_out_where_that_is_asked_for_and_no_type_is(tmp_path):
    run = trained(tmp_path, data={"free_text": "drop"})
    assert [column.name for column in run.classifier.preprocessing.columns] == ["stars", "shop"]
    run = trained(tmp_path, data={"free_text": "drop", "columns": {"review": "text"}})
    assert [column.name for column in run.classifier.preprocessing.columns] == ["review", "stars", "shop"]


def test_empty_texts_have_a_feature_of_their_own_and_a_cell_of_a_megabyte_is_read(tmp_path):
    frame = reviews().with_row_index()
    long = pl.lit("good box " * 120_000)
    text = pl.when(pl.col("index") % 5 == 0).then(None).when(pl.col("index") == 7).then(long).otherwise("review")
    run = trained(tmp_path, frame.with_columns(review=text).drop("index"))
    assert run.classifier.preprocessing.columns[0].missing
    rows = [{"review": None, "stars": 0.0, "shop": "north"}, {"review": "", "stars": 0.0, "shop": "north"}]
    first, second = run.classifier.predict_rows(rows)
    assert first == second
    frame = pl.DataFrame(rows, schema={"review": pl.String, "stars": pl.Float64, "shop": pl.String})
    with pytest.raises(DataError, match='column "review", row 1: expected one value, got list'):
        run.classifier.predict_rows([{**rows[0], "review": ["good"]}])
    of_frame = run.classifier.predict_probabilities(frame)[0]
    assert list(first.probabilities.values()) == pytest.approx(of_frame.tolist(), abs=1e-6)


@pytest.mark.parametrize("to", ["onnx", "sql", "torch"])
def test_exports_name_the_text_column_and_refuse_it(tmp_path, to):
    trained(tmp_path)
    with pytest.raises(ExportError, match='column "review": a column of type text cannot be exported'):
        export_model(tmp_path / "m.safetensors", to)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".csv", ".jsonl", ".safetensors"]


def test_the_report_shows_the_terms_that_add_most_to_each_class(tmp_path):
    run = trained(tmp_path)
    frame = reviews()
    effect = next(each for each in column_effects(run.classifier, frame.drop("opinion")) if each.column == "review")
    assert (effect.kind, list(effect.curves)) == ("text", ["good"])
    strongest = dict(zip(effect.names, effect.curves["good"], strict=True))
    assert max(strongest, key=strongest.get) in {"good", "lovely", "fast", "fast delivery", "works", "좋아요", "很好"}
