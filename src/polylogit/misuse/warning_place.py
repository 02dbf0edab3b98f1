"""Warnings that point at the line of the user's program, however deep in hooks they are given.

See also: `findings.py` for the category.
"""

import contextlib
import functools
import sys
import warnings
from pathlib import Path
from types import FrameType

import jaxtyping
import torch

from polylogit.misuse.findings import MisuseWarning

__all__ = ["warn_at_users_line"]

_LIBRARIES = tuple(f"{Path(path).parent}/" for path in (torch.__file__, jaxtyping.__file__, str(Path(__file__).parent)))
_FILES = (contextlib.__file__, functools.__file__)


def warn_at_users_line(text: str) -> None:
    """Give a `MisuseWarning` at the innermost line that belongs neither to polylogit nor to PyTorch.

    Args:
        text: The warning.
    """
    frame: FrameType | None = sys._getframe(1)
    outermost = frame
    while frame is not None and _is_library(frame.f_code.co_filename):
        outermost, frame = frame, frame.f_back
    place = frame or outermost
    if place is None:
        raise AssertionError("a function that runs has a frame")
    warnings.warn_explicit(
        text,
        MisuseWarning,
        place.f_code.co_filename,
        place.f_lineno,
        module=str(place.f_globals.get("__name__", "__main__")),
        registry=place.f_globals.setdefault("__warningregistry__", {}),
    )


def _is_library(path: str) -> bool:
    return path.startswith((*_LIBRARIES, "<eval_with_key>", "<frozen", "<@beartype")) or path in _FILES
