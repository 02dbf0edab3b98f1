"""The line of the user's program that a hook or a warning belongs to, however deep in libraries it is.

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

__all__ = ["users_frame", "warn_at_users_line"]

_LIBRARIES = tuple(f"{Path(path).parent}/" for path in (torch.__file__, jaxtyping.__file__, str(Path(__file__).parent)))
_FILES = (contextlib.__file__, functools.__file__)


def warn_at_users_line(text: str) -> None:
    """Give a `MisuseWarning` at the innermost line that belongs neither to polylogit nor to PyTorch.

    Args:
        text: The warning.
    """
    place = users_frame() or sys._getframe(1)
    warnings.warn_explicit(
        text,
        MisuseWarning,
        place.f_code.co_filename,
        place.f_lineno,
        module=str(place.f_globals.get("__name__", "__main__")),
        registry=place.f_globals.setdefault("__warningregistry__", {}),
    )


def users_frame() -> FrameType | None:
    """The innermost frame that belongs neither to polylogit nor to PyTorch; None where there is none.

    On a GPU, PyTorch runs backward hooks in threads of its own, which have none.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_library(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def _is_library(path: str) -> bool:
    return path.startswith((*_LIBRARIES, "<eval_with_key>", "<frozen", "<@beartype")) or path in _FILES
