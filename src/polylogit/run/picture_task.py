"""The classification task that labelled pictures pose: read, split and with a fitted encoder.

See also: `polylogit.run.table_task`, the same for tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float, Int, Num, UInt8
from torch import Tensor

from polylogit.classes import chosen_classes
from polylogit.data.pictures.audit import audit_pictures
from polylogit.data.pictures.encoder import ROWS_AT_ONCE, PictureEncoder
from polylogit.data.pictures.sources import PictureFiles, PictureSource, open_pictures
from polylogit.data.pictures.stored import StoredPictures, blocks_of_rows
from polylogit.data.split import Split, drawn_split, group_numbers, grouped_split
from polylogit.data.tables.audit.findings import Audit
from polylogit.errors import DataError, RecipeError, did_you_mean
from polylogit.fitting.callbacks import TrainingCallback, pictures_reporter
from polylogit.recipes import AdditiveRecipe, AutoRecipe, Recipe
from polylogit.recipes.data_kinds import check_options_apply, data_kind
from polylogit.recipes.data_section import DataRecipe
from polylogit.run.conformal_rows import without_conformal_rows
from polylogit.run.labelled_rows import LabelledRows
from polylogit.run.picture_columns import PictureParts, given_parts, picture_values, picture_weights
from polylogit.run.picture_memory import check_form_fits_memory
from polylogit.run.table_task import dialect_of, without_weightless
from polylogit.run.task import Task

__all__ = [
    "PICTURE_TARGET",
    "PictureLabels",
    "audit_of_pictures",
    "fitted_picture_encoder",
    "parts_of_pictures",
    "picture_labels",
    "picture_reading",
    "picture_task",
    "targets_by_name",
    "task_of_pictures",
]

MOST_LOOKED_AT = 2000
"""Before training the pixels of so many pictures are audited; `polylogit check` looks at all."""

PICTURE_TARGET = "class"
"""The name of the target where the classes are folders or a data set's own."""


def picture_task(data: str, recipe: Recipe, data_root: Path | None, callbacks: Sequence[TrainingCallback] = ()) -> Task:
    """The task that labelled pictures pose.

    Args:
        data: DATA as given on the command line.
        recipe: Its data section says which classes are distinguished, how picture files are found and read, and how
            the rows are split where the data have no split of their own.
        data_root: Directory for downloaded data sets.
        callbacks: Training callbacks; `pictures_read` is called while picture files are read.

    Returns:
        The task.

    Raises:
        DataError: The pictures are at fault, or a class that the recipe names is not among them.
        RecipeError: The recipe has options that do not apply to these pictures.
    """
    if isinstance(recipe, AutoRecipe):
        raise RecipeError(
            f"{data}: --model auto compares models of a table, and these are pictures. Take --model linear or "
            "--model cnn."
        )
    if isinstance(recipe, AdditiveRecipe):
        raise RecipeError(
            f"{data}: an additive model takes a table, and these are pictures. Take --model linear or --model cnn."
        )
    check_options_apply(recipe, data_kind(data, recipe.data.path), data)
    report = pictures_reporter(callbacks)
    reading = replace(picture_reading(recipe), check_form=partial(check_form_fits_memory, recipe))
    source = open_pictures(data, root=data_root, reading=reading, on_progress=report)
    labels = picture_labels(source, recipe)
    if isinstance(source.pixels, StoredPictures):  # so that a broken picture is named now, not after the fit
        source.pixels[slice(None) if recipe.data.picture_values == "unit" else labels.split.test].check(report)
    return task_of_pictures(
        source, labels, encoder=fitted_picture_encoder(source.pixels[labels.split.train], recipe), inputs=source.pixels
    )


@dataclass(frozen=True, eq=False)
class PictureLabels:
    """The classes of labelled pictures, and how they are split.

    Args:
        class_names: The classes in the order of their indices.
        targets: Class indices; -1 for pictures of weight 0 and of classes that the recipe leaves out.
        weights: Weight of each picture; None: all weigh the same.
        split: Training and test pictures.
        groups: A number for each group of pictures; None where there are none.
        validation: The data's own validation pictures; None where a recipe draws them.
        conformal_rows: Pictures that serve only for prediction sets; None where there are none.
    """

    class_names: tuple[str, ...]
    targets: Int[Tensor, " N"]
    weights: Float[Tensor, " N"] | None
    split: Split
    groups: Int[Tensor, " N"] | None
    validation: Int[Tensor, " V"] | None
    conformal_rows: Int[Tensor, " C"] | None


def picture_labels(source: PictureSource, recipe: Recipe) -> PictureLabels:
    """The classes of labelled pictures, and how the recipe splits them.

    Args:
        source: The pictures.
        recipe: Its data section says which classes are distinguished, and how the pictures are split.

    Returns:
        Classes and split.

    Raises:
        DataError: The pictures cannot be split so, or a class that the recipe names is not among them.
        RecipeError: The recipe has options that do not apply to these pictures.
    """
    if source.own_split is not None and recipe.data.test_fraction != DataRecipe().test_fraction:
        raise RecipeError(f"data.test_fraction: {source.name} comes with its own test set. Leave the option out.")
    class_names = source.class_names
    if recipe.data.classes is not None:
        class_names = chosen_classes(recipe.data.classes, class_names, source.name)
    weights = picture_weights(source, recipe)
    targets = without_weightless(targets_by_name(source, class_names, leave_out_others=True), weights)
    parts = parts_of_pictures(source, targets, recipe)
    groups = _groups(source, recipe)
    split, conformal_rows = without_conformal_rows(
        parts.split, targets, recipe, groups=groups, validation=parts.validation
    )
    return PictureLabels(class_names, targets, weights, split, groups, parts.validation, conformal_rows)


def task_of_pictures(
    source: PictureSource,
    labels: PictureLabels,
    *,
    encoder: PictureEncoder,
    inputs: Num[Tensor, "N ..."] | StoredPictures,
) -> Task:
    """The task of labelled pictures.

    Args:
        source: The pictures.
        labels: Their classes and split.
        encoder: Of the pictures.
        inputs: Their pixels, or features that the encoder gives.

    Returns:
        The task.
    """
    return Task(
        name=source.name,
        target=PICTURE_TARGET,
        fingerprint=source.fingerprint,
        encoder=encoder,
        rows=LabelledRows(inputs, labels.targets, labels.weights, labels.groups),
        class_names=labels.class_names,
        split=labels.split,
        validation=labels.validation,
        conformal_rows=labels.conformal_rows,
        notes=() if source.listing is None else source.listing.notes,
        has_own_split=source.own_split is not None,
        pictures=None if inputs is source.pixels else source.pixels,
        locate=partial(_located, source),
        audit=audit_of_pictures(source, labels.split, look=len(labels.targets) <= MOST_LOOKED_AT),
        digests=source.digests,
    )


def audit_of_pictures(source: PictureSource, split: Split, *, look: bool) -> Audit | None:
    """What is odd about pictures that come from files; None for a data set with a name.

    Args:
        source: The pictures.
        split: Training and test pictures.
        look: Whether each picture is decoded.

    Returns:
        The audit.

    Raises:
        DataError: An error was found.
    """
    if source.listing is None:
        return None
    audit = audit_pictures(source.listing, source.digests, split, look=look)
    audit.raise_on_errors()
    return audit


def _located(source: PictureSource, row: int) -> tuple[str | None, int]:
    listing = source.listing
    return None if listing is None else listing.name(row - 1), row


def fitted_picture_encoder(pixels: UInt8[Tensor, "N C H W"] | StoredPictures, recipe: Recipe) -> PictureEncoder:
    """The encoder that the recipe asks for, fitted to the pictures that a model is trained on.

    Args:
        pixels: The pictures, in memory or in their files.
        recipe: Says how pixels are normalised, and what is behind transparent ones.

    Returns:
        The encoder.
    """
    channels, height, width = pixels.shape[1:]
    form, background = (channels, height, width), recipe.data.picture_background
    if recipe.data.picture_values == "unit":
        return PictureEncoder.unit(torch.empty(0, *form, dtype=torch.uint8), background)
    return PictureEncoder.fit_blocks(blocks_of_rows(pixels, ROWS_AT_ONCE), form, background)


def picture_reading(recipe: Recipe) -> PictureFiles:
    """How the recipe reads picture files."""
    wanted = recipe.data
    return PictureFiles(
        side=wanted.picture_size,
        in_memory=wanted.pictures_in_memory,
        background=wanted.picture_background,
        broken=wanted.broken,
        path_column=wanted.path,
        label_column=wanted.target,
        dialect=dialect_of(recipe),
    )


def _groups(source: PictureSource, recipe: Recipe) -> Int[Tensor, " N"] | None:
    """A number for each group of pictures; a picture without a group is in a group of its own."""
    if recipe.data.group is None:
        return None
    return group_numbers(picture_values(source, "data.group", recipe.data.group))


def parts_of_pictures(source: PictureSource, targets: Int[Tensor, " N"], recipe: Recipe) -> PictureParts:
    """The parts that the recipe asks for; else the data's own; else training and test pictures that are drawn.

    Args:
        source: The pictures.
        targets: Class indices; -1 for pictures that are left out.
        recipe: Names groups or parts, and says how large a share is held out.

    Returns:
        The parts; pictures that are left out are in none.

    Raises:
        RecipeError: The recipe splits pictures that have a split of their own, or names what these pictures lack.
        DataError: The pictures cannot be split so.
    """
    wanted, rows = recipe.data, torch.nonzero(targets >= 0).flatten()
    asked = next((name for name in ("group", "split") if getattr(wanted, name) is not None), None)
    if source.own_split is not None:
        if asked is not None:
            raise RecipeError(
                f"data.{asked}: {source.name} has training and test parts of its own. Leave the option out."
            )
        return PictureParts(source.own_split, source.validation).within(rows)
    if wanted.split is not None:
        parts = given_parts(source, wanted.split).within(rows)
    elif wanted.group is not None and wanted.test_fraction:
        groups = group_numbers(picture_values(source, "data.group", wanted.group))[rows]
        parts = PictureParts(grouped_split(targets[rows], groups, wanted.test_fraction, recipe.seed).of(rows))
    else:
        return PictureParts(drawn_split(targets, wanted.test_fraction, recipe.seed))
    if len(torch.unique(targets[parts.split.train])) < 2:
        raise DataError(
            f"{source.name}: the training pictures are all of one class. Split the pictures in another way."
        )
    return parts


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
