"""Labelled picture files: which files there are, with which class, group and part, before any picture is read.

Three layouts are known: a folder with one folder per class; `train`, `val` and `test` folders of such folders; and a
table of file names and labels.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import polars as pl

from polylogit.data.pictures.found_files import (
    LeftAside,
    entries_of,
    folders_in,
    is_picture,
    is_unreadable,
    pictures_below,
)
from polylogit.data.pictures.names import PICTURE_ENDINGS, layout_parts, part_of_name
from polylogit.errors import DataError, RecipeError, did_you_mean
from polylogit.plural import counted

__all__ = ["PictureListing", "list_picture_folder"]

_MOST_NAMED = 5


@dataclass(frozen=True)
class PictureListing:
    """Picture files with a class each.

    Args:
        place: What messages call the whole.
        root: What the names of the files are relative to.
        files: The files.
        labels: The class of each.
        parts: Where the layout has folders of parts: "train", "val" or "test" for each file.
        columns: Where the listing is a table: its columns as text by name, a value per file.
        notes: What was left aside, in sentences.
    """

    place: str
    root: Path
    files: tuple[Path, ...]
    labels: tuple[str, ...]
    parts: tuple[str, ...] | None = None
    columns: Mapping[str, Sequence[str | None]] | None = None
    notes: tuple[str, ...] = field(default=())

    def name(self, row: int) -> str:
        """The file of a row, counted from 0, relative to the root."""
        return Path(os.path.relpath(self.files[row], self.root)).as_posix()

    def take(self, kept: Sequence[bool], note: str) -> "PictureListing":
        """The listing of some of the files, with a note on the others.

        Args:
            kept: For each file whether it stays.
            note: What happened to the others.

        Returns:
            The listing.

        Raises:
            DataError: No file is left.
        """
        if not any(kept):
            raise DataError(f"{self.place}: no picture is left to read.")

        def some(values: Sequence[str | None]) -> list[str | None]:
            return [value for value, keep in zip(values, kept, strict=True) if keep]

        return replace(
            self,
            files=tuple(file for file, keep in zip(self.files, kept, strict=True) if keep),
            labels=tuple(label for label, keep in zip(self.labels, kept, strict=True) if keep),
            parts=None if self.parts is None else tuple(str(part) for part in some(self.parts)),
            columns=None if self.columns is None else {name: some(values) for name, values in self.columns.items()},
            notes=(*self.notes, note),
        )

    def values_of(self, option: str, wanted: str) -> pl.Series:
        """A text for each file, as an option of the recipe says.

        Args:
            option: The option, for messages, as in "data.group".
            wanted: In a table of file names the name of a column. Else "folder", the name of the folder that a file is
                in below its class folder; or a regular expression, which is searched in the path of each file
                relative to the data: its first group is the text, or the whole match where it has no group.

        Returns:
            The texts, null where a table has none.

        Raises:
            RecipeError: The regular expression is faulty, or the table has no such column.
            DataError: The expression does not match a file, or no file is in a folder below its class folder.

        Example:
            >>> files = (Path("cats/ann-1.png"), Path("cats/ann-2.png"), Path("dogs/bob-1.png"))
            >>> listing = PictureListing("pets", Path(), files, ("cats", "cats", "dogs"))
            >>> listing.values_of("data.group", "([a-z]+)-").to_list()
            ['ann', 'ann', 'bob']
        """
        if self.columns is not None:
            if wanted not in self.columns:
                raise RecipeError(
                    f'{option}: {self.place} has no column "{wanted}".{did_you_mean(wanted, self.columns)}'
                )
            return pl.Series(wanted, self.columns[wanted], dtype=pl.String)
        names = [file.relative_to(self.root).as_posix() for file in self.files]
        if wanted == "folder":
            return pl.Series(wanted, [self._folder_below_class(name, option) for name in names])
        try:
            pattern = re.compile(wanted)
        except re.error as fault:
            raise RecipeError(f"{option}: {wanted!r} is no regular expression ({fault}).") from fault
        found = []
        for name in names:
            match = pattern.search(name)
            text = None if match is None else match[1] if pattern.groups else match[0]
            if not text:
                raise DataError(
                    f"{self.place}: {option} = {wanted!r} does not match the file {name}. Give a regular expression "
                    'that is found in the path of each file, or "folder" for the folder below the class folder.'
                )
            found.append(text)
        return pl.Series(wanted, found)

    def _folder_below_class(self, name: str, option: str) -> str:
        folders = name.split("/")[1 if self.parts is None else 2 : -1]
        if not folders:
            raise DataError(
                f'{self.place}: {option} = "folder", but {name} is directly in its class folder. Put each group into a '
                "folder of its own, or give a regular expression for the path."
            )
        return "/".join(folders)


def list_picture_folder(
    folder: Path, least_classes: int = 2, broken: Literal["error", "skip"] = "error"
) -> PictureListing:
    """The pictures of a folder with one folder per class, or with `train`, `val` and `test` folders of such folders.

    Folders inside a class folder belong to the class. Hidden files and the files that operating systems leave behind
    are ignored; other files that are no pictures are counted in a note.

    Args:
        folder: The folder.
        least_classes: How many folders of classes there must be.
        broken: Whether pictures in a format that cannot be read are an error or are skipped, with a note.

    Returns:
        The listing, class by class in alphabetical order, part by part where there are parts.

    Raises:
        DataError: There are fewer classes, a class without pictures, pictures beside the class folders, folders of
            parts that cannot be used as such, or pictures in a format that cannot be read.
    """
    parts = layout_parts(folder)
    aside = LeftAside()
    if parts is None:
        _check_no_parts(folder)
        files, labels = _labelled(folder, aside, least_classes)
        listing = PictureListing(str(folder), folder, tuple(files), tuple(labels), notes=_inner_parts(folder, files))
    else:
        files, labels, part_of = [], [], []
        for inner, part in parts:
            of_part, labels_of_part = _labelled(inner, aside, least_classes)
            files += of_part
            labels += labels_of_part
            part_of += [part] * len(of_part)
        notes = (_on_parts(parts, part_of),)
        listing = PictureListing(str(folder), folder, tuple(files), tuple(labels), parts=tuple(part_of), notes=notes)
    return replace(listing, notes=(*listing.notes, *aside.notes(folder, broken)))


def _on_parts(parts: Sequence[tuple[Path, str]], part_of: Sequence[str]) -> str:
    """Which folder is used as what."""
    has_test = any(part == "test" for _, part in parts)
    uses = {"train": "training", "val": "validation" if has_test else "test", "test": "test"}
    words = [
        f"{inner.name} is the {uses[part]} set ({counted(part_of.count(part), 'picture')})" for inner, part in parts
    ]
    return f"by their names, {', '.join(words[:-1])} and {words[-1]}."


def _check_no_parts(folder: Path) -> None:
    """Refuse folders of parts beside other folders, or without classes, which would be taken for classes."""
    inner = folders_in(folder)
    part_of = {entry: part for entry in inner if (part := part_of_name(entry.name))}
    training = next((entry for entry, part in part_of.items() if part == "train" and folders_in(entry)), None)
    if training is None or len(part_of) < 2:
        return
    others = [entry.name for entry in inner if entry not in part_of]
    if others:
        is_a, them = ("is a folder that is", "it") if len(others) == 1 else ("are folders that are", "them")
        raise DataError(
            f"{folder}: {', '.join(entry.name for entry in part_of)} are the parts of a split, but beside them there "
            f"{is_a} no part: {', '.join(others[:_MOST_NAMED])}. Move {them} out of {folder.name}."
        )
    flat = next((entry for entry in part_of if not folders_in(entry)), None)
    if flat is not None:
        raise DataError(
            f"{flat}: expected one folder per class, as in {training}; without, the classes of its pictures are not "
            f"known. Train on {training}, and predict {flat}."
        )
    twice = ", ".join(entry.name for entry in part_of)
    raise DataError(f"{folder}: several folders mean the same part of a split: {twice}. Keep one of each.")


def _inner_parts(folder: Path, files: Sequence[Path]) -> tuple[str, ...]:
    """A note where each class folder has folders of parts, which are not used as such."""
    found = set()
    for file in files:
        names = file.relative_to(folder).parts
        part = part_of_name(names[1]) if len(names) > 2 else None
        if part is None:
            return ()
        found.add((names[1], part))
    if not {"train", "test"} <= {part for _, part in found}:
        return ()
    inner = sorted(name for name, _ in found)
    return (
        f"the class folders have folders {', '.join(inner)} in them, which are not used as a split; "
        f"--set data.split='/({'|'.join(inner)})/' uses them.",
    )


def _labelled(folder: Path, aside: LeftAside, least_classes: int) -> tuple[list[Path], list[str]]:
    """The pictures of a folder of class folders and their labels; adds to `aside` what is not read."""
    folders = folders_in(folder)
    endings = ", ".join(PICTURE_ENDINGS)
    if len(folders) < least_classes:
        found = f"only {folders[0].name}" if folders else "no folder"
        expected = "two folders, one" if least_classes > 1 else "one folder,"
        inside = len(folders_in(folders[0])) if folders else 0
        meant = f" Is {folders[0]} meant? There are {inside} folders in it." if inside > 1 else ""
        raise DataError(
            f"{folder}: expected at least {expected} per class with its pictures in it; found {found}.{meant}"
        )
    beside = []
    for entry in entries_of(folder):
        if not entry.is_dir():
            if is_picture(entry):
                beside.append(entry)
            elif is_unreadable(entry):
                aside.unreadable.append(entry)
            elif not entry.exists():
                aside.ignored.append(entry)
    if beside:
        are = "1 picture is" if len(beside) == 1 else f"{len(beside)} pictures are"
        raise DataError(
            f"{folder}: {are} beside the class folders, the first is {beside[0].name}. "
            "Move each into the folder of its class."
        )
    files: list[Path] = []
    labels: list[str] = []
    for inner in folders:
        inside_class = list(pictures_below(inner, aside))
        if not inside_class:
            aside.notes(folder, "error")
            raise DataError(
                f"{inner}: no picture in this class folder. Expected files that end in {endings}; or remove the folder."
            )
        files += inside_class
        labels += [inner.name] * len(inside_class)
    return files, labels
