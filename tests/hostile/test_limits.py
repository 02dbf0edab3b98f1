"""Small files that claim to be huge: refused with a message that names the limit, before memory or disk is filled."""

import gzip
import json

import polars as pl
import pytest

from polylogit.data.tables.compression import opened
from polylogit.data.tables.limits import ALWAYS_TAKEN, Limits, current_limits, limits_from, reading_limits
from polylogit.data.tables.reading import read_table, scan_table
from polylogit.errors import DataError, RecipeError

READERS = (read_table, lambda path: list(scan_table(path)))


@pytest.fixture(params=READERS, ids=["whole", "in batches"])
def read(request):
    return request.param


def refused(read, path, words):
    with pytest.raises(DataError, match=words) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_a_gzip_bomb_is_refused_and_leaves_nothing_behind(read, tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    for ending in (".csv.gz", ".jsonl.gz"):
        path = tmp_path / f"t{ending}"
        path.write_bytes(gzip.compress(b"a,kind\n" + b"1,x\n" * (ALWAYS_TAKEN // 2)))
        refused(read, path, "expand to more than 100 times their size")
    assert not list((tmp_path / "temporary").iterdir())


def test_a_file_that_expands_a_little_is_always_taken(tmp_path):
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a,kind\n" + b"1,x\n" * 250_000))
    assert read_table(path).height == 250_000
    with reading_limits(Limits(bytes=1_000_000)):
        refused(read_table, path, "more than 1000000 bytes after decompression")


def test_a_decompressed_stream_gives_the_bytes_it_had(tmp_path):
    content = b"".join(b"%d,x\n" % row for row in range(400_000))
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(content, 1))
    with opened(tmp_path / "t.csv.gz") as source:
        assert source.readline() == b"0,x\n"
        assert b"0,x\n" + source.read() == content


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_an_endless_line_is_named(ending, read, tmp_path):
    path = tmp_path / f"t{ending}"
    lines = ["a,kind", "1,x", "2,y"] if ending == ".csv" else ['{"a": 1, "kind": "x"}'] * 3
    path.write_text("\n".join([*lines, "9" * 5000, *lines[1:]]))
    with reading_limits(Limits(line=1000)):
        refused(read, path, "line 4: longer than 1000 bytes")


def test_lines_up_to_the_limit_are_read(read, tmp_path):
    (tmp_path / "t.csv").write_text("a,kind\n" + "".join(f"{'9' * 95},x\n" for _ in range(200)))
    with reading_limits(Limits(line=97)):
        read(tmp_path / "t.csv")
    with reading_limits(Limits(line=96)):
        refused(read, tmp_path / "t.csv", "longer than 96 bytes")


def test_a_new_name_in_every_row_is_refused(read, tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps({f"k{row}": row, "kind": "x"}) + "\n" for row in range(5000)))
    refused(read, path, r"rows of 5001 columns in \d+ bytes; at most 100 times its size is taken")


def test_rows_without_bytes_are_refused(read, tmp_path):
    frame = pl.DataFrame({"a": [0], "kind": ["x"]}).select(pl.all().repeat_by(2_000_000).explode())
    frame.write_parquet(tmp_path / "t.parquet")
    frame.write_ipc(tmp_path / "t.arrow", compression="zstd")
    for name in ("t.parquet", "t.arrow"):
        refused(read, tmp_path / name, r"2000000 rows of 2 columns in \d+ bytes; at most 100 times")
        with reading_limits(Limits(expansion=100_000)):
            read(tmp_path / name)


def test_columns_beyond_the_limit_are_refused_in_every_format(read, tmp_path):
    frame = pl.DataFrame({f"c{column}": [1, 2] for column in range(30)})
    frame.write_csv(tmp_path / "t.csv")
    frame.write_parquet(tmp_path / "t.parquet")
    frame.write_ndjson(tmp_path / "t.jsonl")
    with reading_limits(Limits(columns=20)):
        for name in ("t.csv", "t.parquet", "t.jsonl"):
            refused(read, tmp_path / name, "30 columns; at most 20 are taken")


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_columns_that_are_not_numbers_have_a_limit_of_their_own(ending, polylogit, tmp_path):
    columns = {f"n{place}": [1.5, 2.5, None] * 8 for place in range(4)} | {
        f"t{place}": ["a", "b", "c"] * 8 for place in "xyz"
    }
    frame = pl.DataFrame(columns)
    frame.write_csv(tmp_path / "t.csv", null_value="NA")
    frame.write_parquet(tmp_path / "t.parquet")
    refused_ = polylogit("check", f"t{ending}", "--target", "tx", "--limit", "other_columns=1")
    assert refused_.exit_code == 1
    assert "2 columns that are not all numbers; at most 1 are taken" in refused_.stderr
    assert polylogit("check", f"t{ending}", "--target", "tx", "--limit", "other_columns=2").exit_code == 0


def test_the_option_changes_a_limit_for_one_command(polylogit, tmp_path):
    (tmp_path / "t.csv").write_text("a,b,kind\n" + "1,2,x\n2,1,y\n" * 10)
    refused_ = polylogit("check", "t.csv", "--target", "kind", "--limit", "columns=2")
    assert refused_.exit_code == 1
    assert "--limit columns=3" in refused_.stderr
    assert polylogit("check", "t.csv", "--target", "kind").exit_code == 0
    assert current_limits() == Limits()


@pytest.mark.parametrize("setting", ["rows=5", "line", "line=0", "line=-4", "line=4TB", "line=1.5MB", "columns=many"])
def test_a_limit_at_fault_is_wrong_usage(setting, polylogit):
    with pytest.raises(RecipeError, match="--limit"):
        limits_from([setting])
    assert polylogit("check", "zoo", "--limit", setting).exit_code == 2


def test_millions_of_empty_lines_are_refused(read, tmp_path, monkeypatch):
    monkeypatch.setattr("polylogit.data.tables.delimited.MOST_EMPTY_CELLS", 1000)
    path = tmp_path / "t.csv"
    path.write_text("a,b,kind\n1,2,x\n" + "\n" * 2000)
    refused(read, path, "many of its 2002 lines are empty")
    path.write_text("a,b,kind\n1,2,x\n" + "1\n" * 2000)
    refused(read, path, "line 3: expected 3 cells")
    path.write_text("a,b,kind\n" + "1,2,x\n" * 2000 + "\n")
    read(path)
