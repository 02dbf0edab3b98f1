"""The schema of a model: what it takes and what it answers, generated from the header of its file.

The service, the exports and the model card describe a model by this object alone. It needs no torch: a service can
describe a model before it loads it.

See also: docs/model_schema.md, and `polylogit.model_header`, which it is made from.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from polylogit.data.tables.column_types import LARGEST_NUMBER, MISSING_MARKERS, READ_AS_TEXT, first_date_format
from polylogit.model_header import ModelHeader, PicturePreprocessing, TableColumn, TablePreprocessing

__all__ = ["ColumnSchema", "ModelSchema", "PictureSchema", "TableSchema"]

LEVELS_IN_ROW_SCHEMA = 20
"""The most levels of a category that the JSON Schema of a row gives as examples."""

_KINDS = {
    "number": "A number",
    "boolean": "True or false",
    "category": "A category",
    "date": "A date",
    "text": "A text",
}

_CELL_TYPES = {
    "number": ["number", "string", "null"],
    "boolean": ["boolean", "string", "integer", "null"],
    "category": ["string", "number", "boolean", "null"],
    "text": ["string", "null"],
    "date": ["string", "null"],
}


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ColumnSchema(_Frozen):
    """One column of the table that a model takes.

    Attributes:
        name: As in the header of the training table.
        type: How its cells are read.
        format: How cells are written that are text: a date as for `strftime`, a number as 1234.5 is written; None for
            plain numbers and ISO dates.
        levels: The values of a category that the model distinguishes; None for other types.
        pooled: Whether the model has a feature for all other values of a category together; if not, an unseen value
            counts as no value.
        minimum: The smallest training value of a number, or the first date as YYYY-MM-DD; None where the file does not
            record it.
        maximum: The largest training value, or the last date. Values outside the range are accepted.
        missing_in_training: Whether training rows had missing values, so that the model has a feature for them.
        missing_values: Texts that mean a missing value, as null does.
        example: A cell that the model accepts: the median of the training values, or the most frequent one.
    """

    name: str
    type: Literal["number", "boolean", "category", "date", "text"]
    format: str | None
    levels: tuple[str, ...] | None
    pooled: bool
    minimum: float | str | None
    maximum: float | str | None
    missing_in_training: bool
    missing_values: tuple[str, ...]
    example: float | bool | str | None

    @classmethod
    def of(cls, column: TableColumn, markers: Sequence[str] = ()) -> "ColumnSchema":
        """The schema of a column in a header.

        Args:
            column: The column.
            markers: Texts that the recipe names as missing values.
        """
        return cls(
            name=column.name,
            type=column.type,
            format=column.format,
            levels=None if column.levels is None else tuple(column.levels),
            pooled=column.pooled,
            minimum=column.minimum,
            maximum=column.maximum,
            missing_in_training=column.missing,
            missing_values=(*(("",) if column.type in READ_AS_TEXT else MISSING_MARKERS), *markers),
            example=_example(column),
        )

    def in_words(self) -> str:
        """The values of training rows, for people."""
        if self.levels is not None:
            shown = ", ".join(self.levels[:LEVELS_IN_ROW_SCHEMA])
            return shown + (f", and {len(self.levels) - LEVELS_IN_ROW_SCHEMA:,} more" * self._has_more_levels)
        if self.type == "boolean":
            return "true, false"
        if self.minimum is None or self.maximum is None:
            return ""
        low, high = (f"{end:.6g}" if isinstance(end, float) else end for end in (self.minimum, self.maximum))
        return f"{low} to {high}"

    @property
    def _has_more_levels(self) -> bool:
        return self.levels is not None and len(self.levels) > LEVELS_IN_ROW_SCHEMA

    def cell_json_schema(self) -> dict[str, Any]:
        """JSON Schema of a cell of the column in a row of JSON."""
        schema: dict[str, Any] = {"type": list(_CELL_TYPES[self.type]), "description": self._description()}
        if self.type == "number":
            schema |= {"minimum": -LARGEST_NUMBER, "maximum": LARGEST_NUMBER}
        examples: Sequence[float | bool | str | None] = self.levels or (self.example,)
        return schema | {"examples": list(examples[:LEVELS_IN_ROW_SCHEMA])}

    def _description(self) -> str:
        kind = _KINDS[self.type]
        written = (
            f", written as {self.format} where it is text" if self.format is not None and self.type != "text" else ""
        )
        known = "" if self.type == "boolean" else self.in_words()
        if self.levels is not None:
            other = "other values count as one rare value" if self.pooled else "other values count as none"
            known = f"{len(self.levels):,} levels in training; {other}"
        elif known:
            known = f"{known} in training"
        missing = "null is a missing value" + ("" if self.missing_in_training else ", which training rows did not have")
        return ". ".join(part for part in (kind + written, known, missing) if part) + "."


class TableSchema(_Frozen):
    """The table that a model takes.

    Attributes:
        kind: "table".
        columns: Every column that a row needs; others are not used.
    """

    kind: Literal["table"] = "table"
    columns: tuple[ColumnSchema, ...]

    def example_row(self) -> dict[str, float | bool | str | None]:
        """A row that the model accepts, with the example of each column."""
        return {column.name: column.example for column in self.columns}

    def row_json_schema(self) -> dict[str, Any]:
        """JSON Schema (2020-12) of one row in JSON, as `Classifier.predict_rows` takes it."""
        return {
            "type": "object",
            "properties": {column.name: column.cell_json_schema() for column in self.columns},
            "required": [column.name for column in self.columns],
            "examples": [self.example_row()],
        }


class PictureSchema(_Frozen):
    """The pictures that a model takes.

    Attributes:
        kind: "picture".
        channels: 1 for grey, 3 for red, green and blue.
        height: In pixels; picture files of another size are resized.
        width: In pixels.
        background: The colour behind transparent pixels of picture files; None: transparency is ignored.
        dtype: The type of a pixel value of an array, 0 to 255.
    """

    kind: Literal["picture"] = "picture"
    channels: Literal[1, 3]
    height: int
    width: int
    background: Literal["white", "black"] | None
    dtype: Literal["uint8"] = "uint8"


class ModelSchema(_Frozen):
    """What a model takes and what it answers.

    Attributes:
        network: The kind of model: linear, additive, mlp, cnn, residual.
        class_names: The classes, in the order of the probabilities.
        target: The column of the classes in the training table.
        trained_on: The name of the training data.
        rows_train: How many rows or pictures it was trained on.
        input: The table or the pictures.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from polylogit.model_header import read_header
        >>> from polylogit.recipes.recipe import LinearRecipe
        >>> from polylogit.run import train
        >>> path = Path(tempfile.mkdtemp()) / "zoo.safetensors"
        >>> schema = train("zoo", LinearRecipe(), out=path).classifier.schema
        >>> schema.class_names[0], schema.input.columns[12].name, schema.input.columns[12].maximum
        ('amphibian', 'legs', 8.0)
        >>> ModelSchema.of(read_header(path)) == schema
        True
    """

    network: str
    class_names: tuple[str, ...]
    target: str
    trained_on: str
    rows_train: int
    input: Annotated[TableSchema | PictureSchema, Field(discriminator="kind")]

    @classmethod
    def of(cls, header: ModelHeader) -> "ModelSchema":
        """The schema of a model by the header of its file."""
        return cls(
            network=header.model_kind,
            class_names=tuple(header.class_names),
            target=header.trained_on.target,
            trained_on=header.trained_on.data,
            rows_train=header.trained_on.rows_train,
            input=_input(header.preprocessing, header.recipe),
        )


def _input(
    preprocessing: TablePreprocessing | PicturePreprocessing, recipe: Mapping[str, Any]
) -> TableSchema | PictureSchema:
    if isinstance(preprocessing, TablePreprocessing):
        data = recipe.get("data")
        named = data.get("missing", ()) if isinstance(data, Mapping) else ()
        markers = [str(marker) for marker in named] if isinstance(named, list | tuple) else []
        return TableSchema(columns=tuple(ColumnSchema.of(column, markers) for column in preprocessing.columns))
    return PictureSchema(
        channels=preprocessing.channels,
        height=preprocessing.height,
        width=preprocessing.width,
        background=preprocessing.background,
    )


def _example(column: TableColumn) -> float | bool | str | None:
    """The recorded example, a date written as the column has it; where none is recorded, any cell that is accepted."""
    if column.type == "date":
        day = date.fromisoformat(column.example) if isinstance(column.example, str) else date(2024, 1, 15)
        try:
            return day.strftime(first_date_format(column.format))
        except ValueError:  # a format that this system does not write
            return None
    if column.example is not None:
        return column.example
    match column.type:
        case "number":
            return 0.0
        case "boolean":
            return True
        case _:
            return column.levels[0] if column.levels else None
