"""Sheets of evaluated pictures: those of two classes that are taken for each other, and the typical ones of a class."""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from polylogit.evaluation import ScoredRows
from polylogit.report.content import ReportData
from polylogit.report.pictures import picture_uri

__all__ = ["PictureSheet", "SheetPicture", "confused_pairs", "typical_pictures"]

MOST_PAIRS = 6
MOST_OF_A_PAIR = 12
MOST_CLASSES = 20
MOST_OF_A_CLASS = 4


@dataclass(frozen=True)
class SheetPicture:
    """One picture of a sheet.

    Args:
        uri: The picture.
        name: Its file, else its number.
        probability: Of the class that it was given.
    """

    uri: str
    name: str
    probability: float


@dataclass(frozen=True)
class PictureSheet:
    """Pictures that belong together.

    Args:
        title: What they have in common.
        said: A sentence on them.
        pictures: Some of them.
    """

    title: str
    said: str
    pictures: tuple[SheetPicture, ...]


def confused_pairs(report: ReportData) -> list[PictureSheet]:
    """A sheet for each of the most frequent confusions of one class with another, the surest mistakes first.

    Args:
        report: The contents of the report.

    Returns:
        At most six sheets of at most twelve pictures, of confusions that happened at least twice; none for tables.
    """
    if report.pictures is None:
        return []
    rows = _scored(report)
    names, count = report.evaluation.class_names, len(report.evaluation.class_names)
    wrong = _counted(report, rows.hits == 0)
    pairs = rows.targets[wrong] * count + rows.predictions[wrong]
    found, times = torch.unique(pairs, return_counts=True)
    sheets = []
    for place in times.argsort(descending=True, stable=True)[:MOST_PAIRS].tolist():
        true, predicted = divmod(int(found[place]), count)
        if times[place] < 2:
            break
        chosen = wrong[pairs == found[place]]
        sheets.append(
            PictureSheet(
                title=f"{names[true]}, predicted {names[predicted]}",
                said=f"{len(chosen)} of {int((rows.targets == true).sum())} {report.nouns} of {names[true]}.",
                pictures=_shown(report, rows, _surest_first(rows, chosen)[:MOST_OF_A_PAIR]),
            )
        )
    return sheets


def typical_pictures(report: ReportData) -> list[PictureSheet]:
    """For each class the correctly predicted pictures of the highest probability.

    Args:
        report: The contents of the report.

    Returns:
        A sheet of at most four pictures for each of the first twenty classes; none for tables.
    """
    if report.pictures is None:
        return []
    rows = _scored(report)
    sheets = []
    for index, name in enumerate(report.evaluation.class_names[:MOST_CLASSES]):
        right = _counted(report, (rows.hits > 0) & (rows.targets == index))
        if len(right):
            chosen = _surest_first(rows, right)[:MOST_OF_A_CLASS]
            sheets.append(PictureSheet(title=name, said="", pictures=_shown(report, rows, chosen)))
    return sheets


def _shown(report: ReportData, rows: ScoredRows, chosen: Int[Tensor, " M"]) -> tuple[SheetPicture, ...]:
    pictures, numbers = report.pictures, report.row_numbers
    if pictures is None:
        return ()
    return tuple(
        SheetPicture(
            uri=picture_uri(pictures[row]),
            name=f"no. {row + 1 if numbers is None else int(numbers[row])}"
            if report.files is None
            else report.files[row],
            probability=float(rows.probabilities[row].max()),
        )
        for row in chosen.tolist()
    )


def _scored(report: ReportData) -> ScoredRows:
    return ScoredRows.check(report.logits, report.targets)


def _counted(report: ReportData, wanted: Tensor) -> Int[Tensor, " M"]:
    """Rows that are wanted, without those of weight zero."""
    if report.sample_weight is not None:
        wanted = wanted & (report.sample_weight > 0)
    return wanted.nonzero()[:, 0]


def _surest_first(rows: ScoredRows, chosen: Int[Tensor, " M"]) -> Int[Tensor, " M"]:
    top = rows.probabilities[chosen].max(dim=1).values
    return chosen[top.argsort(descending=True, stable=True)]
