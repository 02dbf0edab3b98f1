"""The data section of a recipe: which columns are read and how, and which rows are held out.

See also: `polylogit.run.table_task` and `polylogit.run.task`, which act on it. Imports no torch.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from polylogit.data.tables.column_types import asked_reading
from polylogit.recipes.data_kinds import (
    OF_COLUMNS,
    OF_PICTURE_FILES,
    OF_PICTURE_TABLES,
    OF_PICTURES,
    OF_ROWS_TO_SPLIT,
    OF_TABLES,
)
from polylogit.recipes.sections import Section

__all__ = ["DataRecipe"]


def _column_words(words: str) -> str:
    asked_reading(words)
    return words


def _no_name_twice(names: tuple[str, ...]) -> tuple[str, ...]:
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise ValueError(f'"{twice}" is named twice')
    return names


def _encoding_name(name: str) -> str:
    try:
        b"a".decode(name)  # of no byte at all, some codecs that are no text encodings are accepted
    except LookupError:
        raise ValueError("no text encoding of that name is known") from None
    except UnicodeDecodeError:
        pass  # a text encoding in which this byte is no character of its own
    return name


def _one_byte(separator: str) -> str:
    if not separator.isascii() or separator in '\n\r"\0':
        raise ValueError("a separator is one ASCII character, and no line break or quotation mark")
    return separator


def _one_name(names: object) -> object:
    return (names,) if isinstance(names, str | int | float) else names


ClassName = Annotated[str, Field(min_length=1, coerce_numbers_to_str=True)]


Marker = Annotated[str, Field(coerce_numbers_to_str=True)]


Separator = Annotated[str, Field(min_length=1, max_length=1), AfterValidator(_one_byte)]


class DataRecipe(Section):
    """What is read from the data, and which rows are held out."""

    target: Annotated[Annotated[str, Field(min_length=1)] | None, OF_COLUMNS] = Field(
        default=None, description="Column that holds the classes. The bundled tables have a default."
    )
    classes: Annotated[tuple[ClassName, ...], Field(min_length=2), AfterValidator(_no_name_twice)] | None = Field(
        default=None,
        description="Classes to distinguish, in the order of their indices; rows of other classes are left out. "
        "Default: all classes, sorted.",
    )
    drop: Annotated[tuple[str, ...], BeforeValidator(_one_name), OF_TABLES] = Field(
        default=(), description="Columns to leave out; one name needs no brackets."
    )
    columns: Annotated[dict[str, Annotated[str, AfterValidator(_column_words)]], OF_TABLES] = Field(
        default_factory=dict,
        description="Types of columns by name: number, number:FORMAT, boolean, category, date, date:FORMAT, text, "
        "text:words, text:characters, or with lengths text:words:1-2. Default: inferred.",
    )
    number_values: Annotated[Literal["standardised", "raw"], OF_TABLES] = Field(
        default="standardised",
        description="standardised: mean 0 and standard deviation 1 in each column of numbers or booleans. raw: "
        "unchanged.",
    )
    most_levels: Annotated[Annotated[int, Field(ge=1)] | None, OF_TABLES] = Field(
        default=None,
        description="Most levels of a category with a feature each, the most frequent ones; the others share one. "
        "Default: all levels that memory has room for.",
    )
    free_text: Annotated[Literal["refuse", "drop"], OF_TABLES] = Field(
        default="refuse",
        description="refuse: columns that cannot be used are an error: identifiers, empty and nested columns. drop: "
        "these are left out, and so is free text.",
    )
    separator: Annotated[Separator | None, OF_COLUMNS] = Field(
        default=None, description="Separator of the cells of a text table. Default: found in the header."
    )
    encoding: Annotated[Annotated[str, AfterValidator(_encoding_name)], OF_COLUMNS] = Field(
        default="utf-8", description="Encoding of a text table that is neither UTF-8 nor UTF-16."
    )
    quote: Annotated[Literal['"', "'", "none"], OF_TABLES] = Field(
        default='"', description="Quotation mark around cells of a text table. none: quotation marks are text."
    )
    skip_lines: Annotated[Annotated[int, Field(ge=0)], OF_TABLES] = Field(
        default=0, description="Lines above the header of a text table or a sheet that are no part of it."
    )
    comment: Annotated[Annotated[str, Field(min_length=1)] | None, OF_TABLES] = Field(
        default=None, description="Text that starts the lines of a text table that are no part of it."
    )
    missing: Annotated[tuple[Marker, ...], BeforeValidator(_one_name), OF_TABLES] = Field(
        default=(), description="Texts or numbers that mean a missing value in every column, besides an empty cell."
    )
    sheet: Annotated[str | None, OF_TABLES] = Field(
        default=None, description="Sheet of a workbook. Default: the only one that has rows."
    )
    in_memory: Annotated[Literal["auto", "always", "never"], OF_TABLES] = Field(
        default="auto",
        description="Whether a table and its features are kept in memory, or in files from which the system reads what "
        "is needed. auto: in memory if a fit has room for them there. The model is the same.",
    )
    unlabelled: Annotated[Literal["error", "drop"], OF_TABLES] = Field(
        default="error", description="What to do with rows whose class is missing. drop: leave them out, counted."
    )
    decimal: Annotated[Literal[".", ","] | None, OF_TABLES] = Field(
        default=None, description="Decimal separator of the numbers in text columns. Default: found in each column."
    )
    thousands: Annotated[Literal[",", ".", " ", "'", "none"] | None, OF_TABLES] = Field(
        default=None,
        description="Separator of thousands in text columns, or none. Default: found in each column.",
    )
    weight: Annotated[str | None, OF_COLUMNS] = Field(
        default=None,
        description="Column that holds the weight of each row in the fit and in every metric; 0 leaves the row out.",
    )
    group: Annotated[str | None, OF_ROWS_TO_SPLIT] = Field(
        default=None,
        description='Column of groups (of pictures: "folder", or a regular expression for the path): rows of a group '
        "stay on one side of every split.",
    )
    time: Annotated[str | None, OF_TABLES] = Field(
        default=None, description="Column of times: the newest rows are held out."
    )
    split: Annotated[str | None, OF_ROWS_TO_SPLIT] = Field(
        default=None,
        description="Column (of pictures: as for data.group) that says train or test for each row; of pictures also "
        "val, those that calibration and early stopping use.",
    )
    test: Annotated[Annotated[str, Field(min_length=1)] | None, OF_TABLES] = Field(
        default=None, description="Second table that is the test set; all rows of the first are trained on."
    )
    test_fraction: Annotated[float, OF_ROWS_TO_SPLIT] = Field(
        default=0.2, ge=0, lt=1, description="Fraction of the rows held out as the test set; 0: no test set."
    )
    duplicate_rows: Annotated[Literal["auto", "together", "independent"], OF_TABLES] = Field(
        default="auto",
        description="How exact copies of rows are split. together: they stay on one side of every split. independent: "
        "like other rows. auto: together, unless chance explains the copies because columns have few distinct values.",
    )
    picture_size: Annotated[Annotated[int, Field(ge=1)] | None, OF_PICTURE_FILES] = Field(
        default=None,
        description="Height and width that pictures are scaled to. Default: unchanged if all are small and of one "
        "size, else 64.",
    )
    pictures_in_memory: Annotated[Literal["auto", "always", "never"], OF_PICTURE_FILES] = Field(
        default="auto",
        description="Whether the pictures of a folder are kept in memory or read again for every batch. auto: kept if "
        "they fit into memory twice. The model is the same.",
    )
    path: Annotated[str | None, OF_PICTURE_TABLES] = Field(
        default=None, description="Column of picture file names, where DATA is a table of pictures and their classes."
    )
    broken: Annotated[Literal["error", "skip"], OF_PICTURE_FILES] = Field(
        default="error", description="What to do with picture files that cannot be read. skip: leave them out, counted."
    )
    picture_background: Annotated[Literal["white", "black"], OF_PICTURE_FILES] = Field(
        default="white", description="Colour behind the transparent pixels of picture files."
    )
    picture_values: Annotated[Literal["standardised", "unit"], OF_PICTURES] = Field(
        default="standardised",
        description="standardised: mean 0 and standard deviation 1 in each channel of the training pictures. unit: 0 "
        "to 1.",
    )

    @model_validator(mode="after")
    def _options_agree(self) -> "DataRecipe":
        named = [name for name in ("group", "time", "split", "test") if getattr(self, name) is not None]
        if len(named) > 1:
            raise ValueError(f"rows can be split in one way only, but {' and '.join(named)} are given")
        if self.decimal is not None and self.decimal == self.thousands:
            raise ValueError(f'decimal and thousands are both "{self.decimal}"; name another separator for one of them')
        if self.group is not None and self.duplicate_rows == "together":
            raise ValueError("group says which rows stay together, so duplicate_rows cannot; leave one of them out")
        return self
