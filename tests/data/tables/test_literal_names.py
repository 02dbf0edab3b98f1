"""Names of files and columns mean themselves, whatever characters they have."""

import gzip

import polars as pl
import pytest

from polylogit.data.tables.audit import audit_table
from polylogit.data.tables.parts import read_parts, scan_parts
from polylogit.data.tables.reading import read_table, scan_table
from polylogit.data.tables.sources import open_source
from polylogit.errors import DataError

WRITE = {
    ".csv": lambda frame, path: frame.write_csv(path),
    ".csv.gz": lambda frame, path: path.write_bytes(gzip.compress(frame.write_csv().encode())),
    ".tsv": lambda frame, path: frame.write_csv(path, separator="\t"),
    ".jsonl": lambda frame, path: frame.write_ndjson(path),
    ".parquet": lambda frame, path: frame.write_parquet(path),
    ".arrow": lambda frame, path: frame.write_ipc(path),
    ".feather": lambda frame, path: frame.write_ipc_stream(path),
}
NAMED_AND_NEIGHBOUR = [("s[1]", "s1"), ("s?", "sx"), ("s*", "sales"), ("{a,b}", "a"), ("~", "home"), ("a$HOME", "b")]


@pytest.mark.parametrize("ending", WRITE)
@pytest.mark.parametrize(("named", "neighbour"), NAMED_AND_NEIGHBOUR)
def test_a_path_is_a_name_and_no_pattern(ending, named, neighbour, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / neighbour))
    for folder, word in ((named, "right"), (neighbour, "wrong")):
        (tmp_path / folder).mkdir()
        for name in (named, neighbour):
            frame = pl.DataFrame({"from": [word if name == named else "wrong"], "n": ["1"]})
            WRITE[ending](frame, tmp_path / folder / f"{name}{ending}")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / named / f"{named}{ending}"
    for data in (path, path.relative_to(tmp_path)):
        assert read_table(data)["from"].to_list() == ["right"]
        assert pl.concat(scan_table(data))["from"].to_list() == ["right"]
        assert open_source(str(data)).frame["from"].to_list() == ["right"]
    path.with_name(f"{neighbour}{ending}").unlink()
    assert read_parts([path])[0]["from"].to_list() == ["right"]
    assert [batch["from"].to_list() for _, batch in scan_parts([path])] == [["right"]]
    assert open_source(named).frame["from"].to_list() == ["right"]


@pytest.mark.parametrize("name", ["*", "^a.*$", "^.*$", "^a$"])
def test_a_column_name_that_polars_takes_for_a_pattern_is_rejected_or_left_out(name):
    frame = pl.DataFrame({"a": ["1", "2", "3"], name: ["x", "y", None], "kind": ["p", "q", "p"]})
    with pytest.raises(DataError, match="has a name that means several columns"):
        audit_table(frame, target="kind")
    with pytest.raises(DataError, match="has a name that means several columns"):
        audit_table(frame, target=name)
    assert audit_table(frame, target="kind", leave_out=[name]).features.columns == ["a"]


def test_a_column_that_is_called_like_a_pattern_can_be_carried(tmp_path, polylogit):
    rows = {"a": [float(row % 7) for row in range(60)], "kind": ["p" if row % 7 < 4 else "q" for row in range(60)]}
    pl.DataFrame(rows | {"*": list(range(60))}).write_csv(tmp_path / "t.csv")
    done = polylogit("train", "t.csv", "--target", "kind", "--drop", "*", "--out", "m.safetensors")
    assert done.exit_code == 0, done.stderr
    done = polylogit("predict", "m.safetensors", "t.csv", "--carry", "*", "--out", "p.csv")
    assert done.exit_code == 0, done.stderr
    assert pl.read_csv(tmp_path / "p.csv").columns == ["*", "class", "probability_p", "probability_q"]
