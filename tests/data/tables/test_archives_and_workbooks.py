"""Zip archives and workbooks: the one table in them is read, and it is said which is meant."""

import zipfile

import polars as pl
import pytest

from polylogit.data.tables.dialect import Dialect
from polylogit.data.tables.limits import Limits, reading_limits
from polylogit.data.tables.reading import read_table, scan_table
from polylogit.errors import DataError


def zipped(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return path


def test_the_one_table_of_an_archive_is_read(tmp_path):
    path = tmp_path / "t.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("in/t.csv", ",a,y\n0,1,p\n1,2,q\n")
        archive.writestr("__MACOSX/in/._t.csv", "x")
        archive.writestr("readme.md", "x")
    notes = []
    assert read_table(path, None, notes).rows() == [("1", "p"), ("2", "q")]
    assert notes[0].startswith(f"{path} (t.csv): the first column has no name")
    assert pl.concat(scan_table(path)).rows() == [("1", "p"), ("2", "q")]


def test_an_archive_of_several_tables_or_none_names_them(tmp_path):
    with pytest.raises(DataError, match=r"found 2 \(a.csv, b.csv\)"):
        read_table(zipped(tmp_path / "t.zip", a__csv="a\n1\n", b__csv="a\n1\n"))
    with pytest.raises(DataError, match=r"found 0 \(a.md\)"):
        read_table(zipped(tmp_path / "t.zip", a__md="a"))


def test_faults_in_an_archive_name_the_archive(tmp_path):
    with pytest.raises(DataError, match=r"t\.zip \(a\.csv\), line 3: expected 2 cells"):
        read_table(zipped(tmp_path / "t.zip", a__csv="a,b\n1,2\n3\n4,5\n"))
    (tmp_path / "t.zip").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(DataError, match="damaged"):
        read_table(tmp_path / "t.zip")


def test_an_archive_that_expands_too_far_is_refused(tmp_path):
    path = zipped(tmp_path / "t.zip", a__csv="a,b\n" + "1,2\n" * 5_000_000)
    with pytest.raises(DataError, match="--limit"):
        read_table(path)
    with reading_limits(Limits(expansion=10_000)):
        assert read_table(path).height == 5_000_000


def test_a_sheet_is_read_with_its_types(tmp_path, write_workbook):
    path = tmp_path / "t.xlsx"
    write_workbook(path, {"first": [[None, "a", "y"], [0, 1.5, "p"], [1, None, "q"], [None, None, None]], "empty": []})
    notes = []
    assert read_table(path, None, notes).rows() == [(1.5, "p"), (None, "q")]
    assert "row names" in notes[1]
    assert 'the sheet "first" is read' in notes[0]
    assert pl.concat(scan_table(path)).height == 2


def test_of_several_sheets_one_must_be_named(tmp_path, write_workbook):
    path = tmp_path / "t.xlsx"
    write_workbook(path, {"may": [["a"], [1]], "june": [["title"], ["a"], ["x"], [2]]})
    with pytest.raises(DataError, match=r"several sheets have rows: may, june[.] Name one with --set data[.]sheet"):
        read_table(path)
    assert read_table(path, Dialect(sheet="may")).rows() == [(1.0,)]
    assert read_table(path, Dialect(sheet="june", skip_lines=1)).rows() == [("x",), ("2",)]
    with pytest.raises(DataError, match=r'no sheet "mai"[.] Did you mean "may"'):
        read_table(path, Dialect(sheet="mai"))


def test_a_damaged_workbook_is_an_error(tmp_path):
    (tmp_path / "t.xlsx").write_bytes(b"a,b\n1,2\n")
    with pytest.raises(DataError, match=r"t\.xlsx"):
        read_table(tmp_path / "t.xlsx")
    with pytest.raises(DataError, match="cannot be read as a workbook"):
        read_table(zipped(tmp_path / "t.xlsx", a__xml="<a/>"))
