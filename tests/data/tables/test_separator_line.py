"""The line `sep=;` that spreadsheets write and read above a header."""

import polars as pl
import pytest

from polylogit.data.tables.reading import read_table, scan_table
from polylogit.errors import DataError


@pytest.mark.parametrize("first", ["sep=;\n", "sep=;\r\n", '"sep=;"\n', "SEP=;\n", "\ufeffsep=;\n"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_the_line_names_the_separator_and_is_no_header(first, quote, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(f"{first}a,b;c\n{quote}1,5{quote};x\n2;y\n", encoding="utf-8", newline="")
    for frame in (read_table(path), pl.concat(scan_table(path))):
        assert frame.columns == ["a,b", "c"]
        assert frame.rows() == [("1,5", "x"), ("2", "y")]


@pytest.mark.parametrize("quote", ["", '"'])
def test_lines_are_still_counted_from_the_start_of_the_file(quote, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(f"sep=;\na;b\n{quote}1{quote};2\n3\n")
    with pytest.raises(DataError, match="line 4: expected 2 cells as in the header, got 1"):
        read_table(path)
    with pytest.raises(DataError, match="line 4: expected 2 cells as in the header, got 1"):
        list(scan_table(path))


def test_a_column_may_be_called_so(tmp_path):
    (tmp_path / "t.csv").write_text("sep=x,b\n1,2\n")
    assert read_table(tmp_path / "t.csv").columns == ["sep=x", "b"]
