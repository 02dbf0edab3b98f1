"""Picture files in folders: which there are, and what stands beside them and is not read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from polylogit.data.pictures.names import IGNORED_NAMES, PICTURE_ENDINGS, UNREADABLE_ENDINGS
from polylogit.data.pictures.signatures import UNREADABLE_FORMATS, format_by_content
from polylogit.errors import DataError

__all__ = ["LeftAside", "entries_of", "folders_in", "is_picture", "is_unreadable", "pictures_below"]

_MOST_NAMED = 5


@dataclass
class LeftAside:
    """What was found among pictures and is not read, for notes and errors.

    Args:
        ignored: Files that are no pictures, and links that lead nowhere.
        unreadable: Pictures in formats that cannot be read.
    """

    ignored: list[Path] = field(default_factory=list)
    unreadable: list[Path] = field(default_factory=list)

    def notes(self, folder: Path | None, broken: Literal["error", "skip"]) -> tuple[str, ...]:
        """A sentence on each kind.

        Args:
            folder: What the names are relative to; None: the names are given as they are.
            broken: Whether unreadable pictures are an error or are skipped.

        Raises:
            DataError: There are unreadable pictures, and they are not to be skipped.
        """
        notes = []
        if self.ignored:
            count = len(self.ignored)
            words = "1 file is no picture and was" if count == 1 else f"{count} files are no pictures and were"
            notes.append(f"{words} ignored: {_first_names(self.ignored, folder)}.")
        if self.unreadable:
            count = len(self.unreadable)
            words = "1 picture has a format" if count == 1 else f"{count} pictures have formats"
            were = "was" if count == 1 else "were"
            listed = _first_names(self.unreadable, folder)
            if broken == "error":
                place = "" if folder is None else f"{folder}: "
                raise DataError(
                    f"{place}{words} that cannot be read: {listed}. Convert {'it' if count == 1 else 'them'} to PNG or "
                    f"JPEG, move {'it' if count == 1 else 'them'} out of the folder, or skip such files with "
                    f"--set data.broken=skip. Readable endings: {', '.join(PICTURE_ENDINGS)}."
                )
            notes.append(f"{words} that cannot be read and {were} skipped: {listed}.")
        return tuple(notes)


def _first_names(files: Sequence[Path], folder: Path | None) -> str:
    names = [str(file) if folder is None else file.relative_to(folder).as_posix() for file in files[:_MOST_NAMED]]
    dead = [" (a link that leads nowhere)" if file.is_symlink() and not file.exists() else "" for file in files]
    listed = ", ".join(f"{name}{note}" for name, note in zip(names, dead, strict=False))
    return f"{listed}, …" if len(files) > _MOST_NAMED else listed


def pictures_below(folder: Path, aside: LeftAside, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """The pictures of a folder and of the folders inside it.

    Args:
        folder: The folder.
        aside: Gets the files that are not read.
        above: The folders that this one is in, links resolved.

    Yields:
        The files of a folder in alphabetical order, then those of the folders inside it.

    Raises:
        DataError: A link leads back to a folder that it is in.
    """
    here = folder.resolve()
    if here in above:
        raise DataError(f"{folder}: a link on this path leads back to {here}, which it is in. Remove the link.")
    inner = []
    for entry in entries_of(folder):
        if entry.is_dir():
            inner.append(entry)
        elif is_picture(entry):
            yield entry
        elif is_unreadable(entry):
            aside.unreadable.append(entry)
        else:
            aside.ignored.append(entry)
    for deeper in inner:
        yield from pictures_below(deeper, aside, above | {here})


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder, by name."""
    return [entry for entry in entries_of(folder) if entry.is_dir()]


def entries_of(folder: Path) -> list[Path]:
    """What is in a folder, by name, without hidden files and those that operating systems leave behind."""
    return sorted(
        entry
        for entry in folder.iterdir()
        if not entry.name.startswith(".") and entry.name.lower() not in IGNORED_NAMES
    )


def is_picture(path: Path) -> bool:
    """Whether a file can be read as a picture, by its ending, or by its content where the ending means nothing."""
    ending = path.suffix.lower()
    if ending in PICTURE_ENDINGS:
        return True
    return ending not in UNREADABLE_ENDINGS and format_by_content(path) not in (None, *UNREADABLE_FORMATS)


def is_unreadable(path: Path) -> bool:
    """Whether a file is a picture in a format that cannot be read."""
    return path.suffix.lower() in UNREADABLE_ENDINGS or format_by_content(path) in ("HEIC", "JPEG XL")
