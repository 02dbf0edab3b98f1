"""SQL: the statement scores a table as the classifier does, and names in it are only names."""

import json
import sqlite3

import numpy as np
import polars as pl
import pytest
import torch
from tests.export.conftest import CALIBRATIONS, READINGS, classifier_of, mixed_frame
from tests.export.postgres_server import postgres_server, scored_by_postgres

from polylogit.calibration import Calibration
from polylogit.data.tables.encoder import TableEncoder
from polylogit.errors import ExportError
from polylogit.export import export_model
from polylogit.export.check_rows import check_rows
from polylogit.export.parity import compare, expected_answers
from polylogit.export.sql_dialects import DIALECTS
from polylogit.export.sql_expressions import number, sum_of
from polylogit.export.sql_target import sql_artifact, table_of_rows

duckdb = pytest.importorskip("duckdb")
sqlglot = pytest.importorskip("sqlglot")


def parity(classifier, rows=None):
    runners = sql_artifact(classifier, dialect="duckdb", table="data", carry=()).runners
    rows = check_rows(classifier) if rows is None else rows
    return [compare(run, engine, classifier, rows) for engine, run in runners.items()]


def statement(classifier, dialect="duckdb", table="data", carry=()):
    return sql_artifact(classifier, dialect=dialect, table=table, carry=carry).content({}).decode()


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_each_calibration_in_duckdb_and_sqlite(mixed_encoder, calibration):
    found = parity(classifier_of(mixed_encoder, calibration=CALIBRATIONS[calibration]))
    assert [each.engine.split()[0] for each in found] == ["DuckDB", "SQLite"]
    assert max(each.largest_difference for each in found) < 2e-6
    assert {each.not_finite for each in found} == {0}


@pytest.mark.parametrize("name", list(READINGS))
def test_a_table_of_one_column(name):
    frame = mixed_frame().select(name)
    encoder = TableEncoder.fit(frame, readings={name: READINGS[name]})
    assert max(each.largest_difference for each in parity(classifier_of(encoder, classes=2))) < 1e-6


def test_a_sum_of_many_terms_is_not_deep():
    """SQLite accepts a depth of 1,000."""
    total = sum_of([number(place) for place in range(5000)])
    assert max(node.depth for node in total.find_all(sqlglot.exp.Literal)) < 40
    text = total.sql("sqlite")
    assert sqlite3.connect(":memory:").execute(f"SELECT {text}").fetchone() == (4999 * 2500.0,)


def run_sqlite(text, rows, kinds):
    connection = sqlite3.connect(":memory:")
    connection.execute(f"CREATE TABLE data ({', '.join(f'{name} {kind}' for name, kind in kinds.items())})")
    connection.executemany(f"INSERT INTO data VALUES ({', '.join('?' * len(kinds))})", rows)  # noqa: S608
    return connection.execute(text).fetchall()


def test_sqlite_takes_no_text_for_zero():
    frame = pl.DataFrame({"n": [0.0, 1.0, 2.0, None], "flag": [True, False, None, True]})
    classifier = classifier_of(TableEncoder.fit(frame), classes=2, names=("a", "b"))
    rows = [(1.0, "yes"), (1.0, 1), ("four", 1), ("NA", 1), (None, 1), (1.0, "perhaps"), (1.0, 0.0), (2e100, 1)]
    found = run_sqlite(statement(classifier, "sqlite"), rows, {"n": "", "flag": ""})
    expected = expected_answers(
        classifier, pl.DataFrame({"n": [1.0, 1.0, None, None, 1.0], "flag": [True, True, True, True, False]})
    ).probabilities
    answered = [found[row][1:] for row in (0, 1, 3, 4, 6)]
    np.testing.assert_allclose(answered, expected, atol=1e-6)
    assert [found[row] for row in (2, 5, 7)] == [(None, None, None)] * 3


def test_nan_is_missing_in_duckdb():
    frame = pl.DataFrame({"n": [0.0, 1.0, 2.0, None]})
    classifier = classifier_of(TableEncoder.fit(frame), classes=2)
    connection = duckdb.connect()
    connection.execute("CREATE TABLE data (n DOUBLE); INSERT INTO data VALUES ('NaN'), (NULL), (1), ('Infinity')")
    nan, null, _, infinite = connection.execute(statement(classifier)).fetchall()
    assert nan == null
    assert infinite == (None, None, None)


HOSTILE = [
    "'; DROP TABLE data; --",
    'x" FROM secrets --',
    "a\\",
    "\\' OR 1=1 --",
    "`back`tick`",
    "/* */",
    "new\nline",
    "z0",
    "class",
    "$$",
    "%s {}",
    "名",
]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_hostile_names_inject_nothing(dialect):
    cells = pl.DataFrame({name: [name, HOSTILE[place - 1], None] for place, name in enumerate(HOSTILE)})
    classifier = classifier_of(TableEncoder.fit(cells, most_levels=2, readings=None), names=HOSTILE[:3])
    text = statement(classifier, dialect, table=HOSTILE[0], carry=HOSTILE[1:3])
    (tree,) = sqlglot.parse(text, read=dialect)
    assert isinstance(tree, sqlglot.exp.Select)
    tables = {table.name for table in tree.find_all(sqlglot.exp.Table)}
    stages = {cte.alias for cte in tree.find_all(sqlglot.exp.CTE)}
    assert tables - stages == {HOSTILE[0]}
    assert {column.name for column in tree.find_all(sqlglot.exp.Column)} >= set(HOSTILE)
    assert [name for name in tree.named_selects if not name.startswith("probability_")] == [*HOSTILE[1:3], "class"]


def test_hostile_names_predict_the_same():
    cells = pl.DataFrame({name: [name, HOSTILE[place - 1], None] for place, name in enumerate(HOSTILE)})
    classifier = classifier_of(TableEncoder.fit(cells), names=HOSTILE[:3])
    assert max(each.largest_difference for each in parity(classifier)) < 1e-6


def test_names_that_cannot_be_written_are_refused():
    frame = pl.DataFrame({"x": [0.0, 1.0]})
    with pytest.raises(ExportError, match="zero byte"):
        statement(classifier_of(TableEncoder.fit(frame), names=("a", "b\0", "c")))


def test_columns_are_carried(mixed_encoder):
    classifier = classifier_of(mixed_encoder, names=("a", "b", "c"))
    rows = check_rows(classifier)[:5].with_columns(pl.Series("key", [5.0, 4.0, 3.0, 2.0, 1.0]))
    connection = duckdb.connect()
    create, insert = table_of_rows(rows, "duckdb")
    connection.execute(create)
    connection.executemany(insert, rows.with_columns(pl.col(pl.Date).dt.strftime("%Y-%m-%d")).rows())
    found = connection.execute(statement(classifier, carry=("key", "n")))
    names = [each[0] for each in found.description]
    assert names == ["key", "n", "class", "probability_a", "probability_b", "probability_c"]
    assert [row[:2] for row in found.fetchall()] == list(zip(rows["key"], rows["n"], strict=True))
    with pytest.raises(ExportError, match='--carry "class": the statement has two columns of this name'):
        statement(classifier, carry=("class",))


def test_networks_and_pictures_are_refused(mixed_encoder, picture_encoder, saved):
    with pytest.raises(ExportError, match="a mlp network cannot be exported to SQL, a linear model can"):
        export_model(saved(classifier_of(mixed_encoder, "mlp")), "sql")
    path = saved(classifier_of(picture_encoder))
    with pytest.raises(ExportError, match="a model of pictures cannot be exported to SQL"):
        export_model(path, "sql")
    assert not path.with_suffix(".sql").exists()


@pytest.mark.parametrize("table", ["", "a..b", "a.b.c.d"])
def test_a_table_name_that_is_none(mixed_encoder, table):
    with pytest.raises(ExportError, match="expected a name, with its schema"):
        statement(classifier_of(mixed_encoder), table=table)


@pytest.mark.parametrize("table", ["features2", "Logits3", "CELLS1", "zoo.total5", "sqlite_animals"])
@pytest.mark.parametrize("engine", ["duckdb", "sqlite"])
def test_a_table_that_is_called_like_a_stage(mixed_encoder, table, engine):
    classifier = classifier_of(mixed_encoder)
    text = statement(classifier, engine, table=table)
    tree = sqlglot.parse_one(text, read=engine)
    assert not {cte.alias.lower() for cte in tree.find_all(sqlglot.exp.CTE)} & set(table.lower().split("."))
    runners = sql_artifact(classifier, dialect=engine, table=table, carry=()).runners
    assert all(compare(run, name, classifier, check_rows(classifier)).rows for name, run in runners.items())


@pytest.mark.parametrize(
    ("dialect", "columns", "words"),
    [("postgres", 1601, "PostgreSQL has at most 1,600"), ("duckdb", 2001, "SQLite, where every statement is compared")],
)
def test_more_columns_than_a_table_has(dialect, columns, words):
    encoder = TableEncoder.fit(pl.DataFrame(np.eye(2, columns), schema=[f"x{place}" for place in range(columns)]))
    with pytest.raises(ExportError, match=f"reads {columns:,} columns, and a table of {words}"):
        statement(classifier_of(encoder), dialect)


def test_columns_that_differ_only_in_case():
    frame = pl.DataFrame({"x": [0.0, 1.0, 2.0], "X": [5.0, 3.0, 4.0]})
    classifier = classifier_of(TableEncoder.fit(frame))
    assert '"X"' in statement(classifier, "postgres")
    with pytest.raises(ExportError, match='columns "x" and "X" differ only in case, which sqlite does not'):
        statement(classifier, "sqlite")


def test_bigquery_takes_a_data_set_but_no_dotted_column():
    frame = pl.DataFrame({"x": [0.0, 1.0, 2.0]})
    text = statement(classifier_of(TableEncoder.fit(frame)), "bigquery", table="my-project.zoo.animals")
    assert "`my-project`.`zoo`.`animals`" in text
    dotted = classifier_of(TableEncoder.fit(frame.rename({"x": "x.1"})))
    with pytest.raises(ExportError, match=r'column "x\.1": BigQuery has no columns with a dot'):
        statement(dotted, "bigquery")
    with pytest.raises(ExportError, match=r'column "probability_a\.1": BigQuery'):
        statement(classifier_of(TableEncoder.fit(frame), names=("a.1", "b", "c")), "bigquery")


def test_the_file_starts_with_one_line_of_metadata(mixed_encoder, saved):
    result = export_model(saved(classifier_of(mixed_encoder)), "sql", dialect="postgres", table="zoo.animals")
    first, *rest = result.path.read_text(encoding="utf-8").splitlines()
    assert {each["engine"].split()[0] for each in json.loads(first.removeprefix("-- polylogit "))["parity"]} == {
        "DuckDB",
        "SQLite",
    }
    assert '"zoo"."animals"' in "\n".join(rest)


def test_in_postgres():
    """A server of its own, on a socket in a temporary folder."""
    frame = mixed_frame()
    encoder = TableEncoder.fit(frame, readings=READINGS, most_levels=4).with_ranges(frame)
    with postgres_server() as server:
        for calibration in (Calibration(), CALIBRATIONS["quadratic"], CALIBRATIONS["matrix"]):
            classifier = classifier_of(encoder, calibration=calibration, names=("a", "b'; --", 'c"'))
            rows = check_rows(classifier)
            text = statement(classifier, "postgres")
            found = compare(
                lambda rows, text=text: scored_by_postgres(server, text, rows), "PostgreSQL", classifier, rows
            )
            assert found.largest_difference < 2e-6
            assert found.not_finite == 0


def test_a_logit_beyond_every_exponential(mixed_encoder):
    classifier = classifier_of(mixed_encoder)
    with torch.no_grad():
        classifier.network.linear.weight.mul_(1e4)
    assert len(parity(classifier)) == 2
