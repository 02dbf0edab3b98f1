"""Reports about other readers of tables, each tried with an input of our own; docs/log.md lists what came out."""

from datetime import date

import polars as pl
import pytest

from polylogit.data.tables.audit import audit_table
from polylogit.data.tables.column_types import NumberMarks, Reading
from polylogit.data.tables.columns import read_columns
from polylogit.data.tables.dialect import Dialect
from polylogit.data.tables.encoder import TableEncoder
from polylogit.data.tables.reading import read_table, scan_table
from polylogit.data.tables.type_inference import find_reading, find_readings
from polylogit.errors import DataError

CELLS = {
    "duckdb/duckdb#25827": ("c0\nv0\na;b\n", {}, [("v0",), ("a;b",)]),
    "duckdb/duckdb#16251": ('id,v\n1,a\n2,""","\n', {}, [("1", "a"), ("2", '",')]),
    "duckdb/duckdb#14115": ("a|b\n1,5|x, y\n2,5|z\n", {}, [("1,5", "x, y"), ("2,5", "z")]),
    "two marks in a cell": ('a,b\n"x",1\ny "z" w,2\n', {}, [("x", "1"), ('y "z" w', "2")]),
    "duckdb/duckdb#14648": ("a,b\nx#y,1\n# none\nz,2\n", {"comment": "#"}, [("x#y", "1"), ("z", "2")]),
    "duckdb/duckdb#17744": ('#id,name\n1,"x"\n2,#y\n', {}, [("1", "x"), ("2", "#y")]),
    "thephpleague/csv#586": ('\ufeff"a,b",c\n1,2\n', {}, [("1", "2")]),
    "cnuernber/charred#19": ('\ufeff"id","name"\n1,x\n', {}, [("1", "x")]),
    "benhoyt/goawk#126": ("\ufeff_id,name\n1,x\n", {}, [("1", "x")]),
    "huggingface/datasets#5490": (",id\n0,7\n1,8\n", {}, [("7",), ("8",)]),
    "Rdatatable/data.table#5196": ("a,b\n0,1\n1,0\n", {"missing": ("0",)}, [(None, "1"), ("1", None)]),
    "pandas-dev/pandas#44082": ("a,b\n<NA>,x\nunknown,y\n", {"missing": ("unknown",)}, [("<NA>", "x"), (None, "y")]),
    "mechatroner/rainbow_csv#108": ('"sep=|"\na|b\n1|2\n', {}, [("1", "2")]),
    "JoshClose/CsvHelper#1953": ('a,b\n1,6" pipe\n2,x\n', {}, [("1", '6" pipe'), ("2", "x")]),
}
NAMES = {
    "thephpleague/csv#586": ["a,b", "c"],
    "cnuernber/charred#19": ["id", "name"],
    "benhoyt/goawk#126": ["_id", "name"],
    "duckdb/duckdb#17744": ["#id", "name"],
}
REFUSED = {
    "duckdb/duckdb#15576": ("extract of 2025\na;b\n1;2\n3;4\n", "line 1: expected a header of 2 cells .*skip_lines=1"),
    "duckdb/duckdb#9343": ("one,two,three\n1,2,3,4\n1,2,3\n", "line 2: expected 3 cells as in the header, got 4"),
    "duckdb/duckdb#16760": ('a,"b\nc"\n1,2\n', "a column name holds a line break"),
    "duckdb/duckdb#14883": ('a,b\n"x",1\ny z" w,2\nv,3\n', 'line 3: a quotation mark stands within the cell y z" w'),
}
NUMBERS = {
    "pandas-dev/pandas#59299": (["1,20", "22,3", "1.234,56"], {}, [1.2, 22.3, 1234.56]),
    "JuliaData/CSV.jl#1150": (["5.840,72", "5.860,72", "4.593,58"], {}, [5840.72, 5860.72, 4593.58]),
    "pola-rs/polars#18797": (["1.299,99", "12,5", "7"], {}, [1299.99, 12.5, 7]),
    "pola-rs/polars#6698": (["0,25", "1,75", "3"], {}, [0.25, 1.75, 3]),
    "ngrunwald/meta-csv#5": (["2.155", "546", "6"], {"decimal": ","}, [2155, 546, 6]),
    "JuliaData/CSV.jl#1147": (["5 %", "12.5 %", "100 %"], {}, [5, 12.5, 100]),
}


def written(folder, text):
    path = folder / "t.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("report", CELLS)
def test_cells_are_read_as_written(report, tmp_path):
    text, options, rows = CELLS[report]
    path = written(tmp_path, text)
    for frame in (read_table(path, Dialect(**options)), pl.concat(scan_table(path, Dialect(**options)))):
        assert frame.rows() == rows
        assert frame.columns == NAMES.get(report, frame.columns)


@pytest.mark.parametrize("report", REFUSED)
def test_what_cannot_be_read_is_named(report, tmp_path):
    text, message = REFUSED[report]
    with pytest.raises(DataError, match=message):
        read_table(written(tmp_path, text))


@pytest.mark.parametrize("report", NUMBERS)
def test_numbers_are_read_as_meant(report):
    texts, marks, values = NUMBERS[report]
    series = pl.Series("n", texts)
    reading = find_reading(series, NumberMarks(**marks))
    assert read_columns(series.to_frame(), {"n": reading})["n"].to_list() == values


def test_batches_have_the_format_of_the_whole(tmp_path):  # tidyverse/readr#1468
    path = written(tmp_path, "x;y\n1,3;2,3\n4,5;6,7\n2,5;3,5\n")
    readings = find_readings(read_table(path))
    for batch in scan_table(path):
        assert read_columns(batch, readings)["x"][0] == 1.3


def test_a_table_of_decimal_commas_alone_has_columns(tmp_path):  # SheetJS/sheetjs#2236
    assert read_table(written(tmp_path, "a;b\n1,5;2,5\n3,5;4,5\n")).shape == (2, 2)


@pytest.mark.parametrize("texts", [["1a.2,3", "1b.2,3", "2c.2,3"], ["1,2,3", "1,2,4", "1,3,3"]])
def test_texts_with_many_marks_are_no_numbers(texts):  # pandas-dev/pandas#31920
    assert find_reading(pl.Series(texts)) == Reading("category")


def test_namibia_is_a_country():  # vincentarelbundock/countrycode#261
    series = pl.Series("code", ["NA", "DE", "NA", "FR"])
    assert read_columns(series.to_frame(), {"code": find_reading(series)})["code"].to_list() == series.to_list()


def test_leading_zeros_are_asked_about():  # Rdatatable/data.table#2999
    frame = pl.DataFrame({"zip": ["0300", "0301", "1200"] * 10, "kind": ["a", "b", "a"] * 10})
    codes = {finding.code: finding for finding in audit_table(frame, target="kind").audit.findings}
    assert "data.columns.zip=category" in codes["leading-zeros"].remedy


def test_eight_digits_that_start_with_zero_are_no_date():  # tidyverse/readr#291
    assert find_reading(pl.Series(["04789455", "03265455", "01234567"])).type != "date"


def test_a_time_behind_a_date_does_not_make_it_text(tmp_path):  # duckdb/duckdb#6011
    frame = read_table(written(tmp_path, "id|at\n1|2006-02-15 04:46:27\n2|2006-02-16 04:46:27\n"))
    assert read_columns(frame, {"at": find_reading(frame["at"])})["at"][0] == date(2006, 2, 15)


@pytest.mark.parametrize("name", ["a[1].csv", "a*.csv", "a?.csv", "{a,b}.csv"])
def test_brackets_and_stars_are_part_of_a_name(name, tmp_path):  # pola-rs/polars#19801, #10106, #24608
    for other in ("a1.csv", "ab.csv", "a.csv"):
        (tmp_path / other).write_text("from\nwrong\n")
    (tmp_path / name).write_text("from\nright\n")
    assert read_table(tmp_path / name)["from"].to_list() == ["right"]


def test_codes_are_compared_by_value():  # autogluon/autogluon#601, #3980
    encoder = TableEncoder.fit(pl.DataFrame({"store": ["1", "2"]}), readings={"store": Reading("category")})
    inputs, unseen = encoder.encode_counting(pl.DataFrame({"store": [1.0, 2.0]}))
    assert inputs.tolist() == [[1, 0], [0, 1]]
    assert not unseen.unseen


def test_unseen_categories_are_counted():  # scikit-learn/scikit-learn#19835, category_encoders#154
    encoder = TableEncoder.fit(pl.DataFrame({"shop": ["a", "b", "a"]}))
    assert encoder.encode_counting(pl.DataFrame({"shop": ["z", "a", "z"]}))[1].unseen == {"shop": 2}
