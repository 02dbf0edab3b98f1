"""Labelled pictures by name, from a folder, or from a table of file names, with their own split if they have one.

See also: `polylogit.data.pictures.named` (data sets), `polylogit.data.pictures.listing` (folders and tables).
"""

import hashlib
import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from polylogit.classes import check_class_indices
from polylogit.data.pictures.encoder import Background, Pictures
from polylogit.data.pictures.files import common_form, read_pictures, readable_files
from polylogit.data.pictures.listing import (
    PictureListing,
    list_picture_folder,
    list_picture_table,
    pictures_below,
)
from polylogit.data.pictures.named import read_named_pictures
from polylogit.data.pictures.names import NAMED_PICTURES, PICTURE_ENDINGS
from polylogit.data.pictures.stored import StoredPictures
from polylogit.data.split import Split
from polylogit.data.tables.data_names import named_files
from polylogit.data.tables.delimited import Dialect
from polylogit.data.tables.reading import is_table
from polylogit.data.tables.sources import BUNDLED, open_source
from polylogit.errors import DataError, RecipeError
from polylogit.system.available_memory import available_memory, in_words

__all__ = ["PictureFiles", "PictureSource", "default_data_root", "open_pictures", "read_unlabelled"]

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
        return _source_of(list_picture_folder(path, reading.least_classes), reading, on_progress)
    if reading.path_column is not None and is_table(path):
        if reading.label_column is None:
            raise RecipeError(f"{data}: which column holds the classes? Name it with --target.")
        table = open_source(data, reading.dialect or Dialect()).frame
        listing = list_picture_table(
            table, data, path.parent, path_column=reading.path_column, label_column=reading.label_column
        )
        return _source_of(listing, reading, on_progress)
    raise DataError(
        f"{data}: expected a folder with one folder of pictures per class, or a table of file names and labels with "
        "--set data.path=COLUMN, got one file."
    )


def _kept_or_stored(
    files: Sequence[Path],
    form: tuple[int, int, int],
    in_memory: InMemory,
    place: str,
    background: Background | None,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> Pictures | StoredPictures:
    """The pictures, read now or later, as is wanted and as there is memory for."""
    needed, free = 2 * len(files) * math.prod(form), available_memory(torch.device("cpu"))
    fits = free is None or needed <= free
    if in_memory == "always" and not fits:
        raise DataError(
            f"{place}: {len(files):,} pictures need {in_words(needed)} in memory (the training rows are there "
            f'twice), and {in_words(free or 0)} are free. Set data.pictures_in_memory to "auto", or take a smaller '
            "data.picture_size."
        )
    if in_memory == "never" or not fits:
        return StoredPictures(files, form, background=background)
    return read_pictures(files, form, background, on_progress=on_progress)


def read_unlabelled(
    data: str,
    form: tuple[int, int, int],
    root: Path | None = None,
    background: Background | None = "white",
) -> Pictures | StoredPictures:
    """Read pictures to predict the classes of.

    Args:
        data: A picture file, a folder of pictures and of folders of pictures at any depth, or the name of a data set,
            whose test part is read.
        form: Channels, height and width that pictures in files are brought to.
        root: Directory for downloaded data sets; see `open_named_pictures`.
        background: The colour behind transparent pixels; None: the transparency is ignored.

    Returns:
        The pictures, with their files where they came from files.

    Raises:
        DataError: There are no pictures, or one is damaged.
    """
    if data in NAMED_PICTURES:
        source = open_named_pictures(data, root)
        rows = source.own_split.test if source.own_split else slice(None)
        return Pictures(source.read()[rows])
    path = Path(data)
    if path.is_dir():
        files = sorted(pictures_below(path), key=_natural_order)
        if not files:
            endings = ", ".join(PICTURE_ENDINGS)
            raise DataError(f"{data}: no picture in this folder or in those inside it. Expected {endings}.")
    elif data in BUNDLED or is_table(path):
        raise DataError(f"{data}: a table came where pictures are expected, which end in {', '.join(PICTURE_ENDINGS)}.")
    elif path.is_file():
        files = [path]
    elif len(several := named_files(data)) > 1:
        raise DataError(
            f"{data}: {len(several)} files came, and pictures are read from one picture file or one folder. Put them "
            "in a folder and give that."
        )
    else:
        raise DataError(f"{data}: there is no such file, folder or data name. Data sets: {', '.join(NAMED_PICTURES)}.")
    return _kept_or_stored(files, form, "auto", data, background)


def _natural_order(file: Path) -> list[tuple[bool, int, str]]:
    """A key that sorts 2.png before 10.png."""
    return [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", str(file))]


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
    form = reading.form or common_form(listing.files, reading.side)
    pictures = _kept_or_stored(
        listing.files, form, reading.in_memory, listing.place, reading.background, on_progress=on_progress
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
    are = "1 picture cannot be read and was" if len(broken) == 1 else f"{len(broken)} pictures cannot be read and were"
    more = ", …" if len(broken) > 5 else ""
    return listing.take(readable, f"{are} skipped: {', '.join(str(file) for file in broken[:5])}{more}.")


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
