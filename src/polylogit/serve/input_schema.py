"""What a model takes, as plain data: for the page, the model card and the OpenAPI document."""

from datetime import date
from typing import Any

from polylogit.data.tables.column_types import first_date_format
from polylogit.data.tables.encoder import TableEncoder
from polylogit.model_header import ModelHeader, TableColumn, TablePreprocessing

__all__ = ["example_row", "model_schema", "row_json_schema"]

MOST_LEVELS = 20
"""The most levels of a category that a JSON Schema gives as examples."""

_CELLS = {
    "number": ["number", "string", "null"],
    "boolean": ["boolean", "string", "integer", "null"],
    "category": ["string", "number", "boolean", "null"],
    "date": ["string", "null"],
}
_FEWEST_DIGITS = 4


def model_schema(header: ModelHeader, encoder: TableEncoder | None) -> dict[str, Any]:
    """What a model takes and what it answers.

    Args:
        header: The header of its file.
        encoder: The encoder of a model of tables, for the means of numbers; None for a model of pictures.

    Returns:
        Network, classes, training data, and under `input` the columns of a table or the form of pictures.
    """
    preprocessing = header.preprocessing
    if isinstance(preprocessing, TablePreprocessing):
        examples = {} if encoder is None else example_row(header, encoder)
        columns = [_column(column, examples.get(column.name)) for column in preprocessing.columns]
        taken: dict[str, Any] = {"kind": "table", "columns": columns}
    else:
        taken = preprocessing.model_dump(mode="json")
    return {
        "network": header.network.kind,
        "class_names": list(header.class_names),
        "target": header.trained_on.target,
        "trained_on": header.trained_on.data,
        "rows_train": header.trained_on.rows_train,
        "input": taken,
    }


def example_row(header: ModelHeader, encoder: TableEncoder) -> dict[str, Any]:
    """A row that the model accepts: the means of numbers, and the first level of each category.

    Args:
        header: The header of the model file.
        encoder: The encoder of the model.

    Returns:
        A cell for each column.
    """
    means, at = encoder.mean.tolist(), 0
    examples: dict[str, Any] = {}
    for column in encoder.columns:
        mean = means[at] if column.scaled_names else 0.0
        at += len(column.scaled_names)
        match column.type:
            case "number":
                examples[column.name] = float(f"{mean:.{_FEWEST_DIGITS}g}")
            case "boolean":
                examples[column.name] = mean >= 0.5
            case "date":
                examples[column.name] = _written(date(min(max(round(mean), 1900), 9999), 6, 15), column.format)
            case _:
                examples[column.name] = column.levels[0] if column.levels else None
    recorded = header.preprocessing.columns if isinstance(header.preprocessing, TablePreprocessing) else []
    for entry in recorded:
        example = getattr(entry, "example", None)
        if example is not None and entry.type != "date":
            examples[entry.name] = example
    return examples


def row_json_schema(header: ModelHeader, encoder: TableEncoder) -> dict[str, Any]:
    """JSON Schema (2020-12) of one row.

    Args:
        header: The header of the model file.
        encoder: The encoder of the model.

    Returns:
        The schema, with an example.
    """
    example = example_row(header, encoder)
    columns = encoder.columns
    return {
        "type": "object",
        "properties": {
            column.name: {
                "type": list(_CELLS[column.type]),
                "description": _described(column.type, column.format, missing=column.missing),
                "examples": list(column.levels[:MOST_LEVELS]) or [example[column.name]],
            }
            for column in columns
        },
        "required": [column.name for column in columns],
        "examples": [example],
    }


def _column(column: TableColumn, example: object) -> dict[str, Any]:
    return {
        "name": column.name,
        "type": column.type,
        "format": column.format,
        "levels": column.levels,
        "pooled": column.pooled,
        "minimum": getattr(column, "minimum", None),
        "maximum": getattr(column, "maximum", None),
        "missing_in_training": column.missing,
        "example": example,
    }


def _described(kind: str, written_as: str | None, *, missing: bool) -> str:
    words = {"number": "A number", "boolean": "True or false", "category": "A category", "date": "A date"}[kind]
    words += f", written as {written_as} where it is text" if written_as else ""
    return f"{words}. null is a missing value{'' if missing else ', which training rows did not have'}."


def _written(day: date, written_as: str | None) -> str:
    try:
        return day.strftime(first_date_format(written_as))
    except ValueError:  # a format that this system does not write
        return day.isoformat()
