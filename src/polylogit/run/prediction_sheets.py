"""The least sure predictions of each class, gathered while a folder of pictures is predicted, for a page.

Only the pictures that will be shown are remembered, by their number; their pixels are read again at the end.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl
from jaxtyping import UInt8
from torch import Tensor

from polylogit.data.pictures.stored import StoredPictures
from polylogit.report.picture_sheets import SheetPicture
from polylogit.report.pictures import picture_uri
from polylogit.report.prediction_page import PredictedClass, PredictionPage

__all__ = ["LeastSure"]

MOST_SHEETS = 60
MOST_OF_A_CLASS = 24
MOST_PICTURES = 240
"""On the page, so that it stays under 2.5 MB; each sheet has at least four."""


class LeastSure:
    """Counts the predictions of each class, and remembers the least sure ones.

    Args:
        class_names: The classes of the model.
    """

    def __init__(self, class_names: tuple[str, ...]) -> None:
        self._names = class_names
        self._most = max(4, min(MOST_OF_A_CLASS, MOST_PICTURES // min(len(class_names), MOST_SHEETS)))
        self._rows = 0
        self._kept: list[pl.DataFrame] = []
        self._counts: list[pl.DataFrame] = []

    def watching(self, frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """The frames as they are, each looked at as it passes.

        Args:
            frames: Predictions of pictures.

        Yields:
            The same frames.
        """
        for frame in frames:
            self._take(frame)
            yield frame

    def _take(self, frame: pl.DataFrame) -> None:
        columns = {name: pl.col(f"probability_{name}") for name in self._names}
        given = [pl.when(pl.col("class") == name).then(column) for name, column in columns.items()]
        name = pl.col("file") if "file" in frame.columns else pl.lit(None, dtype=pl.String)
        found = frame.select(
            pl.int_range(self._rows, self._rows + frame.height).alias("row"),
            name.alias("file"),
            pl.col("class"),
            pl.coalesce(*given, pl.max_horizontal(*columns.values())).alias("probability"),
        )
        self._rows += frame.height
        self._counts.append(found.group_by("class").agg(pl.len().alias("count"), pl.col("probability").sum()))
        kept = pl.concat([*self._kept, found]).sort("probability", "row")
        self._kept = [kept.filter(pl.int_range(pl.len()).over("class") < self._most)]

    def page(self, data: str, model: Path, pictures: UInt8[Tensor, "N C H W"] | StoredPictures) -> PredictionPage:
        """The contents of the page; complete after the last frame.

        Args:
            data: DATA as given on the command line.
            model: The model file.
            pictures: All pictures, in the order of the frames.

        Returns:
            The contents.
        """
        counts = pl.concat(self._counts).group_by("class").sum().sort(["count", "class"], descending=[True, False])
        classes = [
            PredictedClass(
                name=name,
                count=count,
                mean_probability=total / count,
                pictures=self._shown(name, pictures, f"{data.rstrip('/')}/") if place < MOST_SHEETS else (),
            )
            for place, (name, count, total) in enumerate(counts.select("class", "count", "probability").iter_rows())
        ]
        given = {each.name for each in classes}
        return PredictionPage(
            data=data,
            model=str(model),
            pictures=self._rows,
            classes=tuple(classes),
            empty=tuple(name for name in self._names if name not in given),
            hidden=max(0, len(classes) - MOST_SHEETS),
        )

    def _shown(
        self, name: str | None, pictures: UInt8[Tensor, "N C H W"] | StoredPictures, folder: str
    ) -> tuple[SheetPicture, ...]:
        chosen = self._kept[0].filter(pl.col("class").eq_missing(pl.lit(name, dtype=pl.String)))
        return tuple(
            SheetPicture(
                uri=picture_uri(pictures[row]),
                name=f"no. {row + 1}" if file is None else file.removeprefix(folder),
                probability=probability,
            )
            for row, file, probability in chosen.select("row", "file", "probability").iter_rows()
        )
