"""Which words mean pictures: names of data sets, endings of files, layouts of folders.

No file is opened, so that the command line can tell pictures from tables without torch.
"""

from collections.abc import Mapping
from pathlib import Path

__all__ = [
    "IGNORED_NAMES",
    "NAMED_PICTURES",
    "NAMED_SETS",
    "PICTURE_ENDINGS",
    "UNREADABLE_ENDINGS",
    "layout_parts",
    "part_of_name",
    "stands_for_pictures",
]

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
"""The picture data sets with a name: torchvision's class for each, and its name for the variant."""

NAMED_PICTURES = tuple(NAMED_SETS)
"""Their names."""

PICTURE_ENDINGS = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".tga"),
)
"""The endings of the picture files that can be read."""

UNREADABLE_ENDINGS = (
    *(".heic", ".heif", ".hif", ".svg", ".svgz", ".jxl", ".psd", ".xcf", ".eps", ".exr", ".dcm"),
    *(".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2", ".pef"),
)
"""The endings of picture files that cannot be read; they are an error, because a picture left aside goes unnoticed."""

IGNORED_NAMES = ("thumbs.db", "desktop.ini", "ehthumbs.db", "__macosx")
"""Files and folders that operating systems leave behind, in lower case."""

_PARTS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


def part_of_name(name: str) -> str | None:
    """The part of the data that a word means: "train", "val" or "test"; None for other words.

    Example:
        >>> part_of_name("Validation"), part_of_name("cats")
        ('val', None)
    """
    return _PARTS.get(name.strip().lower())


def layout_parts(folder: Path) -> list[tuple[Path, str]] | None:
    """The folders of parts in a folder, where it is laid out so.

    Args:
        folder: A folder.

    Returns:
        Each folder with "train", "val" or "test", in this order; None where the folder has other folders too, has no
        part for training or only that, or where a part has no folders in it (it is then a class of that name).
    """
    inner = [entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    inner = [entry for entry in inner if entry.name.lower() not in IGNORED_NAMES]
    parts = [(entry, _PARTS.get(entry.name.lower(), "")) for entry in inner]
    found = {part for _, part in parts}
    if "" in found or "train" not in found or len(found) < 2 or len(found) < len(parts):
        return None
    if not all(any(entry.is_dir() for entry in part.iterdir()) for part, _ in parts):
        return None
    return sorted(parts, key=lambda part: ("train", "val", "test").index(part[1]))


def stands_for_pictures(data: str) -> bool:
    """Whether DATA means pictures: a data set's name, a picture file, or a folder with pictures in it or below.

    A folder that contains only folders is taken for pictures too, so that the message on what is wrong speaks of them.

    Example:
        >>> stands_for_pictures("mnist"), stands_for_pictures("cat.PNG"), stands_for_pictures("zoo")
        (True, True, False)
    """
    if data in NAMED_PICTURES or _is_picture(Path(data)):
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
    return path.suffix.lower() in (*PICTURE_ENDINGS, *UNREADABLE_ENDINGS)
