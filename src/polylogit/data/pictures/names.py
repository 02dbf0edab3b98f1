"""Which words stand for pictures: names of data sets, endings of files, folders with pictures in them.

Owns the words alone and looks into no file, so that the command line can tell pictures from tables without torch.
"""

from collections.abc import Mapping
from pathlib import Path

__all__ = ["NAMED_PICTURES", "NAMED_SETS", "PICTURE_ENDINGS", "stands_for_pictures"]

NAMED_SETS: Mapping[str, tuple[str, str | None]] = {
    "mnist": ("MNIST", None),
    "fashion-mnist": ("FashionMNIST", None),
    "kmnist": ("KMNIST", None),
    "qmnist": ("QMNIST", None),
    "cifar10": ("CIFAR10", None),
    "cifar100": ("CIFAR100", None),
    **{
        f"emnist-{split}": ("EMNIST", split)
        for split in ("balanced", "byclass", "bymerge", "digits", "letters", "mnist")
    },
}
"""The picture data sets that go by a name: torchvision's class for each, and its name for the variant."""

NAMED_PICTURES = tuple(NAMED_SETS)
"""Their names."""

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
"""The endings of the picture files that can be read."""


def stands_for_pictures(data: str) -> bool:
    """Whether DATA means pictures: a data set's name, a picture file, or a folder with pictures in it or below.

    A folder that holds only folders is taken for pictures too, so that what is wrong with it is told in those words.

    Example:
        >>> stands_for_pictures("mnist"), stands_for_pictures("cat.PNG"), stands_for_pictures("zoo")
        (True, True, False)
    """
    if data in NAMED_PICTURES or Path(data).suffix.lower() in PICTURE_ENDINGS:
        return True
    folder = Path(data)
    if not folder.is_dir():
        return False
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    if any(_is_picture(entry) for entry in entries):
        return True
    folders = [entry for entry in entries if entry.is_dir()]
    return bool(folders) and (len(folders) == len(entries) or any(any(map(_is_picture, f.iterdir())) for f in folders))


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_ENDINGS
