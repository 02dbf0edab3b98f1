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


def test_a_workbook_that_spans_more_cells_than_its_size_explains_is_refused_before_it_is_read(tmp_path, write_workbook):
    write_workbook(tmp_path / "t.xlsx", {"a": [["a"], [1]]})
    far = b"<x:row r=\"60000\"><x:c r='ZZ60000'><x:v>1</x:v></x:c></x:row></sheetData>"
    for place, match in ((far, "60000 rows of 702 columns"), (far.replace(b"60000", b"1048576"), "1048576 rows")):
        with zipfile.ZipFile(tmp_path / "t.xlsx") as source, zipfile.ZipFile(tmp_path / "far.xlsx", "w") as target:
            for name in source.namelist():
                content = source.read(name).replace(b"<worksheet ", b'<worksheet xmlns:x="x" ')
                target.writestr(name, content.replace(b"</sheetData>", place))
        with pytest.raises(DataError, match=match):
            read_table(tmp_path / "far.xlsx")
        with (
            reading_limits(Limits(expansion=10**9)),
            pytest.raises(DataError, match=f"{match}.*, but only 3 cells of it are written"),
        ):
            read_table(tmp_path / "far.xlsx")


@pytest.mark.parametrize(
    ("cells", "is_read"),
    [
        ('<table:table-cell table:number-columns-repeated="16384"/>', True),
        ('<table:table-cell table:number-columns-repeated="900" office:value-type="float" office:value="1"/>', False),
    ],
)
def test_repeated_cells_of_a_sheet_count(tmp_path, cells, is_read):
    names = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text")
    )
    text = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'
    zipped(
        tmp_path / "t.ods",
        mimetype="application/vnd.oasis.opendocument.spreadsheet",
        content__xml=f'<office:document-content {names}><office:body><office:spreadsheet><table:table table:name="a">'
        f"<table:table-row>{text.format('a')}</table:table-row><table:table-row>{text.format('x')}</table:table-row>"
        f'<table:table-row table:number-rows-repeated="1000000">{cells}</table:table-row>'
        "</table:table></office:spreadsheet></office:body></office:document-content>",
        **{"META-INF/manifest__xml": "<a/>"},
    )
    if is_read:
        assert read_table(tmp_path / "t.ods").rows() == [("x",)]
    else:
        with pytest.raises(DataError, match="1000002 rows of 900 columns"):
            read_table(tmp_path / "t.ods")


def test_a_binary_workbook_names_the_way_out(tmp_path):
    (tmp_path / "t.xls").write_bytes(b"\xd0\xcf\x11\xe0")
    zipped(tmp_path / "t.xlsx", **{"xl/workbook__bin": "x"})
    for name in ("t.xls", "t.xlsx"):
        with pytest.raises(DataError, match=r"Save the workbook as \.xlsx or \.csv"):
            read_table(tmp_path / name)


def test_a_last_row_of_totals_of_a_sheet_is_left_out_where_it_has_no_class(tmp_path, write_workbook):
    path, notes = tmp_path / "t.xlsx", []
    write_workbook(path, {"a": [["n", "m", "y"], ["r1", 1, "p"], ["r2", 2, "q"], ["Total", 3, None]]})
    assert read_table(path, Dialect(class_column="y"), notes).height == 2
    assert '"Total" and is left out as a row of totals' in notes[0]
    assert read_table(path).height == read_table(path, Dialect(class_column="m")).height == 3
