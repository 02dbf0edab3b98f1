"""The exceptions that polylogit raises, and suggestions for misspelt names.

    PolylogitError              a fault that the user can fix; the command line prints it and exits
    ├── DataError               a table, a picture, a label or a file of data is at fault   (also ValueError)
    ├── ScoreError              scores or targets handed to a loss are at fault             (also ValueError)
    ├── RecipeError             an option of a recipe is unknown or out of range            (also ValueError)
    ├── DivergenceError         the loss became NaN or infinite before there were weights worth keeping
    ├── ModelFileError          a model file cannot be read, trusted or written
    ├── ExportError             a model cannot be exported as asked, or the export predicts something else
    └── MissingExtraError       an optional dependency is not installed                     (also ImportError)

A message says what was wrong, where, what was expected, what came, and what to do. Any other exception is a fault of
polylogit itself and keeps its traceback.
"""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "DataError",
    "DivergenceError",
    "ExportError",
    "MissingExtraError",
    "ModelFileError",
    "PolylogitError",
    "PolylogitWarning",
    "RecipeError",
    "ScoreError",
    "did_you_mean",
]


class PolylogitError(Exception):
    """Base class of every fault that a user of polylogit can cause and can fix."""


class PolylogitWarning(UserWarning):
    """Something that a user of polylogit should know, although the result is what was asked for."""


class DataError(PolylogitError, ValueError):
    """A table, a picture, a label or a file of data is at fault."""


class ScoreError(PolylogitError, ValueError):
    """Scores or targets handed to a loss are at fault."""


class RecipeError(PolylogitError, ValueError):
    """An option of a recipe is unknown, out of range or in the wrong place."""


class DivergenceError(PolylogitError):
    """The loss became NaN or infinite before there were weights worth keeping."""


class ModelFileError(PolylogitError):
    """A model file cannot be read, trusted or written."""


class ExportError(PolylogitError):
    """A model cannot be exported as asked, or the exported file predicts something else; nothing is written."""


class MissingExtraError(PolylogitError, ImportError):
    """An optional dependency that this call needs is not installed."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence that suggests the nearest known names, or lists them all where none is near.

    Args:
        name: What came.
        known: What would have been right.

    Returns:
        A sentence that starts with a space, or an empty string where nothing is known.

    Example:
        >>> did_you_mean("tpye", ["type", "legs"])
        ' Did you mean "type"?'
        >>> did_you_mean("zebra", ["type", "legs"])
        ' Known: type, legs.'
    """
    names = list(known)
    folded = {candidate.casefold(): candidate for candidate in names}
    near = [folded[match] for match in get_close_matches(str(name).casefold(), folded, n=3, cutoff=0.6)]
    if near:
        quoted = " or ".join(f'"{match}"' for match in near)
        return f" Did you mean {quoted}?"
    if not names:
        return ""
    listed = ", ".join(names[:20])
    return f" Known: {listed}{', …' if len(names) > 20 else '.'}"
