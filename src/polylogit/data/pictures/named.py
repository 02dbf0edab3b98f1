"""Picture data sets by name: their files, where they are stored, and their download through torchvision.

The files are read as they are, compressed or not, so a read-only folder is enough; torchvision only downloads those
that are missing. See also: `polylogit.data.pictures.idx` and `polylogit.data.pictures.cifar`, the formats.
"""

import contextlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from polylogit.data.pictures.cifar import read_cifar_batch, read_cifar_names
from polylogit.data.pictures.idx import read_idx
from polylogit.data.pictures.names import NAMED_SETS
from polylogit.errors import DataError
from polylogit.system.optional import import_extra

__all__ = ["NamedPictures", "read_named_pictures"]

_DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class NamedPictures:
    """The pictures of a data set, as its files hold them.

    Args:
        pixels: Those for training, and those that the set keeps for testing.
        targets: The class index of each.
        class_names: The classes.
    """

    pixels: tuple[UInt8[Tensor, "_ C H W"], UInt8[Tensor, "_ C H W"]]
    targets: tuple[Int[Tensor, " _"], Int[Tensor, " _"]]  # as many as pixels, if the files belong together
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class _File:
    """A file of a set: as it is published, and its MD5 checksum where it is published alone."""

    name: str
    md5: str | None = None


def read_named_pictures(name: str, root: Path) -> NamedPictures:
    """Read a data set, fetching it first where it is not there yet.

    Args:
        name: One of `polylogit.data.pictures.names.NAMED_PICTURES`.
        root: Where its files lie or shall go. The folders under it are torchvision's, as in
            `MNIST/raw/train-images-idx3-ubyte.gz`.

    Returns:
        Its pictures.

    Raises:
        DataError: The files are not there and cannot be fetched, or are damaged.
        MissingExtraError: torchvision is not installed.
    """
    torchvision = import_extra("torchvision")
    called, split = NAMED_SETS[name]
    kind = getattr(torchvision.datasets, called)
    if called.startswith("CIFAR"):
        return _cifar(name, kind, root)
    files = _idx_files(kind, called, split)
    folder = root / called / "raw"
    hint = f" (or what {folder / 'gzip.zip'} holds)" if called == "EMNIST" else ""

    def paths() -> list[Path | None]:
        return [_as_it_lies(folder, file.name) for file in files]

    found = _all_there(name, kind, root, [folder / file.name for file in files], paths, hint=hint, split=split)
    train_pixels, train_labels, test_pixels, test_labels = (
        _read(path, file, labels=bool(place % 2)) for place, (path, file) in enumerate(zip(found, files, strict=True))
    )
    class_names = _DIGITS if called in ("MNIST", "QMNIST") else tuple(getattr(kind, "classes", ()))
    pixels, targets = (train_pixels, test_pixels), (train_labels, test_labels)
    if called == "EMNIST":
        class_names = tuple(kind.classes_split_dict[split])
        pixels = (pixels[0].transpose(1, 2), pixels[1].transpose(1, 2))  # they are published lying on their side
    if split == "letters":  # counted from 1; the name of 0 is "N/A"
        class_names, targets = class_names[1:], (targets[0] - 1, targets[1] - 1)
    return NamedPictures((pixels[0][:, None], pixels[1][:, None]), targets, class_names)


def _idx_files(kind: Any, called: str, split: str | None) -> list[_File]:  # noqa: ANN401 - torchvision has no types
    """Pictures and labels for training, then those for testing."""
    if called == "EMNIST":
        parts = ("train-images-idx3", "train-labels-idx1", "test-images-idx3", "test-labels-idx1")
        return [_File(f"emnist-{split}-{part}-ubyte.gz") for part in parts]
    if called == "QMNIST":
        return [_File(url.rpartition("/")[2], md5) for part in ("train", "test") for url, md5 in kind.resources[part]]
    checksums = dict(kind.resources)
    parts = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    return [_File(f"{part}-ubyte.gz", checksums[f"{part}-ubyte.gz"]) for part in parts]


def _as_it_lies(folder: Path, packed: str) -> Path | None:
    """The packed file, or else the unpacked one that torchvision leaves beside it."""
    for path in (folder / packed, folder / packed.removesuffix(".gz"), folder / "gzip" / packed):
        if path.is_file():
            return path
    return None


def _read(path: Path, file: _File, *, labels: bool) -> Tensor:
    md5 = file.md5 if path.suffix == ".gz" else None
    if not labels:
        return read_idx(path, 3, md5)
    if "idx2-int" in file.name:  # QMNIST also says who wrote each digit; the first number is the digit
        return read_idx(path, 2, md5, values="int32")[:, 0].long()
    return read_idx(path, 1, md5).long()


def _cifar(name: str, kind: Any, root: Path) -> NamedPictures:  # noqa: ANN401 - torchvision has no types
    folder = root / kind.base_folder
    train, test = ([_File(*entry) for entry in entries] for entries in (kind.train_list, kind.test_list))
    meta = _File(kind.meta["filename"], kind.meta["md5"])
    files = [*train, *test, meta]

    def paths() -> list[Path | None]:
        return [folder / file.name if (folder / file.name).is_file() else None for file in files]

    hint = f" (or the packed {root / kind.filename})"
    _all_there(name, kind, root, [folder / file.name for file in files], paths, hint=hint)
    labels = "fine_labels" if name == "cifar100" else "labels"
    parts = []
    for entries in (train, test):
        batches = [read_cifar_batch(folder / file.name, labels, file.md5) for file in entries]
        parts.append((torch.cat([pixels for pixels, _ in batches]), torch.cat([targets for _, targets in batches])))
    (train_pixels, train_targets), (test_pixels, test_targets) = parts
    names = read_cifar_names(folder / meta.name, kind.meta["key"], meta.md5)
    return NamedPictures((train_pixels, test_pixels), (train_targets, test_targets), names)


def _all_there(
    name: str,
    kind: Any,  # noqa: ANN401 - torchvision has no types
    root: Path,
    wanted: Sequence[Path],
    paths: Callable[[], list[Path | None]],
    *,
    hint: str = "",
    split: str | None = None,
) -> list[Path]:
    """Where the files lie, once they have been fetched if one was missing."""
    found = paths()
    if None in found:
        missing = ", ".join(str(path) for path, there in zip(wanted, found, strict=True) if there is None)
        try:
            root.mkdir(parents=True, exist_ok=True)
            with contextlib.redirect_stdout(sys.stderr):  # where torchvision talks; results own standard output
                for train in (True, False):
                    kind(root, train=train, download=True, **({} if split is None else {"split": split}))
        except (OSError, RuntimeError) as fault:
            raise DataError(
                f"{name}: the files are not under {root} and cannot be fetched ({fault}). Where there is no network, "
                f"put them there yourself, as they are published: {missing}{hint}. Another place can be named with "
                "--data-root or POLYLOGIT_DATA."
            ) from fault
        found = paths()
    for path, there in zip(wanted, found, strict=True):
        if there is None:
            raise DataError(f"{path}: the file is not there. Put it there as it is published{hint}.")
    return [path for path in found if path is not None]
