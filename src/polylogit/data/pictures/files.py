"""Picture files in: a folder of pictures becomes pixels of one size, or an error that names the file.

A folder with one folder of pictures per class gives labels too: the names of those folders. The rule for sizes: a
picture is scaled until it covers the wanted size, and what stands out is cut off evenly on both sides. Owns the files;
what the pixels become is the business of `pictures`.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from polylogit.data.pictures.encoder import Pictures
from polylogit.data.pictures.names import PICTURE_ENDINGS
from polylogit.errors import DataError

__all__ = [
    "class_folders",
    "common_form",
    "labelled_pictures",
    "picture_files",
    "read_pictures",
]

_LONGEST_KEPT = 96
_USUAL_SIDE = 64
_GREY = ("1", "L", "LA")
_COLOUR = ("P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")


def picture_files(folder: Path) -> list[Path]:
    """The picture files that lie in the folder itself, by name."""
    return sorted(
        file
        for file in folder.iterdir()
        if file.is_file() and file.suffix.lower() in PICTURE_ENDINGS and not file.name.startswith(".")
    )


def class_folders(folder: Path) -> list[Path]:
    """The folders in a folder, by name, those that start with a dot left out."""
    return sorted(inner for inner in folder.iterdir() if inner.is_dir() and not inner.name.startswith("."))


def labelled_pictures(folder: Path) -> tuple[list[Path], list[str]]:
    """The pictures of a folder with one folder per class, and the name of each one's class.

    Args:
        folder: Holds at least two folders, each with at least one picture.

    Returns:
        The files and their labels, class by class.

    Raises:
        DataError: There are fewer than two classes, a class without pictures, or pictures beside the class folders.
    """
    folders = class_folders(folder)
    endings = ", ".join(PICTURE_ENDINGS)
    if len(folders) < 2:
        found = f"only {folders[0].name}" if folders else "no folder"
        raise DataError(
            f"{folder}: expected at least two folders, one per class with its pictures in it; found {found}."
        )
    strays = picture_files(folder)
    if strays:
        raise DataError(
            f"{folder}: {len(strays)} pictures lie beside the class folders, the first is {strays[0].name}. "
            "Move each into the folder of its class."
        )
    files: list[Path] = []
    labels: list[str] = []
    for inner in folders:
        inside = picture_files(inner)
        if not inside:
            raise DataError(f"{inner}: no picture in this class folder. Expected files that end in {endings}.")
        files += inside
        labels += [inner.name] * len(inside)
    return files, labels


def common_form(files: Sequence[Path], side: int | None = None) -> tuple[int, int, int]:
    """Channels, height and width that pictures are brought to.

    Colour where any picture has colour. The pictures' own size where all have the same and no side is longer than 96
    pixels; else 64 x 64; `side` overrides both.

    Args:
        files: Picture files; only their headers are read.
        side: Height and width wanted, in pixels.

    Returns:
        (C, H, W).

    Raises:
        DataError: A file is no picture.
    """
    sizes, modes = set(), set()
    for file in files:
        with _opened(file) as image:
            sizes.add((image.height, image.width))
            modes.add(image.mode)
    channels = 1 if modes <= set(_GREY) else 3
    if side is not None:
        return channels, side, side
    height, width = sizes.pop()
    if not sizes and max(height, width) <= _LONGEST_KEPT:
        return channels, height, width
    return channels, _USUAL_SIDE, _USUAL_SIDE


def read_pictures(files: Sequence[Path], form: tuple[int, int, int]) -> Pictures:
    """Read picture files into pixels of one form.

    Args:
        files: Picture files.
        form: Channels (1 or 3), height and width.

    Returns:
        The pictures, in the order of the files.

    Raises:
        DataError: A file is no picture, is damaged, or holds more than 8 bits a value.
    """
    channels, height, width = form
    pixels = np.empty((len(files), channels, height, width), dtype=np.uint8)
    for index, file in enumerate(files):
        with _opened(file) as image:
            try:
                upright = ImageOps.exif_transpose(image).convert("L" if channels == 1 else "RGB")
            except (OSError, SyntaxError, ValueError, EOFError) as fault:
                raise _damaged(file, fault) from fault
        if upright.size != (width, height):
            upright = ImageOps.fit(upright, (width, height), method=Image.Resampling.BILINEAR)
        values = np.asarray(upright)
        pixels[index] = values[None] if channels == 1 else values.transpose(2, 0, 1)
    return Pictures(torch.from_numpy(pixels), tuple(str(file) for file in files))


def _opened(file: Path) -> Image.Image:
    try:
        image = Image.open(file)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as fault:
        raise _damaged(file, fault) from fault
    if image.mode not in _GREY + _COLOUR:
        mode = image.mode
        image.close()
        raise DataError(f"{file}: expected 8 bits a value, got a picture of mode {mode}. Save it as an 8-bit picture.")
    return image


def _damaged(file: Path, fault: Exception) -> DataError:
    size = file.stat().st_size if file.exists() else None
    what = "the file is empty" if size == 0 else f"no picture can be read from it ({fault})"
    return DataError(f"{file}: {what}. Replace the file, or remove it.")
