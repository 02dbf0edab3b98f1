"""Pictures to predict the classes of: files, folders, patterns of names, a table of file names, or open images.

See also: `polylogit.data.pictures.sources`, labelled pictures.
"""

import glob
import os
import re
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from polylogit.data.pictures.encoder import Background, Pictures, pictures_from_array
from polylogit.data.pictures.files import form_of_image, readable_files, skipped_note
from polylogit.data.pictures.found_files import LeftAside, pictures_below
from polylogit.data.pictures.names import NAMED_PICTURES, PICTURE_ENDINGS
from polylogit.data.pictures.sources import open_named_pictures, pictures_of_files
from polylogit.data.pictures.stored import StoredPictures
from polylogit.data.pictures.table_listing import files_of_table
from polylogit.data.tables.data_names import named_files
from polylogit.data.tables.delimited import Dialect
from polylogit.data.tables.named_column import select_named
from polylogit.data.tables.reading import is_table
from polylogit.data.tables.sources import BUNDLED, open_source
from polylogit.errors import DataError, RecipeError, did_you_mean

__all__ = ["FilesToPredict", "UnlabelledPictures", "pictures_from_python", "read_unlabelled"]

_ENDINGS = ", ".join(PICTURE_ENDINGS)

_MOST_KEPT = 256 * 2**20
"""More bytes of pictures are read again batch by batch, for each is looked at once."""


@dataclass(frozen=True)
class FilesToPredict:
    """How the files of pictures without classes are found.

    Args:
        path_column: Where DATA is a table, its column of file names.
        dialect: Where DATA is a text table, how it is written.
        broken: Whether files that cannot be read are an error or are skipped, with a note.
        carry: Where DATA is a table, the columns to keep.
    """

    path_column: str | None = None
    dialect: Dialect | None = None
    broken: Literal["error", "skip"] = "error"
    carry: tuple[str, ...] = ()


@dataclass(frozen=True)
class UnlabelledPictures:
    """Pictures without classes.

    Args:
        pictures: The pictures, in memory or in their files.
        names: What each is called; None where they are not from files.
        carried: Columns of a table, a row per picture; None where none are kept.
        notes: What was left aside, in sentences.
    """

    pictures: Pictures | StoredPictures
    names: tuple[str, ...] | None = None
    carried: pl.DataFrame | None = None
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class _Found:
    """Picture files, before any is read."""

    files: Sequence[Path]
    names: Sequence[str]
    carried: pl.DataFrame | None = None
    notes: tuple[str, ...] = ()


def read_unlabelled(
    data: str,
    form: tuple[int, int, int],
    root: Path | None = None,
    background: Background | None = "white",
    finding: FilesToPredict | None = None,
) -> UnlabelledPictures:
    """Read pictures to predict the classes of.

    Args:
        data: A picture file; a folder of pictures and of folders of pictures at any depth; a pattern as in
            `photos/*.jpg`; several of these, as in a shell; a table of file names; or the name of a data set, whose
            test part is read.
        form: Channels, height and width that pictures in files are brought to.
        root: Directory for downloaded data sets; see `open_named_pictures`.
        background: The colour behind transparent pixels; None: the transparency is ignored.
        finding: How the files are found.

    Returns:
        The pictures, with their files where they came from files: those of a table in its order, others in natural
        order (2.png before 10.png).

    Raises:
        DataError: There are no pictures, or one is damaged.
        RecipeError: The table has no such column, or columns are asked for where there is no table.
    """
    finding = finding or FilesToPredict()
    path = Path(data)
    of_table = data not in NAMED_PICTURES and data not in BUNDLED and path.is_file() and is_table(path)
    if finding.carry and not of_table:
        raise RecipeError(
            f"--carry {finding.carry[0]}: {data} are pictures, which have no columns. Leave the option out."
        )
    if data in NAMED_PICTURES:
        source = open_named_pictures(data, root)
        rows = source.own_split.test if source.own_split else slice(None)
        return UnlabelledPictures(Pictures(source.read()[rows]))
    found = _of_table(data, finding) if of_table else _of_files(data, finding.broken)
    if finding.broken == "skip":
        found = _without_broken(found, data)
    pictures = pictures_of_files(found.files, form, background, place=data, most_kept=_MOST_KEPT)
    return UnlabelledPictures(pictures, tuple(found.names), found.carried, found.notes)


def _of_files(data: str, broken: Literal["error", "skip"]) -> _Found:
    """The pictures that files, folders and patterns name, in natural order, each once."""
    aside = LeftAside()
    files: dict[Path, None] = {}
    for name in _given(data):
        path = Path(name)
        if path.is_dir():
            inside = sorted(pictures_below(path, aside), key=_natural_order)
            if not inside:
                found = "".join(f" {note}" for note in aside.notes(path, broken))
                raise DataError(f"{name}: no picture in this folder or in those inside it. Expected {_ENDINGS}.{found}")
            files |= dict.fromkeys(inside)
        elif name in BUNDLED or (path.is_file() and is_table(path)):
            raise DataError(f"{name}: a table came where pictures are expected, which end in {_ENDINGS}.")
        elif path.is_file() or path.is_symlink():
            files[path] = None
        else:
            raise _nothing_there(name)
    return _Found(list(files), [str(file) for file in files], notes=aside.notes(None, broken))


def _given(data: str) -> list[str]:
    """The files and folders that DATA names, patterns filled in."""
    names = named_files(data)
    if len(names) == 1 and " " in data and not Path(data).exists() and not _matches(data):
        with suppress(ValueError):
            parts = shlex.split(data)
            if any(Path(part).exists() or _is_pattern(part) for part in parts):
                names = parts
    given: list[str] = []
    for name in names:
        if not _is_pattern(name):
            given.append(name)
            continue
        matches = _matches(name)
        if not matches:
            raise DataError(f"{name}: no file matches this pattern.")
        given += sorted(matches, key=lambda match: _natural_order(Path(match)))
    return given


def _matches(pattern: str) -> list[str]:
    """The files that a pattern matches, in which brackets stand for themselves, as they do in names of files."""
    if not _is_pattern(pattern):
        return []
    return glob.glob(pattern.replace("[", "[[]"), recursive=True)  # noqa: PTH207 - a pattern may be absolute


def _is_pattern(name: str) -> bool:
    return any(sign in name for sign in "*?") and not os.path.lexists(name)


def _nothing_there(name: str) -> DataError:
    path = Path(name)
    if "/" in name or path.suffix.lower() in PICTURE_ENDINGS:
        return DataError(f"{name}: there is no such file or folder.{did_you_mean(name, _beside(path))}")
    return DataError(f"{name}: there is no such file, folder or data name. Data sets: {', '.join(NAMED_PICTURES)}.")


def _beside(path: Path) -> list[str]:
    try:
        return [str(entry) for entry in path.parent.iterdir()]
    except OSError:
        return []


def _of_table(data: str, finding: FilesToPredict) -> _Found:
    """The pictures that a table names, in its order."""
    if finding.path_column is None:
        raise RecipeError(
            f"{data}: a table came. Which column holds the names of the picture files? Name it with --set "
            "data.path=COLUMN."
        )
    source = open_source(data, finding.dialect or Dialect())
    frame, column = source.frame, finding.path_column
    files = files_of_table(frame, data, Path(data).parent, path_column=column, must_exist=finding.broken == "error")
    for name in finding.carry:
        if name not in frame.columns:
            raise RecipeError(
                f'--carry names the column "{name}", which is not there: {data}.{did_you_mean(name, frame.columns)}'
            )
    carried = select_named(frame, finding.carry) if finding.carry else None
    return _Found(files, frame[column].cast(pl.String).to_list(), carried, tuple(source.notes))


def _without_broken(found: _Found, data: str) -> _Found:
    readable = readable_files(found.files)
    if all(readable):
        return found
    if not any(readable):
        raise DataError(f"{data}: no picture is left to read: none of the {len(readable):,} files can be read.")
    return _Found(
        [file for file, fine in zip(found.files, readable, strict=True) if fine],
        [name for name, fine in zip(found.names, readable, strict=True) if fine],
        None if found.carried is None else found.carried.filter(pl.Series(readable)),
        (*found.notes, skipped_note([file for file, fine in zip(found.files, readable, strict=True) if not fine])),
    )


def _natural_order(file: Path) -> list[tuple[bool, int, str]]:
    """A key that sorts 2.png before 10.png."""
    return [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", str(file))]


def pictures_from_python(
    data: object, form: tuple[int, int, int], background: Background | None = "white", place: str = "the data"
) -> Pictures | StoredPictures | UInt8[Tensor, "N C H W"]:
    """Pictures that are handed over in Python.

    Args:
        data: What stands for DATA on the command line; a list of paths; an image of Pillow, or a list of them, which
            are scaled as files are; `Pictures`; a uint8 array of several pictures (see `pictures_from_array`) or of
            one: (H, W), (H, W, C) or (C, H, W); or a list of arrays of one.
        form: Channels, height and width that the model takes.
        background: The colour behind transparent pixels of files and images.
        place: What messages call the data.

    Returns:
        The pictures.

    Raises:
        DataError: The data are none of these, or a picture is damaged.

    Example:
        >>> pictures_from_python([Image.new("L", (30, 20)), Image.new("1", (8, 8))], (3, 8, 8)).shape
        torch.Size([2, 3, 8, 8])
        >>> pictures_from_python(np.zeros((8, 8), dtype=np.uint8), (1, 8, 8)).shape
        torch.Size([1, 1, 8, 8])
    """
    if isinstance(data, str | Path):
        return read_unlabelled(str(data), form, background=background).pictures
    if isinstance(data, Pictures | StoredPictures):
        return data
    if isinstance(data, Image.Image):
        data = [data]
    if isinstance(data, Tensor | np.ndarray):
        return pictures_from_array(_several(data, form), place)
    if isinstance(data, Sequence) and data:
        if all(isinstance(each, str | Path) for each in data):
            return pictures_of_files([Path(each) for each in data], form, background)
        if all(isinstance(each, Image.Image) for each in data):
            return torch.from_numpy(np.stack([form_of_image(each, form, background, place) for each in data]))
        if all(isinstance(each, Tensor | np.ndarray) for each in data):
            shapes = sorted({tuple(each.shape) for each in data})
            if len(shapes) > 1:
                raise DataError(f"{place}: expected arrays of one shape, got {shapes[0]} and {shapes[1]}.")
            return pictures_from_array(np.stack([np.asarray(each) for each in data]), place)
    got = type(data).__name__ if not isinstance(data, Sequence) or not data else f"a list of {type(data[0]).__name__}"
    raise DataError(
        f"{place}: the model takes pictures: a name or path, an image of Pillow, a list of these, Pictures or a uint8 "
        f"array; got {'an empty list' if isinstance(data, Sequence) and not data else got}."
    )


def _several(array: Tensor | np.ndarray[tuple[int, ...], np.dtype[np.generic]], form: tuple[int, int, int]) -> Tensor:
    """An array of pictures, from one of them where its shape is that of one."""
    if isinstance(array, np.ndarray):
        array = torch.from_numpy(
            array if array.flags.writeable and min(array.strides, default=0) >= 0 else array.copy()
        )
    channels, height, width = form
    shape = tuple(array.shape)
    if array.ndim == 2 or shape in ((channels, height, width), (height, width, channels)):
        return array[None]
    return array
