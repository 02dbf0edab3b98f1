"""Labelled picture files: which files there are, with which class, group and part, before any picture is read.

Three layouts are known: a folder with one folder per class; `train`, `val` and `test` folders of such folders; and a
table of file names and labels.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from polylogit.data.pictures.names import (
    IGNORED_NAMES,
    PICTURE_ENDINGS,
    UNREADABLE_ENDINGS,
    layout_parts,
)
from polylogit.errors import DataError, RecipeError, did_you_mean

__all__ = ["PictureListing", "list_picture_folder", "list_picture_table", "pictures_below"]

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


def list_picture_folder(folder: Path, least_classes: int = 2) -> PictureListing:
    """The pictures of a folder with one folder per class, or with `train`, `val` and `test` folders of such folders.

    Folders inside a class folder belong to the class. Hidden files and the files that operating systems leave behind
    are ignored; other files that are no pictures are counted in a note.

    Args:
        folder: The folder.
        least_classes: How many folders of classes there must be.

    Returns:
        The listing, class by class in alphabetical order, part by part where there are parts.

    Raises:
        DataError: There are fewer classes, a class without pictures, pictures beside the class folders, or
            pictures in a format that cannot be read.
    """
    parts = layout_parts(folder)
    ignored: list[Path] = []
    if parts is None:
        files, labels = _labelled(folder, ignored, least_classes)
        listing = PictureListing(str(folder), folder, tuple(files), tuple(labels))
    else:
        files, labels, part_of = [], [], []
        for inner, part in parts:
            of_part, labels_of_part = _labelled(inner, ignored, least_classes)
            files += of_part
            labels += labels_of_part
            part_of += [part] * len(of_part)
        listing = PictureListing(str(folder), folder, tuple(files), tuple(labels), parts=tuple(part_of))
    if not ignored:
        return listing
    named = ", ".join(file.relative_to(folder).as_posix() for file in ignored[:_MOST_NAMED])
    more = ", …" if len(ignored) > _MOST_NAMED else ""
    count = "1 file is no picture and was" if len(ignored) == 1 else f"{len(ignored)} files are no pictures and were"
    return replace(listing, notes=(f"{count} ignored: {named}{more}.",))


def _labelled(folder: Path, ignored: list[Path], least_classes: int) -> tuple[list[Path], list[str]]:
    """The pictures of a folder of class folders and their labels; adds to `ignored` what is no picture."""
    folders = [entry for entry in _entries(folder) if entry.is_dir()]
    endings = ", ".join(PICTURE_ENDINGS)
    if len(folders) < least_classes:
        found = f"only {folders[0].name}" if folders else "no folder"
        expected = "two folders, one" if least_classes > 1 else "one folder,"
        raise DataError(f"{folder}: expected at least {expected} per class with its pictures in it; found {found}.")
    beside = [entry for entry in _entries(folder) if not entry.is_dir() and _is_picture(entry)]
    if beside:
        are = "1 picture is" if len(beside) == 1 else f"{len(beside)} pictures are"
        raise DataError(
            f"{folder}: {are} beside the class folders, the first is {beside[0].name}. "
            "Move each into the folder of its class."
        )
    files: list[Path] = []
    labels: list[str] = []
    for inner in folders:
        inside = list(pictures_below(inner, ignored))
        if not inside:
            raise DataError(f"{inner}: no picture in this class folder. Expected files that end in {endings}.")
        files += inside
        labels += [inner.name] * len(inside)
    return files, labels


def pictures_below(folder: Path, ignored: list[Path] | None = None) -> Iterator[Path]:
    """The pictures of a folder and of the folders inside it.

    Args:
        folder: The folder.
        ignored: Gets the files that are no pictures.

    Yields:
        The files of a folder in alphabetical order, then those of the folders inside it.

    Raises:
        DataError: A picture is in a format that cannot be read.
    """
    inner = []
    for entry in _entries(folder):
        if entry.is_dir():
            inner.append(entry)
        elif _is_picture(entry):
            yield entry
        elif entry.suffix.lower() in UNREADABLE_ENDINGS:
            raise DataError(
                f"{entry}: pictures in the format {entry.suffix.lower()} cannot be read. Convert them to PNG or JPEG, "
                f"or move them out of the folder. Readable endings: {', '.join(PICTURE_ENDINGS)}."
            )
        elif ignored is not None:
            ignored.append(entry)
    for deeper in inner:
        yield from pictures_below(deeper, ignored)


def list_picture_table(
    table: pl.DataFrame, place: str, folder: Path, *, path_column: str, label_column: str
) -> PictureListing:
    """The pictures that a table names.

    Args:
        table: A row per picture.
        place: What messages call the table.
        folder: What relative file names are relative to: the folder of the table.
        path_column: The column of the file names.
        label_column: The column of the classes.

    Returns:
        The listing, in the order of the table.

    Raises:
        RecipeError: There is no such column.
        DataError: A file name or a class is missing, or a file does not exist; the message names the row.
    """
    for option, name in (("data.path", path_column), ("data.target", label_column)):
        if name not in table.columns:
            raise RecipeError(f'{option}: {place} has no column "{name}".{did_you_mean(name, table.columns)}')
    columns = {name: table[name].cast(pl.String).to_list() for name in table.columns}
    files = []
    for row, (name, label) in enumerate(zip(columns[path_column], columns[label_column], strict=True), start=1):
        for what, value, column in (("file name", name, path_column), ("class", label, label_column)):
            if value is None or not value.strip():
                raise DataError(
                    f'{place}, column "{column}", row {row}: the {what} is missing. Write one, or drop the row.'
                )
        file = folder / str(name).strip()
        if not file.exists():
            raise DataError(
                f'{place}, column "{path_column}", row {row}: there is no file {file}. File names are relative to the '
                "folder of the table."
            )
        files.append(file)
    if not files:
        raise DataError(f"{place}: the table names no picture.")
    labels = tuple(str(label).strip() for label in columns[label_column])
    return PictureListing(place, folder, tuple(files), labels, columns=columns)


def _entries(folder: Path) -> list[Path]:
    """What is in a folder, by name, without hidden files and those that operating systems leave behind."""
    return sorted(
        entry
        for entry in folder.iterdir()
        if not entry.name.startswith(".") and entry.name.lower() not in IGNORED_NAMES
    )


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_ENDINGS
