"""Predictions as frames: a class and probabilities for each row, batch by batch."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence, Set
from pathlib import Path
from typing import Literal

import polars as pl
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from polylogit.calibration import DecisionRule, PredictionSetRule
from polylogit.classifier import Classifier
from polylogit.data.pictures.encoder import PictureEncoder, Pictures
from polylogit.data.pictures.stored import StoredPictures
from polylogit.data.pictures.unlabelled import FilesToPredict, UnlabelledPictures, read_unlabelled
from polylogit.data.tables.dialect import Dialect
from polylogit.data.tables.encoder import TableEncoder
from polylogit.data.tables.named_column import select_named
from polylogit.data.tables.parts import scan_parts
from polylogit.data.tables.sources import source_paths
from polylogit.data.tables.standard_input import without_its_path
from polylogit.data.tables.type_inference import check_columns_exist
from polylogit.data.tables.unseen import UnseenCounts, check_mostly_seen, warning_words
from polylogit.errors import RecipeError
from polylogit.plural import agreeing
from polylogit.run.explanations import ExplanationForm, check_can_explain, explanation_columns, explanation_frame

__all__ = ["PredictionFrames", "notes_on_table", "prediction_frame", "prediction_frames"]

PICTURES_AT_ONCE = 8192
"""Pictures in a frame of predictions."""


def prediction_frame(
    logits: Float[Tensor, "N K"],
    class_names: Sequence[str],
    abstain_below: float | None = None,
    set_rule: PredictionSetRule | None = None,
    decision: DecisionRule | None = None,
) -> pl.DataFrame:
    """The columns `class`, with rules `expected_cost` and `prediction_set`, then `probability_NAME` for each class.

    Args:
        logits: Calibrated logits.
        class_names: The classes in their order.
        abstain_below: Give no class to a row whose top probability is below this.
        set_rule: The rule of the prediction sets, which are lists of class names; None: there is no such column.
        decision: The rule by which the class is chosen, whose expected cost has a column; None: the most probable.

    Returns:
        One row per row.

    Example:
        >>> prediction_frame(torch.tensor([[0.0, 0.0], [0.0, 9.0]]), ("bird", "fish"), abstain_below=0.9).rows()
        [(None, 0.5, 0.5), ('fish', 0.00012339..., 0.99987...)]
    """
    probabilities = torch.softmax(logits, dim=1)
    likely = logits.argmax(dim=1)  # two logits that differ may have the same rounded probability
    predicted = likely if decision is None else decision.decide(logits)
    index = pl.Series("class", predicted.numpy())
    names = pl.Series(list(class_names), dtype=pl.String).gather(index).alias("class").to_frame()
    if abstain_below is not None:
        sure = pl.Series(probabilities.gather(1, likely[:, None])[:, 0].numpy()) >= abstain_below
        names = names.select(pl.when(sure).then(pl.col("class")))
    columns = [
        pl.Series(f"probability_{name}", probabilities[:, place].contiguous().numpy())
        for place, name in enumerate(class_names)
    ]
    if set_rule is not None:
        columns.insert(0, _lists_of_names(set_rule.contains(logits), class_names))
    if decision is not None:
        columns.insert(0, pl.Series("expected_cost", decision.least_expected_costs(logits).numpy()))
    found = names.with_columns(columns)
    if decision is not None and abstain_below is not None:
        found = found.with_columns(pl.when(sure).then(pl.col("expected_cost")))
    return found


def _lists_of_names(contained: Bool[Tensor, "N K"], class_names: Sequence[str]) -> pl.Series:
    """The column `prediction_set`: the names of the classes in the set of each row."""
    row, place = contained.nonzero().T.contiguous().numpy()
    names = pl.Series(list(class_names), dtype=pl.String).gather(pl.Series(place))
    lists = pl.DataFrame({"row": row, "prediction_set": names}).group_by("row", maintain_order=True).all()
    return lists["prediction_set"]


def prediction_frames(
    classifier: Classifier,
    data: str,
    *,
    dialect: Dialect,
    carry: Sequence[str] = (),
    abstain_below: float | None = None,
    set_rule: PredictionSetRule | None = None,
    allow_unseen: bool = False,
    explain: ExplanationForm | None = None,
    data_root: Path | None = None,
    path_column: str | None = None,
    broken: Literal["error", "skip"] = "error",
    on_progress: Callable[[int], None] | None = None,
) -> "PredictionFrames":
    """The predictions of every row that DATA names.

    Args:
        classifier: The classifier.
        data: DATA as given on the command line; columns in any order, the target need not be there.
        dialect: How a text table is written.
        carry: Columns of a table that precede the prediction.
        abstain_below: Give no class to a row whose top probability is below this.
        set_rule: The rule of the prediction sets; None: none are given.
        allow_unseen: Whether to predict a table even where most cells of a column are unseen categories.
        explain: How the contributions of the columns are given, after the probabilities; None: not at all.
        data_root: Directory for downloaded data sets.
        path_column: Where DATA is a table of picture files, the column of their names.
        broken: Whether picture files that cannot be read are an error or are skipped, with a note.
        on_progress: Called after each frame with the rows predicted so far.

    Returns:
        The frames, in the order of the rows; they can be iterated over once.

    Raises:
        DataError: The data are at fault; a fault far down in a table is raised when it is reached.
        RecipeError: A column to carry has the name of a column of the prediction or is named twice, the data are
            pictures, or the model cannot explain its predictions.
    """
    encoder = classifier.preprocessing
    if explain is not None:
        check_can_explain(classifier)
    if isinstance(encoder, PictureEncoder):
        _check_carried(classifier, carry, {"file"}, set_rule=set_rule)
        finding = FilesToPredict(path_column, dialect, broken, tuple(carry))
        pictures = read_unlabelled(data, encoder.input_shape, data_root, encoder.background, finding)
        return _PictureFrames(
            classifier, data, pictures, abstain_below=abstain_below, set_rule=set_rule, on_progress=on_progress
        )
    besides = set() if explain is None else set(explanation_columns(classifier, explain))
    _check_carried(classifier, carry, besides, set_rule=set_rule)
    return _TableFrames(
        classifier,
        data,
        encoder,
        dialect,
        tuple(carry),
        abstain_below=abstain_below,
        set_rule=set_rule,
        allow_unseen=allow_unseen,
        explain=explain,
        on_progress=on_progress,
    )


def _check_carried(
    classifier: Classifier, carry: Sequence[str], besides: Set[str], *, set_rule: PredictionSetRule | None
) -> None:
    """Refuse a column to carry that is named twice, or as a column of the prediction."""
    twice = next((name for place, name in enumerate(carry) if name in carry[:place]), None)
    if twice is not None:
        raise RecipeError(f"--carry {twice}: the column is named twice. Name it once.")
    own = {"class", *besides, *(f"probability_{name}" for name in classifier.class_names)}
    own |= set() if set_rule is None else {"prediction_set"}
    own |= set() if classifier.decision is None else {"expected_cost"}
    clash = sorted(set(carry) & own)
    if clash:
        raise RecipeError(f"--carry {clash[0]}: the prediction has a column of that name. Rename it in the table.")


class PredictionFrames(ABC):
    """Predictions, frame by frame, and counts that grow as they are iterated over.

    Attributes:
        rows: Rows predicted so far.
        answered: Those that were given a class.
        pictures: The pictures that are predicted; None for a table.
    """

    def __init__(
        self,
        classifier: Classifier,
        data: str,
        *,
        abstain_below: float | None,
        set_rule: PredictionSetRule | None,
        on_progress: Callable[[int], None] | None,
    ) -> None:
        self.rows = 0
        self.answered = 0
        self.pictures: UInt8[Tensor, "N C H W"] | StoredPictures | None = None
        self._classifier = classifier
        self._data = data
        self._abstain_below = abstain_below
        self._set_rule = set_rule
        self._classes_in_sets = 0
        self._changed = 0
        self._on_progress = on_progress

    def __iter__(self) -> Iterator[pl.DataFrame]:
        for logits, before, after in self._batches():
            decision = self._classifier.decision
            frame = prediction_frame(
                logits, self._classifier.class_names, self._abstain_below, self._set_rule, decision
            )
            if decision is not None:
                changed = decision.decide(logits) != logits.argmax(dim=1)
                self._changed += int((frame["class"].is_not_null() & pl.Series(changed.numpy())).sum())
            self.rows += frame.height
            self.answered += frame.height - frame["class"].null_count()
            if self._set_rule is not None:
                self._classes_in_sets += int(frame["prediction_set"].list.len().sum())
            frame = frame if after is None else frame.hstack(after.get_columns())
            yield frame if before is None else before.hstack(frame.get_columns())
            if self._on_progress is not None:
                self._on_progress(self.rows)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the predictions must know; complete after the last frame."""
        notes = [*self._notes_on_data()]
        if self._abstain_below is not None:
            notes.append(f"{self.answered} of {self.rows} rows answered; the others are below {self._abstain_below:g}.")
        if self._set_rule is not None and self.rows:
            notes.append(f"the prediction sets have {self._classes_in_sets / self.rows:.2f} classes on average.")
        decision = self._classifier.decision
        if decision is not None:
            notes.append(
                f"{decision.in_words()} {self._changed} of {self.answered} rows with a class "
                f"{agreeing(self._changed, 'gets', 'get')} another than the most probable."
            )
        return tuple(notes)

    @abstractmethod
    def _batches(self) -> Iterator[tuple[Float[Tensor, "N K"], pl.DataFrame | None, pl.DataFrame | None]]:
        """The calibrated logits of each batch, and the columns that precede and that follow its prediction."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is likely to spoil the predictions; complete after the last frame."""
        return ()

    def _notes_on_data(self) -> tuple[str, ...]:
        return ()


class _PictureFrames(PredictionFrames):
    """The predictions of pictures; those in files follow the columns carried and the column `file`."""

    def __init__(
        self,
        classifier: Classifier,
        data: str,
        found: UnlabelledPictures,
        *,
        abstain_below: float | None,
        set_rule: PredictionSetRule | None,
        on_progress: Callable[[int], None] | None,
    ) -> None:
        super().__init__(classifier, data, abstain_below=abstain_below, set_rule=set_rule, on_progress=on_progress)
        before = [] if found.carried is None else found.carried.get_columns()
        if found.names is not None:
            before.append(pl.Series("file", found.names, dtype=pl.String))
        self._before = pl.DataFrame(before) if before else None
        self._found = found
        pictures = found.pictures
        self._pixels = self.pictures = pictures.pixels if isinstance(pictures, Pictures) else pictures

    def _batches(self) -> Iterator[tuple[Float[Tensor, "N K"], pl.DataFrame | None, pl.DataFrame | None]]:
        before, pixels = self._before, self._pixels
        for start in range(0, len(pixels), PICTURES_AT_ONCE):
            batch = slice(start, start + PICTURES_AT_ONCE)
            logits = self._classifier.predict_logits(pixels[batch], self._data)
            yield logits, None if before is None else before[batch], None

    def _notes_on_data(self) -> tuple[str, ...]:
        return self._found.notes


class _TableFrames(PredictionFrames):
    """The predictions of a table file, or of a folder of parts, which are never in memory as a whole."""

    def __init__(
        self,
        classifier: Classifier,
        data: str,
        encoder: TableEncoder,
        dialect: Dialect,
        carry: tuple[str, ...],
        *,
        abstain_below: float | None,
        set_rule: PredictionSetRule | None,
        allow_unseen: bool,
        explain: ExplanationForm | None,
        on_progress: Callable[[int], None] | None,
    ) -> None:
        super().__init__(classifier, data, abstain_below=abstain_below, set_rule=set_rule, on_progress=on_progress)
        self._encoder = encoder
        self._dialect = dialect
        self._carry = carry
        self._allow_unseen = allow_unseen
        self._explain = explain
        self._unseen = UnseenCounts()
        self._on_columns: tuple[str, ...] = ()
        self._on_reading: list[str] = []

    def _batches(self) -> Iterator[tuple[Float[Tensor, "N K"], pl.DataFrame | None, pl.DataFrame | None]]:
        parts = source_paths(self._data)
        part, first_row = parts[0], 0
        for path, batch in scan_parts(parts, self._dialect, self._on_reading):
            if path != part:
                part, first_row = path, 0
            place = self._data if len(parts) == 1 else str(path)
            if not self.rows:
                self._check_columns(batch)
            logits, explanations = self._scored(batch, place, first_row)
            first_row += batch.height
            yield logits, select_named(batch, self._carry) if self._carry else None, explanations
        if not self._allow_unseen:
            check_mostly_seen(self._unseen, self._encoder.columns, self._data)

    def _scored(
        self, batch: pl.DataFrame, place: str, first_row: int
    ) -> tuple[Float[Tensor, "N K"], pl.DataFrame | None]:
        parts, explained = [], []
        for inputs, unseen in self._classifier.encoded_blocks(batch, place, first_row):
            parts.append(self._classifier.logits_of_inputs(inputs))
            self._unseen += unseen
            if self._explain is not None:
                explained.append(explanation_frame(self._classifier, inputs, parts[-1], self._explain))
        return torch.cat(parts), pl.concat(explained) if explained else None

    def _check_columns(self, batch: pl.DataFrame) -> None:
        check_columns_exist(batch, self._carry, '--carry names the column "{}", which is not there', self._data)
        self._on_columns = _notes_on_columns(
            self._classifier, select_named(batch, (name for name in batch.columns if name not in self._carry))
        )

    def _notes_on_data(self) -> tuple[str, ...]:
        return (*map(without_its_path, self._on_reading), *self._on_columns, *self._encoder.notes(self._unseen))

    @property
    def warnings(self) -> tuple[str, ...]:
        return warning_words(self._unseen, self._encoder.columns)


def notes_on_table(classifier: Classifier, frame: pl.DataFrame, unseen: UnseenCounts) -> tuple[str, ...]:
    """What a reader of predictions must know of the table that they were made from.

    Args:
        classifier: A classifier of tables.
        frame: The table.
        unseen: The unseen categories and unexpected missing values counted while it was encoded.

    Returns:
        A sentence each.
    """
    encoder = classifier.preprocessing
    on_cells = encoder.notes(unseen) if isinstance(encoder, TableEncoder) else ()
    return (*_notes_on_columns(classifier, frame), *on_cells)


def _notes_on_columns(classifier: Classifier, frame: pl.DataFrame) -> tuple[str, ...]:
    """Which columns of a table the classifier does not use."""
    encoder = classifier.preprocessing
    if not isinstance(encoder, TableEncoder):
        return ()
    known = (classifier.trained_on.target, classifier.recipe.get("data", {}).get("weight"))
    others = tuple(name for name in encoder.other_columns(frame) if name not in known)
    if not others:
        return ()
    listed = ", ".join(others[:10]) + (", …" if len(others) > 10 else "")
    return (f"columns that the model does not use: {listed}.",)
