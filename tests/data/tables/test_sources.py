import os

import polars as pl
import pytest

from polylogit.data.tables.sources import open_source
from polylogit.errors import DataError


def test_the_zoo_is_the_table_of_the_lessons():
    frame = open_source("zoo").frame
    features = frame.drop("type").with_columns(pl.all().cast(pl.Int64))
    assert features.shape == (101, 16)
    assert features.row(0) == (1, 0, 0, 1, 0, 0, 1, 1, 1, 1, 0, 0, 4, 0, 0, 1)
    assert features.row(2) == (0, 0, 1, 0, 0, 1, 1, 1, 1, 0, 0, 1, 0, 1, 0, 0)
    assert frame["type"][:5].to_list() == ["mammal", "mammal", "fish", "mammal", "mammal"]
    counts = dict(frame["type"].value_counts().iter_rows())
    assert counts == {
        "mammal": 41, "bird": 20, "fish": 13, "invertebrate": 10, "insect": 8, "reptile": 5, "amphibian": 4,
    }  # fmt: skip


def test_the_fingerprint_is_of_the_bytes(tmp_path):
    for name, text in (("a.csv", "x,y\n1,2\n"), ("b.csv", "x,y\n1,2\n"), ("c.csv", "x,y\n1,3\n")):
        (tmp_path / name).write_text(text)
    a, b, c = (open_source(str(tmp_path / f"{name}.csv")).fingerprint for name in "abc")
    assert a == b != c


def test_a_file_name_that_is_not_utf8_is_refused(tmp_path):
    path = tmp_path / os.fsdecode(b"b\xff.csv")
    path.write_text("x,y\n1,2\n")
    for data in (path, tmp_path):
        with pytest.raises(DataError, match="the name of the file is not UTF-8"):
            open_source(str(data))


def test_the_nearest_names_are_reported(tmp_path):
    (tmp_path / "animals.csv").write_text("x,y\n1,2\n")
    with pytest.raises(DataError, match=r'no such file or data name\. Did you mean ".*animals\.csv"'):
        open_source(str(tmp_path / "animal.csv"))
    with pytest.raises(DataError, match='Did you mean "zoo"'):
        open_source("zo")
