import polars as pl
import pytest

from polylogit.data.tables.compression import _OPEN
from polylogit.data.tables.reading import read_table, scan_table
from polylogit.errors import DataError


def table(tmp_path, text, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_table(path)


def test_cells_are_text_without_white_space_and_empty_ones_are_missing(tmp_path):
    frame = table(tmp_path, 'a,b\n 1 ,x y\n"",  \n2,"q"\n')
    assert frame.rows() == [("1", "x y"), ("2", "q")]


def test_empty_lines_are_passed_over_but_missing_cells_stay(tmp_path):
    frame = table(tmp_path, "a,b\n\n1,\n\n\n,2\n\n")
    assert frame.rows() == [("1", None), (None, "2")]


def test_a_column_alone_keeps_its_missing_cells(tmp_path):
    assert table(tmp_path, 'a\n1\n""\n2\n')["a"].to_list() == ["1", None, "2"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_and_a_byte_order_mark(tmp_path, end):
    frame = table(tmp_path, b"\xef\xbb\xbf" + end.join(["größe,b", "1,2", "3,4", ""]).encode())
    assert frame.columns == ["größe", "b"]
    assert frame.rows() == [("1", "2"), ("3", "4")]


def test_quoted_cells_hold_separators_and_line_ends(tmp_path):
    assert table(tmp_path, 'a,b\n"1,5","x\ny"\n').rows() == [("1,5", "x\ny")]


def test_tabs(tmp_path):
    assert table(tmp_path, "a\tb\n1,5\t2\n", "t.tsv").rows() == [("1,5", "2")]


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zst"])
@pytest.mark.parametrize("form", [".csv", ".tsv", ".jsonl"])
def test_a_compressed_table_reads_as_the_plain_one_and_a_cut_one_is_named(tmp_path, form, ending):
    plain = tmp_path / f"t{form}"
    text = {".csv": "legs,kind\n4,dog\n2,bird\n", ".tsv": "legs\tkind\n4\tdog\n2\tbird\n"}
    plain.write_text(text.get(form, '{"legs": 4, "kind": "dog"}\n{"legs": 2, "kind": "bird"}\n'))
    packed = tmp_path / f"t{form}{ending}"
    with _OPEN[ending](packed, "wb") as file:
        file.write(plain.read_bytes())
    assert read_table(packed).equals(read_table(plain))
    assert pl.concat(list(scan_table(packed))).equals(read_table(plain))
    packed.write_bytes(packed.read_bytes()[:-5])
    with pytest.raises(DataError, match=f"t{form}{ending}: the compressed file is cut short or damaged"):
        read_table(packed)
    packed.write_bytes(b"no such stream")
    with pytest.raises(DataError, match=r"damaged|cannot be read"):
        read_table(packed)
