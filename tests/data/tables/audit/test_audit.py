"""One table with everything wrong with it, and many tables with nothing wrong."""

import json

import numpy as np
import polars as pl
import pytest
from sklearn import datasets

from polylogit.data.tables.audit import audit_leakage, audit_table
from polylogit.errors import DataError

ROWS = 60
KINDS = ["cat", "dog", "bird"] * 20


def codes_of(frame, target="kind", **options):
    return {(finding.column, finding.code): finding for finding in found(frame, target, **options).findings}


def found(frame, target="kind", **options):
    return audit_table(frame, target=target, place="t.csv", **options).audit


def table(**columns):
    draw = np.random.default_rng(0)
    return pl.DataFrame({"size": draw.normal(size=ROWS), "kind": KINDS} | columns)


@pytest.mark.parametrize(
    ("values", "code", "row", "count"),
    [
        (["1"] * 30 + ["one", "NA", "", "two"] + ["2.5"] * 26, "mixed-types", 31, 2),
        ([1.0, float("inf"), float("nan")] * 20, "infinity", 2, 20),
        ([*np.linspace(0, 1, ROWS - 1), -1e155], "too-large", ROWS, 1),
        ([None] * 59 + [1.5], "mostly-missing", None, 59),
        (["same"] * ROWS, "constant", 1, ROWS),
        (list(range(ROWS)), "identifier", None, ROWS),
        (["00123", "04567", "12345"] * 20, "leading-zeros", 1, 40),
        ([*np.linspace(0, 1, ROWS - 1), 1e6], "outlier", ROWS, 1),
        (["meow", "bark", "tweet"] * 20, "gives-target-away", None, None),
        ([0.1, 0.2, 0.3] * 20, "gives-target-away", None, None),
        ([f"text {row}" for row in range(ROWS)], "unusable-text", None, None),
        ([[1, 2]] * ROWS, "unusable-nested", None, None),
        ([None] * ROWS, "unusable-empty", None, None),
    ],
)
def test_a_feature_with_one_fault_is_found(values, code, row, count):
    codes = codes_of(table(a=values))
    finding = codes["a", code]
    assert (finding.row, finding.count) == (row, count)
    assert finding.remedy
    assert {name for name, _ in codes} <= {"a", None}


@pytest.mark.parametrize(
    ("labels", "code", "row", "count"),
    [
        (["cat", None, "dog", ""] * 15, "missing-label", 2, 30),
        (["cat"] * ROWS, "single-class", None, None),
        (["cat"] * 30 + ["Cat "] * 3 + ["dog"] * 27, "near-duplicate-names", 31, 3),
        (["café"] * 30 + ["cafe"] * 2 + ["tea"] * 28, "near-duplicate-names", 31, 2),
        (["1"] * 30 + ["1.0"] * 2 + ["2"] * 28, "near-duplicate-names", 31, 2),
        (["cat", "dog", "NA"] * 20, "class-named-missing", 3, 20),
        ([0, 1, -1] * 20, "negative-label", 3, 20),
        (["cat"] * 40 + ["dog"] * 19 + ["yak"], "class-too-rare", ROWS, 1),
        ([f"animal {row}" for row in range(ROWS)], "target-is-an-identifier", None, ROWS),
        ([row / 7 for row in range(ROWS)], "target-is-a-number", None, ROWS),
    ],
)
def test_a_fault_of_the_labels_is_found(labels, code, row, count):
    finding = codes_of(table(kind=labels))["kind", code]
    assert (finding.row, finding.count) == (row, count)


def test_a_target_of_very_many_numbers_is_probably_a_quantity():
    frame = pl.DataFrame({"a": np.arange(200_000) % 7, "price": np.arange(200_000) // 2})
    audit = found(frame, "price")
    assert [finding.code for finding in audit.of("error")] == ["target-is-a-number"]
    with pytest.raises(DataError, match=r't\.csv, column "price": 100000 distinct numbers in 200000 rows; this looks'):
        audit.raise_on_errors()


def test_imbalance_is_found():
    frame = pl.DataFrame({"a": np.random.default_rng(0).normal(size=1000), "kind": ["rare"] * 5 + ["often"] * 995})
    assert codes_of(frame)["kind", "imbalance"].count == 5


def test_rows_that_repeat_or_contradict_are_found():
    frame = table()
    again = pl.concat([frame, frame[:3], frame[3:5].with_columns(kind=pl.lit("yak"))])
    codes = codes_of(again)
    assert codes[None, "duplicate-rows"].count == 3
    assert codes[None, "contradictory-rows"].row == 4
    assert codes[None, "contradictory-rows"].count == 4


def test_leakage_across_a_split_is_found():
    frame = table().drop("kind")
    (leak,) = audit_leakage(pl.concat([frame, frame[10:15]]), np.arange(60), np.arange(60, 65))
    assert (leak.row, leak.count) == (61, 5)
    assert not list(audit_leakage(frame, np.arange(30), np.arange(30, 60)))


def test_all_errors_are_reported_at_once():
    frame = table(a=["1"] * 59 + ["x"], b=[float("inf")] * 60, kind=["cat", None, "dog"] * 20)
    with pytest.raises(DataError) as told:
        found(frame).raise_on_errors()
    first, *lines = str(told.value).splitlines()
    assert first == "t.csv: 3 errors:"
    assert sorted(line.split(":")[0].strip() for line in lines) == [
        'column "a", row 60', 'column "b", row 1', 'column "kind", row 2',
    ]  # fmt: skip


def test_what_the_recipe_drops_is_no_error():
    frame = table(note=[f"text {row}" for row in range(ROWS)])
    assert codes_of(frame, drop_unusable=True)["note", "unusable-text"].severity == "note"
    assert not codes_of(frame, leave_out=["note"])


def test_features_are_audited_without_a_target():
    audit = found(table(a=["x"] * ROWS), target=None)
    assert [finding.code for finding in audit.findings] == ["constant"]
    assert audit.classes == {}


def test_the_report_is_plain_json():
    audit = found(table(a=["1"] * 59 + ["x"]))
    plain = json.loads(json.dumps(audit.as_json(), allow_nan=False))
    assert plain["errors"] == 1
    assert plain["findings"][0]["row"] == 60
    assert plain["classes"] == {"bird": 20, "cat": 20, "dog": 20}


@pytest.mark.parametrize("load", [datasets.load_iris, datasets.load_wine, datasets.load_breast_cancer])
def test_sound_tables_have_no_errors_and_no_warnings(load):
    data = load()
    frame = pl.DataFrame(data.data, schema=list(data.feature_names)).with_columns(kind=pl.Series(data.target))
    audit = found(frame)
    assert not audit.of("error")
    assert not audit.of("warning")


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(DataError, match=r'there is no column "kin" .*\. Did you mean "kind"'):
        found(table(), target="kin")
