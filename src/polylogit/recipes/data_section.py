"""The data section of a recipe: which columns are read and how, and which rows are held out.

See also: `polylogit.run.table_task` and `polylogit.run.task`, which act on it. Imports no torch.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from polylogit.data.tables.column_types import asked_reading
from polylogit.recipes.sections import Section

__all__ = ["DataRecipe"]


def _column_words(words: str) -> str:
    asked_reading(words)
    return words


def _no_name_twice(names: tuple[str, ...]) -> tuple[str, ...]:
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise ValueError(f'"{twice}" stands there twice')
    return names


def _encoding_name(name: str) -> str:
    try:
        b"".decode(name)
    except LookupError:
        raise ValueError("no text encoding of that name is known") from None
    return name


ClassName = Annotated[str, Field(min_length=1, coerce_numbers_to_str=True)]


class DataRecipe(Section):
    """What to take from the data, and what to hold out."""

    target: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="The column of the classes. The bundled data know theirs."
    )
    classes: Annotated[tuple[ClassName, ...], Field(min_length=2), AfterValidator(_no_name_twice)] | None = Field(
        default=None,
        description="The classes to tell apart, in the order they are counted in; rows of others are left out. Left "
        "out: all, in order.",
    )
    drop: tuple[str, ...] = Field(default=(), description="Columns to leave out.")
    columns: dict[str, Annotated[str, AfterValidator(_column_words)]] = Field(
        default_factory=dict,
        description="The types of columns by name: number, boolean, category, date, date:FORMAT; found if not given.",
    )
    number_values: Literal["standardised", "raw"] = Field(
        default="standardised",
        description="standardised: mean 0 and deviation 1 in each column of numbers or booleans. raw: as they stand.",
    )
    free_text: Literal["refuse", "drop"] = Field(
        default="refuse", description="What to do with columns that cannot be used: free text, empty or nested ones."
    )
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = Field(
        default=None, description="What stands between the cells of a text table. Found in the header if not given."
    )
    encoding: Annotated[str, AfterValidator(_encoding_name)] = Field(
        default="utf-8", description="Of text tables, where they are neither UTF-8 nor UTF-16."
    )
    weight: str | None = Field(
        default=None,
        description="A column that says how much each row counts in the fit and in every figure; 0: not at all.",
    )
    group: str | None = Field(
        default=None, description="A column whose rows of one value stay together when rows are held out."
    )
    time: str | None = Field(default=None, description="A column by which the newest rows are held out.")
    split: str | None = Field(default=None, description="A column that says train or test for every row.")
    test: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="A second table whose rows judge what is trained on all rows of the first."
    )
    test_fraction: float = Field(
        default=0.2, ge=0, lt=1, description="The share of rows held out for the judgement; 0: none, and none is made."
    )
    picture_size: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="Height and width that picture files are brought to. Left out: as they are where all are alike and "
        "small, else 64.",
    )
    pictures_in_memory: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="Whether a folder's pictures are read once and kept, or again for every batch. auto: kept where "
        "they fit into memory twice. The same model comes out.",
    )
    path: str | None = Field(
        default=None, description="Column of picture file names, where DATA is a table of pictures and their classes."
    )
    broken: Literal["error", "skip"] = Field(
        default="error", description="What to do with picture files that cannot be read. skip: leave them out, counted."
    )
    picture_background: Literal["white", "black"] = Field(
        default="white", description="Colour behind the transparent pixels of picture files."
    )
    picture_values: Literal["standardised", "unit"] = Field(
        default="standardised",
        description="standardised: mean 0 and deviation 1 in each channel of the training pictures. unit: from 0 to 1.",
    )

    @model_validator(mode="after")
    def _one_way_to_split(self) -> "DataRecipe":
        named = [name for name in ("group", "time", "split", "test") if getattr(self, name) is not None]
        if len(named) > 1:
            raise ValueError(f"rows are split in one way only, but {' and '.join(named)} are given")
        return self
