"""The export to SQL: one SELECT that scores a table in its database, compared in DuckDB and SQLite.

See also: docs/export.md, the types that the columns of the table should have.
"""

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from polylogit.classifier import Classifier
from polylogit.data.tables.encoder import TableEncoder
from polylogit.errors import ExportError
from polylogit.export.artifact import Artifact
from polylogit.export.onnx_graph import encodable
from polylogit.export.parity import Answers, Rows, Runner
from polylogit.export.sql_columns import check_column_names, with_distinct_columns
from polylogit.export.sql_dialects import DIALECTS
from polylogit.system.optional import import_extra

__all__ = ["sql_artifact", "table_of_rows"]

_TYPES = {pl.Float64(): "DOUBLE", pl.Boolean(): "BOOLEAN", pl.String(): "TEXT", pl.Date(): "DATE"}


def sql_artifact(classifier: Classifier, *, dialect: str, table: str, carry: Sequence[str]) -> Artifact:
    """The classifier as a SELECT.

    Args:
        classifier: A linear model of a table.
        dialect: One of `DIALECTS`.
        table: The table that the statement reads.
        carry: Columns that precede the prediction.

    Returns:
        The statement, and its run in DuckDB and SQLite: in its own dialect where that is one of the two, and written in
        their dialects.

    Raises:
        ExportError: The model or a name cannot be exported.
        MissingExtraError: sqlglot or duckdb is not installed.
    """
    import_extra("sqlglot")
    from polylogit.export.sql_statement import select_statement  # noqa: PLC0415 - needs sqlglot

    for name in _names(classifier, table, carry):
        if "\0" in encodable(name):
            raise ExportError(f"{name!r}: a name with a zero byte cannot be exported to SQL. Rename it.")
    check_column_names(classifier, dialect)
    statement = _checked(select_statement(classifier, DIALECTS[dialect], table, carry), dialect)
    compared, here = with_distinct_columns(classifier), _name_for_parity(table)

    def runner(engine: str, connect: Callable[[], Any]) -> Runner:
        written = _checked(select_statement(compared, DIALECTS[engine], here), engine)
        return _runner(compared, written, engine, here, connect)

    duckdb = import_extra("duckdb")
    engines = {
        f"DuckDB {duckdb.__version__}": runner("duckdb", duckdb.connect),
        f"SQLite {sqlite3.sqlite_version}": runner("sqlite", lambda: sqlite3.connect(":memory:")),
    }

    def content(metadata: Mapping[str, Any]) -> bytes:
        kept = {name: value for name, value in metadata.items() if name != "schema"}
        return f"-- polylogit {json.dumps(kept)}\n{statement};\n".encode()

    return Artifact(content, engines)


def _name_for_parity(table: str) -> str:
    """The name of the table that the parity reads: that of the user's table, where an engine can create it."""
    name = table.rpartition(".")[2]
    return "data" if name.lower().startswith("sqlite_") else name


def _names(classifier: Classifier, table: str, carry: Sequence[str]) -> list[str]:
    names = [table, *carry, *classifier.class_names]
    if isinstance(classifier.preprocessing, TableEncoder):
        for column in classifier.preprocessing.columns:
            names += [column.name, *column.levels]
    return names


def _checked(tree: Any, dialect: str) -> str:  # noqa: ANN401
    """The statement as text, once it is known to read back with the same texts and names, and as one statement."""
    sqlglot = import_extra("sqlglot")
    text = str(tree.sql(dialect, pretty=True))
    try:
        read = sqlglot.parse(text, read=dialect)
    except sqlglot.errors.SqlglotError:
        read = []
    lost = _quoted_parts(sqlglot, tree) - (_quoted_parts(sqlglot, read[0]) if len(read) == 1 else set())
    if lost and len(read) == 1:
        raise ExportError(
            f"{min(lost)!r}: this name or category cannot be written in {dialect} so that it reads back unchanged. "
            "Rename it in the table and train again."
        )
    if lost:
        raise ExportError(
            f"a name or a category of the model cannot be written in {dialect} so that it reads back unchanged. Rename "
            "the columns and categories with control characters or backslashes."
        )
    return text


def _quoted_parts(sqlglot: Any, tree: Any) -> set[str]:  # noqa: ANN401
    """The texts and the names of a statement."""
    texts = {node.name for node in tree.find_all(sqlglot.exp.Literal) if node.is_string}
    return texts | {node.name for node in tree.find_all(sqlglot.exp.Identifier)}


def table_of_rows(rows: pl.DataFrame, dialect: str, marker: str = "?", name: str = "data") -> tuple[str, str]:
    """The statements that create a table for rows with typed columns, and that insert a row of markers."""
    exp = import_extra("sqlglot").exp
    columns = [
        exp.ColumnDef(this=exp.to_identifier(series.name, quoted=True), kind=exp.DataType.build(_TYPES[series.dtype]))
        for series in rows
    ]
    table = exp.Table(this=exp.to_identifier(name, quoted=True))
    create = exp.Create(this=exp.Schema(this=table, expressions=columns), kind="TABLE").sql(dialect)
    return create, f"INSERT INTO {table.sql(dialect)} VALUES ({', '.join([marker] * rows.width)})"  # noqa: S608


def _runner(classifier: Classifier, statement: str, dialect: str, table: str, connect: Callable[[], Any]) -> Runner:
    columns = [column.name for column in getattr(classifier.preprocessing, "columns", ())]

    def run(rows: Rows) -> Answers:
        if not isinstance(rows, pl.DataFrame):
            raise TypeError("a statement scores rows of a table")
        rows = rows.rename(dict(zip(rows.columns, columns, strict=True)))
        connection = connect()
        try:
            create, insert = table_of_rows(rows, dialect, name=table)
            connection.execute(create)
            cells = rows.with_columns(pl.col(pl.Date).dt.strftime("%Y-%m-%d")).rows()
            if cells:
                connection.executemany(insert, cells)
            found = connection.execute(statement).fetchall()
        finally:
            connection.close()
        classes = len(classifier.class_names)
        probabilities = np.array([row[1:] for row in found], dtype=np.float64).reshape(-1, classes)
        return Answers([row[0] for row in found], probabilities)

    return run
