"""Which words stand for pictures: names of data sets, endings of files, folders with pictures in them.

Owns the words alone and looks into no file, so that the command line can tell pictures from tables without torch.
"""

from pathlib import Path

__all__ = ["IDX_SETS", "NAMED_PICTURES", "OTHER_SETS", "PICTURE_ENDINGS", "stands_for_pictures"]

IDX_SETS = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST", "kmnist": "KMNIST"}
"""Data sets in MNIST's format, and torchvision's class for each."""

OTHER_SETS: dict[str, tuple[str, dict[str, str]]] = {
    "qmnist": ("QMNIST", {}),
    "cifar10": ("CIFAR10", {}),
    "cifar100": ("CIFAR100", {}),
    **{
        f"emnist-{split}": ("EMNIST", {"split": split})
        for split in ("balanced", "byclass", "bymerge", "digits", "letters", "mnist")
    },
}
"""Data sets in other formats: torchvision's class for each, and the options that choose among its variants."""

NAMED_PICTURES = (*IDX_SETS, *OTHER_SETS)
"""The picture data sets that go by a name."""

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
