"""Which options of a recipe apply to which kind of data, and the check of a recipe against its data.

A recipe is read before its data, so its sections hold the options of all kinds. An option of another kind is refused
when training begins, never ignored. Imports no torch.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from polylogit.data.pictures.names import NAMED_PICTURES, stands_for_pictures
from polylogit.errors import RecipeError

__all__ = [
    "OF_COLUMNS",
    "OF_PICTURES",
    "OF_PICTURE_FILES",
    "OF_PICTURE_TABLES",
    "OF_ROWS_TO_SPLIT",
    "OF_TABLES",
    "AppliesTo",
    "DataKind",
    "check_options_apply",
    "data_kind",
    "options_of",
]

DataKind = Literal["table", "picture folder", "picture table", "picture data set"]
"""A table of features; folders of picture files; a table of their names and classes; a data set with a name."""


@dataclass(frozen=True)
class AppliesTo:
    """Marks an option, or a section, that does not apply to all kinds of data: `Annotated[int, OF_TABLES]`.

    Args:
        kinds: The kinds of data that it applies to.
    """

    kinds: tuple[DataKind, ...]


OF_TABLES = AppliesTo(("table",))
OF_COLUMNS = AppliesTo(("table", "picture table"))
OF_ROWS_TO_SPLIT = AppliesTo(("table", "picture folder", "picture table"))
OF_PICTURES = AppliesTo(("picture folder", "picture table", "picture data set"))
OF_PICTURE_FILES = AppliesTo(("picture folder", "picture table"))
OF_PICTURE_TABLES = AppliesTo(("picture table",))


def data_kind(data: str, path_column: str | None = None) -> DataKind:
    """The kind of data that DATA names.

    Args:
        data: DATA as given on the command line.
        path_column: The column of picture file names, `data.path` of the recipe.

    Returns:
        The kind.

    Example:
        >>> data_kind("mnist"), data_kind("zoo"), data_kind("labels.csv", path_column="file")
        ('picture data set', 'table', 'picture table')
    """
    if data in NAMED_PICTURES:
        return "picture data set"
    if stands_for_pictures(data):
        return "picture folder"
    return "table" if path_column is None else "picture table"


def options_of(recipe: type[BaseModel], kind: DataKind | None = None) -> tuple[str, ...]:
    """The dotted names of the options of a recipe.

    Args:
        recipe: The class of the recipe.
        kind: Only the options that apply to this kind of data; None: all.

    Returns:
        Names such as "training.C", in the order of the sections.

    Example:
        >>> from polylogit.recipes import LinearRecipe
        >>> [name for name in options_of(LinearRecipe, "picture data set") if name.startswith("data.")]
        ['data.classes', 'data.picture_values']
        >>> "data.time" in options_of(LinearRecipe, "table")
        True
    """
    return tuple(name for name, kinds, _ in _leaves(recipe) if kind is None or kind in kinds)


def check_options_apply(recipe: BaseModel, kind: DataKind, data: str) -> None:
    """Refuse options that have no effect on this kind of data.

    An option that is set to its default is accepted: model files keep every option of the recipe that they were
    trained with.

    Args:
        recipe: The recipe.
        kind: The kind of the data.
        data: What messages call the data.

    Raises:
        RecipeError: Options are set that do not apply, one line for each.

    Example:
        >>> from polylogit.recipes import recipe_from_entries
        >>> check_options_apply(recipe_from_entries({"data": {"weight": "w"}}), "picture folder", "scans")
        Traceback (most recent call last):
        ...
        polylogit.errors.RecipeError: data.weight: does not apply to a picture folder, and scans is one. Leave it out.
    """
    faults = [
        f"{name}: does not apply to a {kind}, and {data} is one. Leave it out."
        for name, kinds, _ in _leaves(type(recipe))
        if kind not in kinds and _is_set(recipe, name)
    ]
    split = [name for name in ("data.split", "data.test") if kind in OF_ROWS_TO_SPLIT.kinds and _is_set(recipe, name)]
    if split and not faults and _is_set(recipe, "data.test_fraction"):
        faults.append(f"data.test_fraction: {split[0]} says which rows are the test set. Leave one of them out.")
    if len(faults) == 1:
        raise RecipeError(faults[0])
    if faults:
        raise RecipeError(f"the recipe has {len(faults)} faults:\n" + "\n".join(f"  {fault}" for fault in faults))


def _leaves(
    section: type[BaseModel], applies: tuple[DataKind, ...] = get_args(DataKind), prefix: str = ""
) -> Iterator[tuple[str, tuple[DataKind, ...], FieldInfo]]:
    """Each option: its dotted name, the kinds of data that it applies to, and its field."""
    for name, field in section.model_fields.items():
        marks = [mark.kinds for mark in field.metadata if isinstance(mark, AppliesTo)]
        kinds = marks[0] if marks else applies
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _leaves(field.annotation, kinds, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", kinds, field


def _is_set(recipe: BaseModel, name: str) -> bool:
    """Whether an option differs from its default."""
    *sections, option = name.split(".")
    section: Any = recipe
    for part in sections:
        section = getattr(section, part)
    default = type(section).model_fields[option].get_default(call_default_factory=True)
    return bool(getattr(section, option) != default)
