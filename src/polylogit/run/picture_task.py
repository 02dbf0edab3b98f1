"""The classification task that labelled pictures pose: read, split and with a fitted encoder.

See also: `polylogit.run.table_task`, the same for tables.
"""

from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from polylogit.classes import chosen_classes
from polylogit.data.pictures.encoder import ROWS_AT_ONCE, PictureEncoder
from polylogit.data.pictures.sources import PictureSource, open_pictures
from polylogit.data.pictures.stored import StoredPictures, blocks_of_rows
from polylogit.data.split import Split, drawn_split
from polylogit.errors import DataError, RecipeError, did_you_mean
from polylogit.recipes import Recipe
from polylogit.run.labelled_rows import LabelledRows
from polylogit.run.task import Task

__all__ = ["PICTURE_TARGET", "picture_task", "split_of_pictures", "targets_by_name"]

PICTURE_TARGET = "class"
"""The name of the target where the classes are folders or a data set's own."""


def picture_task(data: str, recipe: Recipe, data_root: Path | None) -> Task:
    """The task that labelled pictures pose.

    Args:
        data: What stands for DATA on the command line.
        recipe: Says which classes are told apart, how pictures in files are sized, and how they are split where the
            data set has no split of its own.
        data_root: Where data sets lie.

    Returns:
        The task.

    Raises:
        DataError: The pictures are at fault, or a class that the recipe names is not among them.
        RecipeError: The recipe asks for what only tables can do.
    """
    if recipe.data.test is not None:
        raise RecipeError(f"data.test: {data} are pictures; a second file of test rows is for tables. Leave it out.")
    if recipe.data.weight is not None:
        raise RecipeError(f"data.weight: {data} are pictures, which carry no weights. Leave it out.")
    source = open_pictures(
        data, root=data_root, side=recipe.data.picture_size, in_memory=recipe.data.pictures_in_memory
    )
    class_names = source.class_names
    if recipe.data.classes is not None:
        class_names = chosen_classes(recipe.data.classes, class_names, source.name)
    targets = targets_by_name(source, class_names, leave_out_others=True)
    split = split_of_pictures(source, targets, recipe)
    fitted, form = source.pixels[split.train], source.form
    unit = recipe.data.picture_values == "unit"
    if isinstance(source.pixels, StoredPictures):  # so that a broken picture is named now, not after the fit
        source.pixels[slice(None) if unit else split.test].check()
    return Task(
        name=source.name,
        target=PICTURE_TARGET,
        fingerprint=source.fingerprint,
        encoder=PictureEncoder.unit(torch.empty(0, *form, dtype=torch.uint8))
        if unit
        else PictureEncoder.fit_blocks(blocks_of_rows(fitted, ROWS_AT_ONCE), form),
        rows=LabelledRows(source.pixels, targets),
        class_names=class_names,
        split=split,
    )


def split_of_pictures(source: PictureSource, targets: Int[Tensor, " N"], recipe: Recipe) -> Split:
    """The data set's own split; where it has none, the one that the recipe draws.

    Args:
        source: The pictures.
        targets: Class indices; -1 for pictures that are left out.
        recipe: Says how large a share is held out.

    Returns:
        The split; pictures that are left out stand in neither part.
    """
    if source.own_split is not None:
        return source.own_split.within(torch.nonzero(targets >= 0).flatten())
    return drawn_split(targets, recipe.data.test_fraction, recipe.seed)


def targets_by_name(
    source: PictureSource, class_names: tuple[str, ...], *, leave_out_others: bool = False
) -> Int[Tensor, " N"]:
    """The targets of pictures as indices into a model's classes.

    Args:
        source: The pictures.
        class_names: The model's classes.
        leave_out_others: Whether pictures of other classes get -1 instead of being a fault.

    Returns:
        Class indices.

    Raises:
        DataError: The pictures have a class that the model does not know.
    """
    for name in source.class_names:
        if name not in class_names and not leave_out_others:
            raise DataError(
                f'{source.name}: the class "{name}" is none of the {len(class_names)} that the model knows.'
                f"{did_you_mean(name, class_names)}"
            )
    index_of = {name: index for index, name in enumerate(class_names)}
    place = source.targets.new_tensor([index_of.get(name, -1) for name in source.class_names])
    return place[source.targets]
