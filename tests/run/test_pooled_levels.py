"""Levels that share a feature are counted and reported, and features of many levels do not fill memory."""

import json

import numpy as np
import polars as pl
import pytest
import torch

from polylogit import Classifier, classifier
from polylogit.recipes import recipe_from_entries
from polylogit.run import train


@pytest.fixture
def shops(tmp_path):
    """600 rows of 40 shops, each row of a class that its shop has."""
    shop = np.random.default_rng(0).integers(0, 40, size=600)
    frame = pl.DataFrame({"shop": [f"s{n}" for n in shop], "kind": np.where(shop % 2, "odd", "even")})
    path = tmp_path / "shops.csv"
    frame.write_csv(path)
    return str(path)


def test_check_and_train_report_pooled_levels(shops, polylogit):
    options = [shops, "--target", "kind", "--set", "data.most_levels=10", "--json"]
    checked = json.loads(polylogit("check", *options).stdout)
    pooled = next(finding for finding in checked["findings"] if finding["code"] == "pooled-levels")
    assert "the 10 most frequent levels have a feature each; the other 30, in" in pooled["message"]
    assert "--set data.most_levels=N" in pooled["remedy"]
    assert checked["profiles"]["shop"]["levels"] == 40
    assert checked["profiles"]["shop"]["pooled_levels"] == 30
    trained = polylogit("train", *options)
    assert "the other 30" in trained.stderr
    assert any("the other 30" in warning for warning in json.loads(trained.stdout.splitlines()[-1])["warnings"])


def test_the_report_says_how_columns_were_read(shops, tmp_path):
    recipe = recipe_from_entries({"data": {"target": "kind", "most_levels": 10}})
    for ending in ("html", "md"):
        train(shops, recipe, out=tmp_path / "m.safetensors", report=tmp_path / f"r.{ending}")
        assert "category, 40 levels (30 of them pooled)" in (tmp_path / f"r.{ending}").read_text()


def test_all_levels_are_kept_where_memory_allows(shops, polylogit):
    result = polylogit("check", shops, "--target", "kind")
    assert "shop: category, 40 levels" in result.stdout
    assert "pooled" not in result.stdout


def test_rows_of_many_features_are_encoded_a_few_at_a_time(shops, tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    train(shops, recipe_from_entries({"data": {"target": "kind"}}), out=path)
    loaded, frame, heights = Classifier.load(path), pl.read_csv(shops), []
    whole = loaded.predict_logits(frame)
    encode = loaded.preprocessing.encode_counting

    def noting(rows, *place):
        heights.append(rows.height)
        return encode(rows, *place)

    monkeypatch.setattr(loaded.preprocessing, "encode_counting", noting)
    monkeypatch.setattr(classifier, "FEATURES_AT_ONCE", 4000)
    torch.testing.assert_close(loaded.predict_logits(frame), whole)
    assert max(heights) == 100
    assert sum(heights) == 600
