"""Names of columns in SQL: which a database cannot tell apart or take, and other names for the parity."""

from collections.abc import Sequence
from dataclasses import replace

from polylogit.classifier import Classifier
from polylogit.data.pictures.encoder import PictureEncoder
from polylogit.data.tables.encoder import TableEncoder
from polylogit.errors import ExportError

__all__ = ["check_column_names", "with_distinct_columns"]

_IGNORE_CASE = frozenset({"duckdb", "sqlite", "bigquery"})
"""Dialects that take two names of columns for the same if they differ only in case, even if they are quoted."""

_MOST_COLUMNS = {"sqlite": ("SQLite", 2000), "postgres": ("PostgreSQL", 1600)}
"""How many columns a table of a database may have. The others of the dialects take all that SQLite takes."""


def check_column_names(classifier: Classifier, dialect: str) -> None:
    """Check that tables of the dialect can have the columns of the model and of its predictions.

    Args:
        classifier: Its columns and classes.
        dialect: One of `DIALECTS`.

    Raises:
        ExportError: There are more columns than a table can have; or two differ only in case, or a name has a dot in
            BigQuery, and the message names them.
    """
    names = _names(classifier.preprocessing)
    database, most = _MOST_COLUMNS.get(dialect, _MOST_COLUMNS["sqlite"])
    if len(names) > most:
        compared = ", where every statement is compared with the model," if dialect not in _MOST_COLUMNS else ""
        raise ExportError(
            f"the model reads {len(names):,} columns, and a table of {database}{compared} has at most {most:,}. "
            "Train on fewer columns (--drop), or export with --to onnx or --to torch."
        )
    same = _same_but_for_case(names)
    if same and dialect in _IGNORE_CASE:
        raise ExportError(
            f'columns "{same[0]}" and "{same[1]}" differ only in case, which {dialect} does not tell apart in a table. '
            "Rename one in the table and train again, or export for --dialect postgres or snowflake."
        )
    named = [*names, *(f"probability_{name}" for name in classifier.class_names)]
    dotted = next((name for name in named if "." in name), None)
    if dotted is not None and dialect == "bigquery":
        raise ExportError(
            f'column "{dotted}": BigQuery has no columns with a dot in their name, where it separates the fields of a '
            "record. Rename the column or the class in the table and train again, or export for another --dialect."
        )


def with_distinct_columns(classifier: Classifier) -> Classifier:
    """The classifier, with other names of its columns where two differ only in case.

    Args:
        classifier: Its columns keep their order.

    Returns:
        The same classifier where no two do.
    """
    encoder = classifier.preprocessing
    if not isinstance(encoder, TableEncoder) or not _same_but_for_case(_names(encoder)):
        return classifier
    columns = [replace(column, name=f"column{place}") for place, column in enumerate(encoder.columns)]
    return replace(classifier, preprocessing=TableEncoder(columns, encoder.mean, encoder.scale))


def _names(encoder: TableEncoder | PictureEncoder) -> list[str]:
    return [column.name for column in encoder.columns] if isinstance(encoder, TableEncoder) else []


def _same_but_for_case(names: Sequence[str]) -> tuple[str, str] | None:
    seen: dict[str, str] = {}
    for name in names:
        if (other := seen.setdefault(name.lower(), name)) != name:
            return other, name
    return None
