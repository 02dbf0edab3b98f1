"""Pictures by name or by folder: which pictures there are, with which labels, and which of them are kept for testing.

Owns the names of the data sets, where their files lie, and the road to them: torchvision's mirrors and checksums. MNIST
and the sets in its format are read from the packed files as they are, so that a folder that cannot be written to will
do. Reading one file is the business of `idx` and `picture_files`.
"""

import contextlib
import hashlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from polylogit.data.idx import read_idx
from polylogit.data.picture_files import class_folders, common_form, labelled_pictures, picture_files, read_pictures
from polylogit.data.picture_names import IDX_SETS, NAMED_PICTURES, OTHER_SETS, PICTURE_ENDINGS
from polylogit.data.pictures import Pictures, pictures_from_array
from polylogit.data.split import Split
from polylogit.errors import DataError

__all__ = ["PictureSource", "default_data_root", "open_pictures", "read_unlabelled"]

_IDX_PREFIXES = ("train", "t10k")
_DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class PictureSource:
    """Pictures and what is known of them.

    Args:
        name: What messages and results call them.
        pictures: Training rows, and after them the rows that the data set itself keeps for testing.
        targets: The class index of each.
        class_names: The classes.
        fingerprint: SHA-256 of the files; tells whether a model saw these very pictures in training.
        own_split: The data set's own training and test rows; None where it has no such split.
    """

    name: str
    pictures: Pictures
    targets: Int[Tensor, " N"]
    class_names: tuple[str, ...]
    fingerprint: str
    own_split: Split | None

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
    data: str, *, root: Path | None = None, side: int | None = None, form: tuple[int, int, int] | None = None
) -> PictureSource:
    """Read labelled pictures by name or from a folder with one folder per class.

    Args:
        data: What stands for DATA on the command line.
        root: Where data sets lie; see `open_named_pictures`.
        side: Height and width that pictures in files are brought to; see `common_form` when left out.
        form: Channels, height and width that pictures in files are brought to, whatever they are.

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
    return open_picture_folder(folder, side, form)


def read_unlabelled(data: str, form: tuple[int, int, int], root: Path | None = None) -> Pictures:
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
        return Pictures(source.pictures.pixels[source.own_split.test if source.own_split else slice(None)])
    path = Path(data)
    if path.is_dir():
        files = [file for folder in (path, *class_folders(path)) for file in picture_files(folder)]
        if not files:
            endings = ", ".join(PICTURE_ENDINGS)
            raise DataError(f"{data}: no picture in this folder or in those inside it. Expected {endings}.")
    elif path.is_file():
        files = [path]
    else:
        raise DataError(f"{data}: there is no such file, folder or data name. Data sets: {', '.join(NAMED_PICTURES)}.")
    return read_pictures(files, form)


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
    root = default_data_root() if root is None else root
    return _open_idx_set(name, root) if name in IDX_SETS else _open_other_set(name, root)


def open_picture_folder(
    folder: Path, side: int | None = None, form: tuple[int, int, int] | None = None
) -> PictureSource:
    """Read a folder with one folder of pictures per class.

    Args:
        folder: See `polylogit.data.picture_files`.
        side: Height and width that the pictures are brought to; see `common_form` when left out.
        form: Channels, height and width that they are brought to, whatever they are.

    Returns:
        The pictures, class by class.

    Raises:
        DataError: See `labelled_pictures`, `common_form` and `read_pictures`.
    """
    files, labels = labelled_pictures(folder)
    pictures = read_pictures(files, form or common_form(files, side))
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


def _open_idx_set(name: str, root: Path) -> PictureSource:
    import torchvision  # noqa: PLC0415 - slow to import, and only needed for pictures by name

    kind = getattr(torchvision.datasets, IDX_SETS[name])
    raw = root / IDX_SETS[name] / "raw"
    checksums: dict[str, str] = dict(kind.resources)
    if not all(_as_it_lies(raw, file) for file in checksums):
        _fetch(name, kind, root, [str(raw / file) for file in checksums])
    pixels: list[Tensor] = []
    targets: list[Tensor] = []
    digest = hashlib.sha256()
    for prefix in _IDX_PREFIXES:
        for part, axes, into in (("images-idx3", 3, pixels), ("labels-idx1", 1, targets)):
            packed = f"{prefix}-{part}-ubyte.gz"
            path = _as_it_lies(raw, packed)
            if path is None:
                raise DataError(f"{raw / packed}: the file is not there. Put it there, packed as it is published.")
            into.append(read_idx(path, axes, checksums[packed] if path.suffix == ".gz" else None))
            digest.update(into[-1].numpy().tobytes())
    class_names = tuple(kind.classes) if name == "fashion-mnist" else _DIGITS
    if name == "kmnist":
        class_names = tuple(kind.classes)
    return _with_own_split(name, pixels, targets, class_names, digest.hexdigest())


def _as_it_lies(raw: Path, packed: str) -> Path | None:
    """The packed file, or else the unpacked one that torchvision leaves beside it."""
    for path in (raw / packed, raw / packed.removesuffix(".gz")):
        if path.is_file():
            return path
    return None


def _open_other_set(name: str, root: Path) -> PictureSource:
    import torchvision  # noqa: PLC0415 - slow to import, and only needed for pictures by name

    called, options = OTHER_SETS[name]
    kind = getattr(torchvision.datasets, called)
    try:
        parts = [kind(root, train=train, **options) for train in (True, False)]
    except RuntimeError:  # torchvision's word for "not there", or for a wrong checksum
        _fetch(name, kind, root, [str(root / getattr(kind, "base_folder", called))], **options)
        parts = [kind(root, train=train, **options) for train in (True, False)]
    pixels = [pictures_from_array(torch.as_tensor(part.data), name) for part in parts]
    targets = [torch.as_tensor(part.targets) for part in parts]
    class_names = tuple(getattr(parts[0], "classes", _DIGITS))
    if called == "QMNIST":
        targets, class_names = [part[:, 0] for part in targets], _DIGITS
    if called == "EMNIST":
        pixels = [part.transpose(2, 3) for part in pixels]  # they are published lying on their side
    if name == "emnist-letters":
        targets, class_names = [part - 1 for part in targets], class_names[1:]
    digest = hashlib.sha256()
    for part in (*pixels, *targets):
        digest.update(part.numpy().tobytes())
    return _with_own_split(name, pixels, targets, class_names, digest.hexdigest())


def _with_own_split(
    name: str, pixels: Sequence[Tensor], targets: Sequence[Tensor], class_names: tuple[str, ...], fingerprint: str
) -> PictureSource:
    for part, (these, those) in enumerate(zip(pixels, targets, strict=True)):
        if len(these) != len(those):
            which = ("training", "test")[part]
            raise DataError(
                f"{name}: {len(these)} {which} pictures, but {len(those)} labels. The files do not belong together."
            )
    indices = torch.cat(list(targets)).long()
    outside = ((indices < 0) | (indices >= len(class_names))).nonzero()
    if len(outside):
        row = int(outside[0])
        raise DataError(
            f"{name}, picture {row + 1}: the label {int(indices[row])} lies outside 0..{len(class_names) - 1}. "
            "The file of labels is not that of this data set."
        )
    count = len(targets[0])
    return PictureSource(
        name=name,
        pictures=Pictures(torch.cat([part if part.ndim == 4 else part[:, None] for part in pixels])),
        targets=indices,
        class_names=class_names,
        fingerprint=fingerprint,
        own_split=Split(train=torch.arange(count), test=torch.arange(count, len(indices))),
    )


def _fetch(name: str, kind: Any, root: Path, files: Sequence[str], **options: str) -> None:  # noqa: ANN401
    try:
        root.mkdir(parents=True, exist_ok=True)
        # torchvision talks on standard output, which belongs to results.
        with contextlib.redirect_stdout(sys.stderr):
            for train in (True, False):
                kind(root, train=train, download=True, **options)
    except (OSError, RuntimeError) as fault:
        raise DataError(
            f"{name}: the files are not under {root} and cannot be fetched ({fault}). Where there is no network, put "
            f"them there yourself: {', '.join(files)}. Another place can be named with --data-root or POLYLOGIT_DATA."
        ) from fault
