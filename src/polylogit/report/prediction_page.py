"""The predictions of unlabelled pictures as one HTML file that opens offline: a sheet for each predicted class.

See also: `page.py`, the report on labelled rows, whose style it shares.
"""

from dataclasses import dataclass
from pathlib import Path

from polylogit.report.environment import rendered_page
from polylogit.report.picture_sheets import SheetPicture
from polylogit.system.atomic_file import atomic_write_text

__all__ = ["PredictedClass", "PredictionPage", "prediction_html", "write_prediction_page"]


@dataclass(frozen=True)
class PredictedClass:
    """The pictures that were given one class.

    Args:
        name: The class; None: no class was given.
        count: How many pictures.
        mean_probability: Of the class, or of the most probable one where none was given.
        pictures: Some of them, the least sure first.
    """

    name: str | None
    count: int
    mean_probability: float
    pictures: tuple[SheetPicture, ...]


@dataclass(frozen=True)
class PredictionPage:
    """What the page shows.

    Args:
        data: DATA as given on the command line.
        model: The model file.
        pictures: How many were predicted.
        classes: The predicted classes, the most frequent first.
        empty: The classes of the model that no picture was given.
        hidden: How many of the predicted classes have no sheet, because there are too many.
        notes: How the classes were chosen, where it is not by the largest probability, and what else is to be said.
    """

    data: str
    model: str
    pictures: int
    classes: tuple[PredictedClass, ...]
    empty: tuple[str, ...]
    hidden: int
    notes: tuple[str, ...] = ()


def write_prediction_page(page: PredictionPage, path: Path) -> None:
    """Write the page, atomically.

    Args:
        page: Its contents.
        path: The file.

    Raises:
        PolylogitError: The file cannot be written.
    """
    atomic_write_text(path, prediction_html(page))


def prediction_html(page: PredictionPage) -> str:
    """The page as text.

    Args:
        page: Its contents.

    Returns:
        One HTML document in UTF-8, without scripts.

    Example:
        >>> classes = (PredictedClass("<cat>", 2, 0.75, ()),)
        >>> html = prediction_html(PredictionPage("pets", "model.safetensors", 2, classes, empty=(), hidden=0))
        >>> "&lt;cat&gt;" in html, "<cat>" in html
        (True, False)
    """
    return rendered_page("predictions.html.jinja", {"count": lambda value: f"{value:,}"}, page=page)
