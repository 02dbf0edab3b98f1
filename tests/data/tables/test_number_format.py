import polars as pl
import pytest

from polylogit.data.tables.audit import audit_table
from polylogit.data.tables.column_types import NAMED_NUMBER_FORMATS, NumberMarks, Reading, asked_reading
from polylogit.data.tables.columns import read_columns
from polylogit.data.tables.encoder import TableEncoder
from polylogit.data.tables.number_format import NumberFormat
from polylogit.data.tables.type_inference import find_reading

WRITTEN = {
    "decimal comma": (["1,5", "22,75", "3", "-0,25"], "1234,5", [1.5, 22.75, 3, -0.25]),
    "mostly whole": (["1,5", "3", "4", "5", "6"], "1234,5", [1.5, 3, 4, 5, 6]),
    "thousands": (["1,234.5", "22", "1,000,000"], "1,234.5", [1234.5, 22, 1e6]),
    "Indian groups": (["12,34,567.5", "22", "3"], "1,234.5", [1234567.5, 22, 3]),
    "German": (["1.234,50 €", "12,00 €", "3,5 €"], "1.234,5 €", [1234.5, 12, 3.5]),
    "Swiss": (["1'234.5", "22", "3"], "1'234.5", [1234.5, 22, 3]),
    "French": (["1 234,5", "2\u202f345,6", "7\u00a0000"], "1 234,5", [1234.5, 2345.6, 7000]),
    "percent": (["45%", "7%", "12.5%"], "1234.5%", [45, 7, 12.5]),
    "currency": (["$1,200", "$15", "$3.50"], "$1,234.5", [1200, 15, 3.5]),
    "accounting": (["(1,200)", "1,300.5", "15"], "1,234.5", [-1200, 1300.5, 15]),
    "minus sign": (["\u22121,5", "2,5", "3,5"], "1234,5", [-1.5, 2.5, 3.5]),
    "quarter": (["2021Q3", "Q1 2022", "2022-Q2"], "quarter", [2021.5, 2022, 2022.25]),
    "hexadecimal": (["0x1f", "0XFF", "0x2"], "hexadecimal", [31, 255, 2]),
    "case of a unit": (["72 kg", "80.5 KG", "91 kg"], "1234.5 kg", [72, 80.5, 91]),
    "several signs": (["R$ 1.200,50", "R$ 5,00", "R$ 7"], "R$ 1.234,5", [1200.5, 5, 7]),
    "unit": (["72 kg", "80.5 kg", "91 kg"], "1234.5 kg", [72, 80.5, 91]),
}


@pytest.mark.parametrize("case", WRITTEN)
def test_numbers_are_recognised_as_people_write_them(case):
    texts, written, values = WRITTEN[case]
    series = pl.Series("n", texts)
    reading = find_reading(series)
    assert reading == Reading("number", written)
    assert read_columns(series.to_frame(), {"n": reading})["n"].to_list() == values
    if written not in NAMED_NUMBER_FORMATS:
        assert str(NumberFormat.parse(written)) == written
    assert asked_reading(f"number:{written}") == reading


@pytest.mark.parametrize(
    "texts",
    [
        ["72 kg", "160 lb", "70 kg"],
        ["a1", "b2", "c3"],
        ["1st", "2nd", "3rd"],
        ["1.2.3", "1.2.4", "2.0.1"],
        ["12 May", "13 May", "14 May"],
        ["3 rooms", "4 rooms", "5 rooms"],
        ["2 m", "3 M", "4 m"],
    ],
)
def test_texts_that_are_no_numbers_of_one_unit_stay_categories(texts):
    assert find_reading(pl.Series(texts)) == Reading("category")


def test_plain_numbers_have_no_format():
    assert find_reading(pl.Series(["1.5", "2e3", "NA"])) == Reading("number")


def test_the_format_is_reported_and_doubt_is_a_warning():
    frame = pl.DataFrame(
        {"a": ["1,5", "2,25", "3"] * 10, "b": ["1,234", "2,345", "12"] * 10, "kind": ["p", "q", "p"] * 10}
    )
    findings = audit_table(frame, target="kind").audit.findings
    found = {finding.column: finding for finding in findings if "number" in finding.code}
    assert (found["a"].code, found["a"].severity) == ("number-format", "note")
    assert (found["b"].code, found["b"].severity) == ("ambiguous-number", "warning")
    assert "--set 'data.columns.b=\"number:1234,5\"'" in found["b"].remedy
    asked = audit_table(frame, target="kind", asked={"b": asked_reading("number:1234,5")})
    assert asked.features["b"][:3].to_list() == [1.234, 2.345, 12]


def test_an_encoder_keeps_the_format():
    encoder = TableEncoder.fit(pl.DataFrame({"n": ["1,5", "2,5", "4,5"]}))
    again = TableEncoder.from_state(encoder.as_json(), encoder.tensors())
    assert again.encode(pl.DataFrame({"n": ["2,5"]})).tolist() == encoder.encode(pl.DataFrame({"n": [2.5]})).tolist()


@pytest.mark.parametrize("words", ["number:", "number:12", "number:1.2345", "boolean:1234.5", "number:1234.5 9"])
def test_a_format_without_the_number_is_rejected(words):
    with pytest.raises(ValueError, match=r"1234\.5|no column is of type"):
        asked_reading(words)


@pytest.mark.parametrize(
    ("marks", "values"),
    [
        (NumberMarks(), [1234, 2345, 12]),
        (NumberMarks(decimal=","), [1.234, 2.345, 12]),
        (NumberMarks(thousands=","), [1234, 2345, 12]),
        (NumberMarks(decimal=".", thousands=""), None),
    ],
)
def test_marks_that_are_known_decide(marks, values):
    series = pl.Series("n", ["1,234", "2,345", "12"])
    reading = find_reading(series, marks)
    assert reading.type == ("category" if values is None else "number")
    if values is not None:
        assert read_columns(series.to_frame(), {"n": reading})["n"].to_list() == values


def test_a_decimal_comma_that_is_asked_for_makes_dots_separators_of_thousands():
    series = pl.Series("n", ["1.234", "2.345"])
    reading = find_reading(series, NumberMarks(decimal=","))
    assert read_columns(series.to_frame(), {"n": reading})["n"].to_list() == [1234, 2345]


def test_numbers_of_an_unknown_unit_are_asked_about():
    frame = pl.DataFrame({"n": [f"{n} rooms" for n in range(12)] * 2, "kind": ["p", "q"] * 12})
    finding = next(f for f in audit_table(frame, target="kind").audit.findings if f.code == "possible-number")
    assert finding.severity == "warning"
    assert "--set 'data.columns.n=\"number:1234.5 rooms\"'" in finding.remedy
    for words, kind in (("number:1234.5 rooms", "number"), ("category", "category")):
        audit = audit_table(frame, target="kind", asked={"n": asked_reading(words)}).audit
        assert audit.columns["n"] == kind
        assert "possible-number" not in {finding.code for finding in audit.findings}


def findings_about(code, **columns):
    frame = pl.DataFrame(columns | {"kind": ["p", "q", "p"]})
    return {f.column: f for f in audit_table(frame, target="kind").audit.findings if f.code == code}


def test_a_point_beside_decimal_commas_is_doubted():
    found = findings_about("ambiguous-number", price=["0,5", "1,25", "2,5"], qty=["1.100", "2.500", "12"])
    assert "while another column has decimal commas" in found["qty"].message
    assert "number:1.234,5" in found["qty"].remedy
    assert not findings_about("ambiguous-number", price=["0.5", "1.25", "2.5"], qty=["1.100", "2.500", "12"])


def test_cells_without_the_percent_sign_of_others_are_named():
    found = findings_about("unmarked-percent", share=["45%", "0.45", "7%"])["share"]
    assert (found.row, found.value, found.count) == (2, "0.45", 1)


def test_a_group_of_thousands_starts_with_no_zero():
    series = pl.Series(["0.123", "0.5", "1.234"])
    read = series.to_frame("n").select(NumberFormat.parse("1.234,5").read(pl.col("n")))["n"]
    assert read.to_list() == [None, None, 1234]


def test_advice_for_the_table_is_given_only_where_it_changes_no_other_column():
    doubtful = ["1,234", "2,345", "12"]
    alone = findings_about("ambiguous-number", v=doubtful)["v"].remedy
    beside = findings_about("ambiguous-number", x=["0.123", "0.5", "0.25"], v=doubtful)["v"].remedy
    assert "data.decimal=," in alone
    assert "data.decimal" not in beside


@pytest.mark.parametrize(
    ("cells", "advice"), [(["45%", "7%", "9%"], None), (["1,234 kg", "2 kg", "3 kg"], "1234,5 kg")]
)
def test_the_advice_reads_the_cells(cells, advice):
    frame = pl.DataFrame({"n": cells, "kind": ["p", "q", "p"]})
    remedy = next(
        f.remedy for f in audit_table(frame, target="kind").audit.findings if f.column == "n" and "number" in f.code
    )
    assert (f'number:{advice}"' in remedy) if advice else ("number:" not in remedy)
