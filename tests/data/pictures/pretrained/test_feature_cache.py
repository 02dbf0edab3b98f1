"""The cache of features: what is kept, what makes room, and that a damaged file ends nothing."""

import sqlite3
from pathlib import Path

import pytest
import torch

from polylogit.data.pictures.pretrained.feature_cache import FeatureCache, default_cache_file
from polylogit.errors import PolylogitWarning


def test_features_come_back_by_key_and_of_the_right_length(tmp_path):
    features = {bytes([n]) * 32: torch.rand(7) for n in range(5)}
    FeatureCache(tmp_path / "deep" / "f.sqlite").write(features)
    found = FeatureCache(tmp_path / "deep" / "f.sqlite").read([*features, b"other"], 7)
    assert found.keys() == features.keys()
    assert all(torch.equal(found[key], features[key]) for key in features)
    assert FeatureCache(tmp_path / "deep" / "f.sqlite").read([*features], 8) == {}


def test_what_was_used_longest_ago_makes_room(tmp_path):
    cache = FeatureCache(tmp_path / "f.sqlite", most_bytes=10 * 4 * 100)
    old, new = ({f"{age}{n}".encode(): torch.ones(100) for n in range(8)} for age in ("old", "new"))
    cache.write(old)
    with sqlite3.connect(tmp_path / "f.sqlite") as connection:
        connection.execute("UPDATE features SET used = used - 9")
    connection.close()
    assert len(cache.read([b"old7"], 100)) == 1  # used today again
    cache.write(new)
    assert cache.read(list(new), 100).keys() == new.keys()
    kept = cache.read(list(old), 100)
    assert 1 <= len(kept) <= 2
    assert b"old7" in kept


def test_a_damaged_file_is_a_warning_and_features_are_computed_again(tmp_path):
    (tmp_path / "f.sqlite").write_bytes(b"no database at all, " * 100)
    cache = FeatureCache(tmp_path / "f.sqlite")
    with pytest.warns(PolylogitWarning, match=r"f\.sqlite: the cache of features cannot be read \(file is not a"):
        assert cache.read([b"a"], 3) == {}
    cache.write({b"a": torch.ones(3)})  # warned once, then done without


def test_numbers_that_are_not_finite_are_passed_over(tmp_path):
    cache = FeatureCache(tmp_path / "f.sqlite")
    cache.write({b"a": torch.tensor([1.0, torch.nan]), b"b": torch.ones(2)})
    assert cache.read([b"a", b"b"], 2).keys() == {b"b"}


def test_the_folder_of_the_cache_can_be_named_or_there_is_none(monkeypatch, tmp_path):
    monkeypatch.setenv("POLYLOGIT_CACHE", str(tmp_path))
    assert default_cache_file() == tmp_path / "features.sqlite"
    monkeypatch.setenv("POLYLOGIT_CACHE", "")
    assert default_cache_file() is None
    assert FeatureCache(None).read([b"a"], 2) == {}
    monkeypatch.delenv("POLYLOGIT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_cache_file() == Path("/somewhere/polylogit/features.sqlite")
