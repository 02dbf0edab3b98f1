"""Dates and times as people write them."""

from datetime import date, datetime, time, timedelta

import polars as pl
import pytest

from polylogit.data.tables.audit import audit_table
from polylogit.data.tables.column_types import Reading, asked_reading
from polylogit.data.tables.columns import read_columns
from polylogit.data.tables.encoder import TableEncoder
from polylogit.data.tables.type_inference import find_reading, refusal_words

DAY = date(2021, 3, 25)
DATES = {
    "ISO": ["2021-03-25", "2021-03-26", "2021-03-27"],
    "ISO with time": ["2021-03-25T10:00:00Z", "2021-03-26 11:30", "2021-03-27"],
    "month as a word": ["25-Mar-2021", "26-mar-2021", "27-MAR-2021"],
    "two digits of the year": ["25-Mar-21", "26-Mar-21", "27-Apr-21"],
    "month in full": ["March 25, 2021", "Mar 26, 2021", "April 27, 2021"],
    "day before it": ["25 March 2021", "26 Mar 2021", "27 April 2021"],
    "American with a time": ["03/25/2021 02:30 PM", "03/26/2021 9:00 am", "3/27/2021 12:00 PM"],
    "European": ["25/03/2021", "01/02/2021", "27/03/2021"],
    "with points": ["25.03.2021", "01.02.2021", "27.03.2021 08:15"],
    "eight digits": ["20210325", "20210326", "20210401"],
    "mixed": ["2021-03-25", "26.03.2021", "March 27, 2021"],
}
HOURS = {
    "times": (["1:30", "13:45", "0:00"], [1.5, 13.75, 0]),
    "with seconds": (["01:30:00", "100:00:36", "2:00:00"], [1.5, 100.01, 2]),
    "of half a day": (["1:30 PM", "12:00 AM", "11:15 a.m."], [13.5, 0, 11.25]),
    "with days": (["0 days 01:30:00", "1 days 02:00:00", "2 days 00:00:00"], [1.5, 26, 48]),
}


@pytest.mark.parametrize("form", DATES)
def test_dates_are_recognised(form):
    series = pl.Series("d", DATES[form])
    reading = find_reading(series)
    assert reading.type == "date"
    read = read_columns(series.to_frame(), {"d": reading})["d"]
    assert read[0] == DAY
    assert not read.null_count()


@pytest.mark.parametrize("form", HOURS)
def test_times_and_durations_are_hours(form):
    texts, hours = HOURS[form]
    series = pl.Series("t", texts)
    assert find_reading(series) == Reading("number", "time")
    assert read_columns(series.to_frame(), {"t": Reading("number", "time")})["t"].to_list() == hours


def test_typed_columns_of_time_are_read():
    columns = {
        "t": pl.Series([time(1, 30), None]),
        "d": pl.Series([timedelta(hours=26), None]),
        "n": pl.Series([20210325, 20210326, 20210401]),
        "m": pl.Series([datetime(2021, 3, 25, 10), None]),
    }
    read = {}
    for name, series in columns.items():
        named = series.alias(name)
        read[name] = read_columns(named.to_frame(), {name: find_reading(named)})[name][0]
    assert read == {"t": 1.5, "d": 26.0, "n": DAY, "m": DAY}


@pytest.mark.parametrize("texts", [["Mon", "Tue", "Wed"], ["12 May", "13 May", "1 June"], ["2:1", "3:0", "1:1"]])
def test_other_texts_are_no_dates(texts):
    assert find_reading(pl.Series(texts)) == Reading("category")


@pytest.mark.parametrize(
    "numbers", [[1999, 2000, 2001], [20219999, 20218888, 20217777], [10000000, 20000000, 30000000]]
)
def test_other_numbers_are_no_dates(numbers):
    assert find_reading(pl.Series(numbers)) == Reading("number")
    assert find_reading(pl.Series(list(map(str, numbers)))) == Reading("number")


def test_which_of_day_and_month_comes_first_is_asked():
    frame = pl.DataFrame({"d": ["03/04/2021", "07/08/2021"] * 15, "kind": ["p", "q", "p"] * 10})
    finding = next(f for f in audit_table(frame, target="kind").audit.findings if f.code == "ambiguous-date")
    assert "--set 'data.columns.d=date:%d/%m/%Y', or --set 'data.columns.d=date:%m/%d/%Y'" in finding.remedy
    audited = audit_table(frame, target="kind", asked={"d": asked_reading("date:%m/%d/%Y")})
    assert audited.features["d"][0] == date(2021, 3, 4)
    assert "ambiguous-date" not in {finding.code for finding in audited.audit.findings}


def test_it_is_asked_of_a_column_of_distinct_dates_too():
    texts = pl.Series("d", [f"{day:02}/{month:02}/2021" for day in range(1, 13) for month in range(1, 13)])
    reading = find_reading(texts)
    assert reading.type == "identifier"
    assert "day and month could be exchanged" in refusal_words(texts, reading)[0]


def test_the_format_is_reported_and_kept():
    frame = pl.DataFrame({"d": DATES["mixed"] * 10, "kind": ["p", "q", "p"] * 10})
    finding = next(f for f in audit_table(frame, target="kind").audit.findings if f.code == "date-format")
    assert "%Y-%m-%d or %d.%m.%Y or %B %d, %Y" in finding.message
    encoder = TableEncoder.fit(frame.select("d"))
    again = TableEncoder.from_state(encoder.as_json(), encoder.tensors())
    assert again.encode(frame.head(3)).tolist() == encoder.encode(frame.head(3)).tolist()


def test_a_column_of_both_orders_of_day_and_month_asks():
    texts = [*[f"{day}/03/2021" for day in range(13, 29)], "03/14/2021", "03/15/2021"]
    frame = pl.DataFrame({"d": texts * 3, "kind": ["p", "q", "p"] * 18})
    codes = {finding.code: finding for finding in audit_table(frame, target="kind").audit.findings}
    assert "either order" in codes["ambiguous-date"].message
    assert find_reading(frame["d"]) == Reading("category")


@pytest.mark.parametrize("written", ["03/{:02}/21", "{:02}.03.21", "Tue, {} Feb 2021"])
def test_distinct_dates_of_an_unknown_format_name_the_option(written):
    texts = pl.Series("d", [written.format(day) for day in range(1, 29)])
    message, remedy = refusal_words(texts, find_reading(texts))
    assert "look like dates" in message
    assert "--set 'data.columns.d=date:FORMAT'" in remedy


@pytest.mark.parametrize(
    ("form", "is_said"), [("European", False), ("American with a time", True), ("ISO with time", True), ("ISO", False)]
)
def test_a_time_of_day_that_is_passed_over_is_said(form, is_said):
    frame = pl.DataFrame({"d": DATES[form] * 10, "kind": ["p", "q", "p"] * 10})
    assert is_said == any(
        "time of day" in finding.message for finding in audit_table(frame, target="kind").audit.findings
    )
