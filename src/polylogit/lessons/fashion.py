"""Lessons on Fashion-MNIST: a picture and its class.

The numbers stand in `numbers/fashion.toml`. The pictures are read, or fetched, by `polylogit.data.picture_sources`.
"""

from functools import cache

from polylogit.data.picture_sources import PictureSource, open_named_pictures
from polylogit.lessons.catalogue import Measurements

__all__ = ["MEASURES"]

PICTURE = 301
"""The training picture that the lecture draws."""


@cache
def clothes() -> PictureSource:
    """Fashion-MNIST, training pictures first."""
    return open_named_pictures("fashion-mnist")


def a_picture() -> Measurements:
    """What the lecture writes over picture 301."""
    index = int(clothes().targets[PICTURE])
    return {"class index": index, "class name": clothes().class_names[index]}


MEASURES = {"fashion-mnist-a-picture": a_picture}
"""The lessons of this file by their ids."""
