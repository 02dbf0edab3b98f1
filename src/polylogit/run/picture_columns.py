"""What a table of picture files, or the path of a file, says of each picture: its part, its group and its weight."""

from dataclasses import dataclass

import polars as pl
import torch
from jaxtyping import Float, Int
from torch import Tensor

from polylogit.data.pictures.sources import PictureSource
from polylogit.data.split import Split, given_split, is_among
from polylogit.data.tables.column_types import Reading
from polylogit.data.tables.columns import read_columns
from polylogit.data.tables.type_inference import find_readings
from polylogit.errors import RecipeError
from polylogit.recipes import Recipe
from polylogit.run.table_task import checked_weights, number_marks

__all__ = ["PictureParts", "given_parts", "picture_values", "picture_weights"]

_OTHER_WORDS = {"training": "train", "valid": "val", "validation": "val"}


@dataclass(frozen=True)
class PictureParts:
    """The parts of pictures.

    Args:
        split: Training pictures, those for validation among them, and test pictures.
        validation: The pictures for validation, in rising order; None where none are given.
    """

    split: Split
    validation: Int[Tensor, " V"] | None = None

    def within(self, rows: Int[Tensor, " C"]) -> "PictureParts":
        """The parts without the pictures that are not among these."""
        validation = None if self.validation is None else self.validation[is_among(self.validation, rows)]
        return PictureParts(self.split.within(rows), validation)


def picture_values(source: PictureSource, option: str, wanted: str) -> pl.Series:
    """A text for each picture, as an option of the recipe says; see `PictureListing.values_of`.

    Args:
        source: The pictures.
        option: The option, for messages, as in "data.group".
        wanted: Its value.

    Returns:
        The texts, null where a table has none.

    Raises:
        RecipeError: The pictures have no file names, or none such a column.
        DataError: The paths of the files do not give a text.
    """
    if source.listing is None:
        raise RecipeError(
            f"{option}: {source.name} is a data set with a split of its own, whose pictures have no file names. "
            "Leave the option out."
        )
    return source.listing.values_of(option, wanted)


def given_parts(source: PictureSource, wanted: str) -> PictureParts:
    """The parts of pictures for which each has a word: train, val or test, as the names of folders are.

    Without test pictures those for validation are the test pictures, as with folders.

    Args:
        source: The pictures.
        wanted: `data.split` of the recipe.

    Returns:
        The parts.

    Raises:
        RecipeError: As `picture_values`.
        DataError: As `picture_values`; or a picture has another word, or a part has no pictures.
    """
    words = picture_values(source, "data.split", wanted).str.to_lowercase().replace(_OTHER_WORDS)
    has_test = bool((words == "test").any())
    split = given_split(words.replace("val", "train" if has_test else "test"), source.name, "train, val or test")
    validation = torch.from_numpy((words == "val").fill_null(value=False).to_numpy().nonzero()[0])
    return PictureParts(split, validation if has_test and len(validation) else None)


def picture_weights(source: PictureSource, recipe: Recipe) -> Float[Tensor, " N"] | None:
    """The weight of each picture that a table of file names lists.

    Args:
        source: The pictures.
        recipe: Names the column of the weights, if there is one, and the separators of numbers.

    Returns:
        Weights of 0 or more, float64; None where the recipe names no column.

    Raises:
        RecipeError: The table has no such column.
        DataError: A weight is missing, negative or no number, or all are 0; the message names the picture.
    """
    name = recipe.data.weight
    if name is None or source.listing is None:
        return None
    listing = source.listing
    column = pl.DataFrame({name: listing.values_of("data.weight", name)})
    readings = find_readings(column, {name: Reading("number")}, source.name, number_marks(recipe))
    place = f'{source.name}, column "{name}"'
    weights = read_columns(column, readings, source.name)[name]
    return checked_weights(weights, place, lambda row: f"{place}, {listing.name(row - 1)}")
