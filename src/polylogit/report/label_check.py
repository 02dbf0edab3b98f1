"""Labels that are probably wrong, with their rows and names: for the page, JSON, a file and the terminal."""

from dataclasses import asdict, dataclass
from typing import Any

import polars as pl
from jaxtyping import UInt8
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from torch import Tensor

from polylogit.data.pictures.stored import StoredPictures
from polylogit.plural import counted
from polylogit.report.numbers import percent
from polylogit.report.terminal_text import short_name

__all__ = ["LabelCheck", "SuspectLabel", "label_check_report", "label_check_sentence"]

MOST_ON_A_TERMINAL = 20


@dataclass(frozen=True)
class SuspectLabel:
    """One row whose label is probably wrong.

    Args:
        row: Its number in its file or data set, from 1.
        file: Its file: of a picture always, of a table where there are several; else None.
        given: The class that it is labelled with.
        suggested: The most probable class.
        given_probability: Probability of the given class.
        suggested_probability: Probability of the suggested class.
        error_probability: Probability that the label is wrong.
    """

    row: int
    file: str | None
    given: str
    suggested: str
    given_probability: float
    suggested_probability: float
    error_probability: float


@dataclass(frozen=True, eq=False)
class LabelCheck:
    """The labels of some data, checked by models that were not fitted on the rows that they score.

    Args:
        data: The data's name.
        noun: What one row is called.
        rows: How many rows have a class.
        examined: How many of them were scored by a model that was not fitted on them.
        accuracy: The share of these whose label is the most probable class.
        overlapping: Whether the classes overlap too much to tell wrong labels from rows that are hard to classify.
        suspects: The rows whose label is probably wrong, the most suspicious first.
        raw: The rows of the suspects as they came, in their order: a table without its target, or pictures.
    """

    data: str
    noun: str
    rows: int
    examined: int
    accuracy: float
    overlapping: bool
    suspects: tuple[SuspectLabel, ...]
    raw: pl.DataFrame | UInt8[Tensor, "N C H W"] | StoredPictures

    def as_json(self) -> dict[str, Any]:
        """The same as plain data, with all suspects and without the rows as they came."""
        return {
            "rows": self.rows,
            "examined": self.examined,
            "accuracy": self.accuracy,
            "overlapping": self.overlapping,
            "suspects": [asdict(suspect) for suspect in self.suspects],
        }

    def frame(self) -> pl.DataFrame:
        """A row for each suspect; the column `file` only where files are known."""
        frame = pl.DataFrame(
            [asdict(suspect) for suspect in self.suspects],
            schema={
                "row": pl.Int64,
                "file": pl.String,
                "given": pl.String,
                "suggested": pl.String,
                "given_probability": pl.Float64,
                "suggested_probability": pl.Float64,
                "error_probability": pl.Float64,
            },
        )
        return frame if any(suspect.file is not None for suspect in self.suspects) else frame.drop("file")


def label_check_sentence(check: LabelCheck) -> str:
    """The result in words: how many labels are probably wrong, and how many rows were examined.

    Args:
        check: The result.

    Returns:
        One or two sentences.

    Example:
        >>> check = LabelCheck("pets", "row", 50, 40, 0.95, False, (), pl.DataFrame())
        >>> label_check_sentence(check)
        'No label is probably wrong: 40 of 50 rows were examined, and 95% of them are predicted as labelled.'
    """
    labels = counted(len(check.suspects), "label is", "labels are") if check.suspects else "No label is"
    of = f"{check.examined:,} of {counted(check.rows, check.noun)} were examined"
    agreeing = f"{percent(check.accuracy)} of them are predicted as labelled"
    if check.overlapping:
        return (
            f"{labels} unlikely: {of}, and {agreeing}. At this accuracy the classes overlap, and most of the suspects "
            "are hard to classify rather than wrongly labelled."
        )
    return f"{labels} probably wrong: {of}, and {agreeing}."


def label_check_report(check: LabelCheck) -> RenderableType:
    """The sentence and the most suspicious rows, for a terminal."""
    parts: list[RenderableType] = [Text(label_check_sentence(check))]
    if check.suspects:
        table = Table(box=None, pad_edge=False, header_style="dim")
        files = any(suspect.file is not None for suspect in check.suspects)
        numbers = check.noun == "row" or not files  # a picture is found by its file
        if numbers:
            table.add_column(check.noun, justify="right")
        if files:
            table.add_column("file", overflow="fold")
        table.add_column("given")
        table.add_column("probability", justify="right")
        table.add_column("suggested")
        table.add_column("probability", justify="right")
        table.add_column("wrong label", justify="right")
        for suspect in check.suspects[:MOST_ON_A_TERMINAL]:
            table.add_row(
                *([f"{suspect.row:,}"] if numbers else []),
                *([Text(short_name(suspect.file or "", 60))] if files else []),
                Text(short_name(suspect.given)),
                percent(suspect.given_probability),
                Text(short_name(suspect.suggested)),
                percent(suspect.suggested_probability),
                percent(suspect.error_probability),
            )
        parts += [Text(), table]
        if (more := len(check.suspects) - MOST_ON_A_TERMINAL) > 0:
            parts.append(Text(f"and {more:,} more; --out FILE.csv writes all of them", style="dim"))
    return Group(*parts)
