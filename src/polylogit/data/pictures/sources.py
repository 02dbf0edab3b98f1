"""Pictures by name or by folder: which pictures there are, with which labels, and which of them are kept for testing.

Owns where data sets lie, and what makes pictures with labels a source. The files of a data set are the business of
`named_pictures`, reading a folder's files that of `picture_files`.
"""

import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from polylogit.data.pictures.encoder import Pictures
from polylogit.data.pictures.files import class_folders, common_form, labelled_pictures, picture_files, read_pictures
from polylogit.data.pictures.named import read_named_pictures
from polylogit.data.pictures.names import NAMED_PICTURES, PICTURE_ENDINGS
from polylogit.data.pictures.stored import StoredPictures
from polylogit.data.split import Split
from polylogit.data.tables.reading import is_table
from polylogit.errors import DataError
from polylogit.system.available_memory import available_memory, in_words

__all__ = ["PictureSource", "default_data_root", "open_pictures", "read_unlabelled"]

InMemory = Literal["auto", "always", "never"]


@dataclass(frozen=True)
class PictureSource:
    """Pictures and what is known of them.

    Args:
        name: What messages and results call them.
        pictures: Training rows, and after them the rows that the data set itself keeps for testing; in memory, or in
            their files.
        targets: The class index of each.
        class_names: The classes.
        fingerprint: SHA-256 of the files; tells whether a model saw these very pictures in training.
        own_split: The data set's own training and test rows; None where it has no such split.
    """

    name: str
    pictures: Pictures | StoredPictures
    targets: Int[Tensor, " N"]
    class_names: tuple[str, ...]
    fingerprint: str
    own_split: Split | None

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

    @property
    def short_name(self) -> str:
        """The name without folder, for the default place of the model."""
        return Path(self.name).name


def default_data_root() -> Path:
    """Where data sets lie, and are put when they are fetched: POLYLOGIT_DATA, or a folder in the user's cache."""
    named = os.environ.get("POLYLOGIT_DATA")
    if named:
        return Path(named)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "polylogit"


def open_pictures(
    data: str,
    *,
    root: Path | None = None,
    side: int | None = None,
    form: tuple[int, int, int] | None = None,
    in_memory: InMemory = "auto",
) -> PictureSource:
    """Read labelled pictures by name or from a folder with one folder per class.

    Args:
        data: What stands for DATA on the command line.
        root: Where data sets lie; see `open_named_pictures`.
        side: Height and width that pictures in files are brought to; see `common_form` when left out.
        form: Channels, height and width that pictures in files are brought to, whatever they are.
        in_memory: Whether pictures in files are read now; "auto": where they fit twice into the memory that is free.

    Returns:
        The pictures.

    Raises:
        DataError: There are no such pictures, or they are damaged.
    """
    if data in NAMED_PICTURES:
        return open_named_pictures(data, root)
    folder = Path(data)
    if not folder.is_dir():
        raise DataError(f"{data}: expected a folder with one folder of pictures per class, got one file.")
    return open_picture_folder(folder, side, form, in_memory)


def _kept_or_stored(
    files: Sequence[Path], form: tuple[int, int, int], in_memory: InMemory, place: str
) -> Pictures | StoredPictures:
    """The pictures, read now or later, as is wanted and as there is memory for."""
    needed, free = 2 * len(files) * math.prod(form), available_memory(torch.device("cpu"))
    fits = free is None or needed <= free
    if in_memory == "always" and not fits:
        raise DataError(
            f"{place}: {len(files):,} pictures need {in_words(needed)} in memory (the rows fitted on stand there "
            f'twice), and {in_words(free or 0)} are free. Set data.pictures_in_memory to "auto", or take a smaller '
            "data.picture_size."
        )
    if in_memory == "never" or not fits:
        return StoredPictures(files, form)
    return read_pictures(files, form)


def read_unlabelled(data: str, form: tuple[int, int, int], root: Path | None = None) -> Pictures | StoredPictures:
    """Read pictures to predict the classes of.

    Args:
        data: A picture file, a folder of pictures, a folder of folders of pictures, or the name of a data set: of that
            the part that it keeps for testing.
        form: Channels, height and width that pictures in files are brought to.
        root: Where data sets lie; see `open_named_pictures`.

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
        files = [file for folder in (path, *class_folders(path)) for file in picture_files(folder)]
        if not files:
            endings = ", ".join(PICTURE_ENDINGS)
            raise DataError(f"{data}: no picture in this folder or in those inside it. Expected {endings}.")
    elif is_table(path):
        raise DataError(f"{data}: a table came where pictures are expected, which end in {', '.join(PICTURE_ENDINGS)}.")
    elif path.is_file():
        files = [path]
    else:
        raise DataError(f"{data}: there is no such file, folder or data name. Data sets: {', '.join(NAMED_PICTURES)}.")
    return _kept_or_stored(files, form, "auto", data)


def open_named_pictures(name: str, root: Path | None = None) -> PictureSource:
    """Read a picture data set, fetching it first where it is not there yet.

    Args:
        name: One of `NAMED_PICTURES`.
        root: Where its files lie or shall go; `default_data_root()` when left out. The folders under it are
            torchvision's, as in `MNIST/raw/train-images-idx3-ubyte.gz`.

    Returns:
        The pictures, training part first.

    Raises:
        DataError: The files are not there and cannot be fetched, or are damaged.
    """
    named = read_named_pictures(name, default_data_root() if root is None else root)
    for which, pixels, targets in zip(("training", "test"), named.pixels, named.targets, strict=True):
        if len(pixels) != len(targets):
            raise DataError(
                f"{name}: {len(pixels)} {which} pictures, but {len(targets)} labels. The files do not belong together."
            )
    targets, classes = torch.cat(named.targets), len(named.class_names)
    outside = ((targets < 0) | (targets >= classes)).nonzero()
    if len(outside):
        row = int(outside[0])
        raise DataError(
            f"{name}, picture {row + 1}: the label {int(targets[row])} lies outside 0..{classes - 1}. "
            "The file of labels is not that of this data set."
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


def open_picture_folder(
    folder: Path, side: int | None = None, form: tuple[int, int, int] | None = None, in_memory: InMemory = "auto"
) -> PictureSource:
    """Read a folder with one folder of pictures per class.

    Args:
        folder: See `polylogit.data.pictures.files`.
        side: Height and width that the pictures are brought to; see `common_form` when left out.
        form: Channels, height and width that they are brought to, whatever they are.
        in_memory: Whether they are read now; "auto": where they fit twice into the memory that is free.

    Returns:
        The pictures, class by class.

    Raises:
        DataError: See `labelled_pictures`, `common_form` and `read_pictures`.
    """
    files, labels = labelled_pictures(folder)
    pictures = _kept_or_stored(files, form or common_form(files, side), in_memory, str(folder))
    class_names = tuple(dict.fromkeys(labels))
    index_of = {label: index for index, label in enumerate(class_names)}
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return PictureSource(
        name=str(folder),
        pictures=pictures,
        targets=torch.tensor([index_of[label] for label in labels]),
        class_names=class_names,
        fingerprint=digest.hexdigest(),
        own_split=None,
    )
