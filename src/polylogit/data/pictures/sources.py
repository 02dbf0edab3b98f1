"""Labelled pictures by name, from a folder, or from a table of file names, with their own split if they have one.

See also: `polylogit.data.pictures.named` (data sets), `polylogit.data.pictures.listing` (folders and tables).
"""

import hashlib
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from polylogit.classes import check_class_indices
from polylogit.data.pictures.encoder import Background, Pictures
from polylogit.data.pictures.files import (
    check_headers,
    common_form,
    read_pictures,
    readable_files,
    skipped_note,
)
from polylogit.data.pictures.listing import PictureListing, list_picture_folder
from polylogit.data.pictures.named import read_named_pictures
from polylogit.data.pictures.names import NAMED_PICTURES
from polylogit.data.pictures.stored import StoredPictures
from polylogit.data.pictures.table_listing import list_picture_table
from polylogit.data.split import Split
from polylogit.data.tables.delimited import Dialect
from polylogit.data.tables.reading import is_table
from polylogit.data.tables.sources import open_source
from polylogit.errors import DataError, RecipeError
from polylogit.system.available_memory import available_memory, in_words

__all__ = [
    "PictureFiles",
    "PictureSource",
    "default_data_root",
    "open_named_pictures",
    "open_pictures",
    "pictures_of_files",
]

InMemory = Literal["auto", "always", "never"]
_PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class PictureFiles:
    """How picture files are found and read; without meaning for data sets with a name.

    Args:
        side: Height and width that they are brought to; see `common_form` when left out.
        form: Channels, height and width that they are brought to, whatever they are.
        in_memory: Whether they are read once and kept; "auto": where they fit twice into the memory that is free.
        background: The colour behind transparent pixels; None: the transparency is ignored.
        broken: Whether files that cannot be read are an error or are skipped, with a note.
        path_column: Where DATA is a table, its column of file names.
        label_column: Where DATA is a table, its column of classes.
        dialect: Where DATA is a text table, how it is written.
        least_classes: How many folders of classes there must be: to train 2, to evaluate 1.
        check_form: Called with channels, height and width, and the number of pictures, before one is decoded.
    """

    side: int | None = None
    form: tuple[int, int, int] | None = None
    in_memory: InMemory = "auto"
    background: Background | None = "white"
    broken: Literal["error", "skip"] = "error"
    path_column: str | None = None
    label_column: str | None = None
    dialect: Dialect | None = None
    least_classes: int = 2
    check_form: Callable[[tuple[int, int, int], int], None] | None = None


@dataclass(frozen=True)
class PictureSource:
    """Pictures and what is known of them.

    Args:
        name: What messages and results call them.
        pictures: Training rows, and after them the rows that the data set itself keeps for testing; in memory, or in
            their files.
        targets: The class index of each.
        class_names: The classes.
        fingerprint: SHA-256 of the files; shows whether a model was trained on the same pictures.
        digests: SHA-256 of the content of each file, in hexadecimal; empty for a data set with a name.
        own_split: The data's own training and test rows; None where they have no such split.
        validation: The data's own validation rows, which are among the training rows; None where they have none.
        listing: The files that the pictures are read from; None for a data set with a name.
    """

    name: str
    pictures: Pictures | StoredPictures
    targets: Int[Tensor, " N"]
    class_names: tuple[str, ...]
    fingerprint: str
    own_split: Split | None
    validation: Int[Tensor, " V"] | None = None
    listing: PictureListing | None = None
    digests: tuple[str, ...] = ()

    @property
    def pixels(self) -> UInt8[Tensor, "N C H W"] | StoredPictures:
        """The pictures as rows, in memory or in their files."""
        return self.pictures if isinstance(self.pictures, StoredPictures) else self.pictures.pixels

    def read(self) -> UInt8[Tensor, "N C H W"]:
        """The pixels of all pictures, in memory."""
        return self.pictures.read() if isinstance(self.pictures, StoredPictures) else self.pictures.pixels

    @property
    def form(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        channels, height, width = self.pixels.shape[1:]
        return channels, height, width


def default_data_root() -> Path:
    """The directory for downloaded data sets: POLYLOGIT_DATA, or a folder in the user's cache."""
    named = os.environ.get("POLYLOGIT_DATA")
    if named:
        return Path(named)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "polylogit"


def open_pictures(
    data: str,
    *,
    root: Path | None = None,
    reading: PictureFiles | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> PictureSource:
    """Read labelled pictures by name, from a folder, or from a table of file names and labels.

    Args:
        data: DATA as given on the command line.
        root: Directory for downloaded data sets; see `open_named_pictures`.
        reading: How picture files are found and read.
        on_progress: Called with the picture files read so far and all of them, where they are read now.

    Returns:
        The pictures.

    Raises:
        DataError: There are no such pictures, or they are damaged.
        RecipeError: DATA is a table that has no such column of file names or labels.
    """
    if data in NAMED_PICTURES:
        return open_named_pictures(data, root)
    reading = reading or PictureFiles()
    path = Path(data)
    if path.is_dir():
        return _source_of(list_picture_folder(path, reading.least_classes, reading.broken), reading, on_progress)
    if reading.path_column is not None and is_table(path):
        if reading.label_column is None:
            raise RecipeError(f"{data}: which column holds the classes? Name it with --target.")
        source = open_source(data, reading.dialect or Dialect())
        listing = list_picture_table(
            source.frame,
            data,
            path.parent,
            path_column=reading.path_column,
            label_column=reading.label_column,
            must_exist=reading.broken == "error",
        )
        return _source_of(replace(listing, notes=(*source.notes, *listing.notes)), reading, on_progress)
    raise DataError(
        f"{data}: expected a folder with one folder of pictures per class, or a table of file names and labels with "
        "--set data.path=COLUMN, got one file."
    )


def pictures_of_files(
    files: Sequence[Path],
    form: tuple[int, int, int],
    background: Background | None,
    in_memory: InMemory = "auto",
    place: str = "the pictures",
    *,
    most_kept: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Pictures | StoredPictures:
    """Pictures in files, read now or later, as is wanted and as there is memory for.

    Args:
        files: Picture files.
        form: Channels, height and width that they are brought to.
        background: The colour behind transparent pixels; None: the transparency is ignored.
        in_memory: Whether they are read now; "auto": where they fit twice into the memory that is free.
        place: What messages call them.
        most_kept: With "auto" only so many bytes are read now; None: as many as fit.
        on_progress: Called with the files read so far and all of them.

    Returns:
        The pictures.

    Raises:
        DataError: They are wanted in memory and do not fit, or files that are read now are damaged.
    """
    needed, free = 2 * len(files) * math.prod(form), available_memory(torch.device("cpu"))
    fits = free is None or needed <= free
    if in_memory == "always" and not fits:
        raise DataError(
            f"{place}: {len(files):,} pictures need {in_words(needed)} in memory (the training rows are there "
            f'twice), and {in_words(free or 0)} are free. Set data.pictures_in_memory to "auto", or take a smaller '
            "data.picture_size."
        )
    few = most_kept is None or needed <= 2 * most_kept
    if in_memory == "never" or not fits or (in_memory == "auto" and not few):
        return StoredPictures(files, form, background=background)
    return read_pictures(files, form, background, on_progress=on_progress)


def open_named_pictures(name: str, root: Path | None = None) -> PictureSource:
    """Read a picture data set, fetching it first where it is not there yet.

    Args:
        name: One of `NAMED_PICTURES`.
        root: Directory for downloaded data sets; `default_data_root()` when left out. The folders under it are
            torchvision's, as in `MNIST/raw/train-images-idx3-ubyte.gz`.

    Returns:
        The pictures, training part first.

    Raises:
        DataError: The files are missing and cannot be downloaded, or are damaged.
    """
    named = read_named_pictures(name, default_data_root() if root is None else root)
    for which, pixels, targets in zip(("training", "test"), named.pixels, named.targets, strict=True):
        if len(pixels) != len(targets):
            raise DataError(
                f"{name}: {len(pixels)} {which} pictures, but {len(targets)} labels. The files do not belong together."
            )
    targets, classes = torch.cat(named.targets), len(named.class_names)
    check_class_indices(
        targets, classes, name=f"{name}, labels", remedy="The file of labels is not that of this data set."
    )
    digest = hashlib.sha256()
    for part in (*named.pixels, *named.targets):
        digest.update(part.contiguous().numpy().data)
    count = len(named.targets[0])
    return PictureSource(
        name=name,
        pictures=Pictures(torch.cat(named.pixels)),
        targets=targets,
        class_names=named.class_names,
        fingerprint=digest.hexdigest(),
        own_split=Split(train=torch.arange(count), test=torch.arange(count, len(targets))),
    )


def _source_of(
    listing: PictureListing, reading: PictureFiles, on_progress: Callable[[int, int], None] | None
) -> PictureSource:
    """The pictures of a listing, read or kept in their files."""
    if reading.broken == "skip":
        listing = _without_broken(listing)
    if reading.form is not None:
        check_headers(listing.files)
    form = reading.form or common_form(listing.files, reading.side)
    if reading.check_form is not None:
        reading.check_form(form, len(listing.files))
    pictures = pictures_of_files(
        listing.files, form, reading.background, reading.in_memory, listing.place, on_progress=on_progress
    )
    class_names = tuple(sorted(set(listing.labels)))
    index_of = {label: index for index, label in enumerate(class_names)}
    own_split, validation = _parts_of(listing)
    digests = tuple(hashlib.sha256(file.read_bytes()).digest() for file in listing.files)
    return PictureSource(
        name=listing.place,
        pictures=pictures,
        targets=torch.tensor([index_of[label] for label in listing.labels]),
        class_names=class_names,
        fingerprint=_fingerprint(listing, digests),
        own_split=own_split,
        validation=validation,
        listing=listing,
        digests=tuple(digest.hex() for digest in digests),
    )


def _without_broken(listing: PictureListing) -> PictureListing:
    readable = readable_files(listing.files)
    if all(readable):
        return listing
    broken = [file for file, fine in zip(listing.files, readable, strict=True) if not fine]
    return listing.take(readable, skipped_note(broken))


def _parts_of(listing: PictureListing) -> tuple[Split | None, Int[Tensor, " V"] | None]:
    """The split that the folders give, and the validation rows; without a test folder those are the test rows."""
    if listing.parts is None:
        return None, None
    rows = {part: torch.tensor([at for at, of in enumerate(listing.parts) if of == part]).long() for part in _PARTS}
    if not len(rows["test"]):
        return Split(train=rows["train"], test=rows["val"]), None
    train = torch.cat([rows["train"], rows["val"]]).sort().values
    return Split(train=train, test=rows["test"]), rows["val"] if len(rows["val"]) else None


def _fingerprint(listing: PictureListing, digests: Sequence[bytes]) -> str:
    """SHA-256 of names and contents, and of the labels where the names do not show them."""
    digest = hashlib.sha256()
    for file, label, content in zip(listing.files, listing.labels, digests, strict=True):
        name = os.path.relpath(file, listing.root).replace(os.sep, "/")
        digest.update(name.encode() + b"\0")
        if listing.columns is not None:
            digest.update(label.encode() + b"\0")
        digest.update(content)
    return digest.hexdigest()
