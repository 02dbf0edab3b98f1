import polars as pl
import pytest

from polylogit.data.tables.audit import audit_table
from polylogit.data.tables.column_types import Reading, asked_reading
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
    "unit": (["72 kg", "80.5 kg", "91 kg"], "1234.5 kg", [72, 80.5, 91]),
}


@pytest.mark.parametrize("case", WRITTEN)
def test_numbers_are_recognised_as_people_write_them(case):
    texts, written, values = WRITTEN[case]
    series = pl.Series("n", texts)
    reading = find_reading(series)
    assert reading == Reading("number", written)
    assert read_columns(series.to_frame(), {"n": reading})["n"].to_list() == values
    assert str(NumberFormat.parse(written)) == written
    assert asked_reading(f"number:{written}") == reading


@pytest.mark.parametrize(
    "texts", [["72 kg", "160 lb", "70 kg"], ["a1", "b2", "c3"], ["1st", "2nd", "3rd"], ["1.2.3", "1.2.4", "2.0.1"]]
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
