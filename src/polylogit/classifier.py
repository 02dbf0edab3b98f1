"""The classifier: preprocessing, network, calibration and class names in one, from raw rows to probabilities.

Every prediction of a trained model goes through `Classifier.score`, and every network through `NetworkForward`.

See also: `polylogit.model_file`, which writes and reads it; `polylogit.run`, which trains, evaluates and applies it.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl
import torch
from jaxtyping import Bool, Float, Int, Num, UInt8
from torch import Tensor, nn

from polylogit.calibration.calibration import Calibration
from polylogit.calibration.decision_rule import DecisionRule
from polylogit.calibration.former_arguments import accepts_former_arguments
from polylogit.calibration.prediction_sets import ConformalScores, PredictionSetRule
from polylogit.data.pictures.encoder import PictureEncoder, Pictures
from polylogit.data.pictures.stored import StoredPictures
from polylogit.data.pictures.unlabelled import pictures_from_python
from polylogit.data.tables.dialect import Dialect
from polylogit.data.tables.encoder import TableEncoder
from polylogit.data.tables.frames import as_frame
from polylogit.data.tables.missing_markers import without_markers
from polylogit.data.tables.row_encoder import RowEncoder
from polylogit.data.tables.sources import open_source
from polylogit.data.tables.unseen import UnseenCounts, warning_words
from polylogit.errors import DataError, ModelFileError, PolylogitWarning
from polylogit.fitting.forward import NetworkForward
from polylogit.model_file import read_model_file, write_model_file
from polylogit.model_header import (
    FORMAT_VERSION,
    PREPROCESSING,
    DecisionEntry,
    ModelHeader,
    NetworkSpec,
    PredictionSetsEntry,
    TrainedOn,
)
from polylogit.model_schema import ModelSchema
from polylogit.system.sparse_rows import SparseRows

if TYPE_CHECKING:
    from polylogit.estimators.fitted_classifier import FittedClassifier

__all__ = ["ROWS_AT_ONCE", "TIE_MARGIN", "Classifier", "RowPrediction", "Scores"]

ROWS_AT_ONCE = 256
"""The most rows that go through the network together; fewer are not padded."""

TIE_MARGIN = 1e-4
"""Two leading logits that differ by at most this share of their size are a near tie: see `Classifier.score`."""

ROWS_ENCODED_AT_ONCE = 16_384
"""Rows whose features are in memory together when a frame is predicted, at most."""

FEATURES_AT_ONCE = 2**25
"""Features that are in memory together when a frame is predicted, 128 MiB of float32: fewer rows of many levels."""


class RowPrediction(NamedTuple):
    """The prediction of one row of a table.

    Attributes:
        class_name: The most probable class, or the one that the classifier's `decision` chooses.
        probabilities: The probability of each class, by name.
        unseen: The columns with an unseen category or an unexpected missing value.
    """

    class_name: str
    probabilities: dict[str, float]
    unseen: tuple[str, ...]


class Scores(NamedTuple):
    """Logits of the same rows before and after calibration."""

    network_logits: Float[Tensor, "N K"]
    logits: Float[Tensor, "N K"]


@accepts_former_arguments
@dataclass(frozen=True)
class Classifier:
    """A trained softmax classifier.

    probabilities = softmax(calibration.apply(network(preprocessing.encode(data))))

    Args:
        preprocessing: From raw rows to the network's inputs.
        network: From inputs to logits, in evaluation mode.
        network_spec: Kind and options that build the network again.
        class_names: The classes in the order of the logits.
        trained_on: Where the training rows came from.
        calibration: Map from the network's logits to calibrated ones; the identity by default.
        recipe: The recipe of the training run, as plain data.
        conformal: The scores from which prediction sets follow; None: there are none.
        decision: The rule by which the class is chosen; None: the most probable one.

    Example:
        >>> from polylogit.networks import LinearNetwork
        >>> frame = pl.DataFrame({"legs": [4, 2], "milk": [1, 0]})
        >>> classifier = Classifier(
        ...     preprocessing=TableEncoder.fit(frame),
        ...     network=LinearNetwork.with_weights(torch.tensor([[0.0, 0.0], [0.0, 2.0]]), torch.zeros(2)),
        ...     network_spec=NetworkSpec(kind="linear", options={"features": 2, "classes": 2}),
        ...     class_names=("bird", "mammal"),
        ...     trained_on=TrainedOn(data="two", target="type", fingerprint="0" * 64, rows_train=2, rows_test=0),
        ... )
        >>> classifier.predict(frame)
        ['mammal', 'bird']
        >>> classifier.predict_probabilities(frame)
        tensor([[0.1192, 0.8808],
                [0.8808, 0.1192]])
    """

    preprocessing: TableEncoder | PictureEncoder
    network: nn.Module
    network_spec: NetworkSpec
    class_names: tuple[str, ...]
    trained_on: TrainedOn
    calibration: Calibration = field(default_factory=Calibration)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    conformal: ConformalScores | None = None
    decision: DecisionRule | None = None

    def __post_init__(self) -> None:
        self.network.eval()
        if isinstance(self.preprocessing, PictureEncoder):
            # The order of sums follows the layout in memory: one layout, so that a loaded model gives the same bits.
            self.network.to(memory_format=torch.channels_last)

    def predict_logits(self, data: object, place: str = "the data") -> Float[Tensor, "N K"]:
        """Calibrated logits: see `calibrate`.

        Args:
            data: What stands for DATA on the command line; or, for a model of tables, a polars or pandas DataFrame, an
                Arrow table, a mapping of columns, or a numpy array whose columns stand in the order of the training
                table; for a model of pictures, a list of paths, an image of Pillow or a list of them, `Pictures`, or a
                uint8 array of one picture or several (see `polylogit.data.pictures.unlabelled.pictures_from_python`).
            place: What messages call data that do not come by name or path.

        Returns:
            Float32 logits whose softmax are the probabilities.

        Raises:
            DataError: The data are not of the kind that the model takes, a column that it needs is not there, or a cell
                or a picture is at fault.

        Warns:
            PolylogitWarning: The table has unseen categories, unexpected missing values or columns that are not used.
        """
        if isinstance(self.preprocessing, PictureEncoder):
            encoder = self.preprocessing
            pictures = pictures_from_python(data, encoder.input_shape, encoder.background, place)
            return self.score_pictures(pictures, place).logits
        if isinstance(data, str | Path):
            place = str(data)
            data = open_source(place, self._dialect).frame
        names = [column.name for column in self.preprocessing.columns]
        frame = as_frame(data, names, place)
        logits, unseen = self.logits_counting(frame, place)
        self._warn(frame, unseen, place)
        return logits

    def _warn(self, frame: pl.DataFrame, unseen: UnseenCounts, place: str) -> None:
        """Warn of columns that are not used, unseen categories and unexpected missing values."""
        if not isinstance(self.preprocessing, TableEncoder):
            return
        data = self.recipe.get("data", {})
        known = {self.trained_on.target, *(data.get(option) for option in ("weight", "group", "split"))}
        known |= set(data.get("drop", ()))
        unused = [name for name in self.preprocessing.other_columns(frame) if name not in known]
        notes = [*warning_words(unseen, self.preprocessing.columns), *self.preprocessing.notes(unseen)]
        if unused:
            notes.append(f"columns that the model does not use: {', '.join(unused[:10])}.")
        if notes:
            warnings.warn(f"{place}: {' '.join(notes)}", PolylogitWarning, stacklevel=3)

    def logits_counting(
        self, frame: pl.DataFrame, place: str = "the table", first_row: int = 0
    ) -> tuple[Float[Tensor, "N K"], UnseenCounts]:
        """Calibrated logits, and the counts of unseen categories and unexpected missing values.

        Args:
            frame: Rows with the columns that the model needs.
            place: What messages call the table.
            first_row: How many rows of the table stand before the frame.

        Returns:
            Float32 logits, and the counts.

        Raises:
            DataError: As `predict_logits`.
        """
        scores, unseen = self.score_frame(frame, place, first_row)
        return scores.logits, unseen

    def score_pictures(
        self, pictures: Pictures | StoredPictures | UInt8[Tensor, "N C H W"], place: str = "the pictures"
    ) -> Scores:
        """Logits of pictures before and after calibration.

        Args:
            pictures: Pictures of the size that the model takes, in memory or in their files.
            place: What messages call them.

        Returns:
            Float32 logits.

        Raises:
            DataError: The model takes tables, or pictures of another size.
        """
        if not isinstance(self.preprocessing, PictureEncoder):
            raise DataError(f"{place}: the model takes a table, got pictures.")
        if isinstance(pictures, StoredPictures):
            self.preprocessing.encode(torch.empty(0, *pictures.form, dtype=torch.uint8), place)
            return self.score(pictures)
        return self.score(self.preprocessing.encode(pictures, place))

    def score_frame(
        self, frame: pl.DataFrame, place: str = "the table", first_row: int = 0
    ) -> tuple[Scores, UnseenCounts]:
        """As `logits_counting`, with the network's own logits besides."""
        parts, unseen = [], UnseenCounts()
        for inputs, found in self.encoded_blocks(frame, place, first_row):
            parts.append(self.score(inputs))
            unseen += found
        return Scores(*map(torch.cat, zip(*parts, strict=True))), unseen

    def encoded_blocks(
        self, frame: pl.DataFrame, place: str = "the table", first_row: int = 0
    ) -> Iterator[tuple[Float[Tensor, "B D"] | SparseRows, UnseenCounts]]:
        """The encoded rows of a frame, a block at a time, so that their features fit memory.

        Args:
            frame: Rows with the columns that the model needs.
            place: What messages call the table.
            first_row: How many rows of the table stand before the frame.

        Yields:
            At least one block, and the counts of unseen categories and unexpected missing values in it.

        Raises:
            DataError: As `predict_logits`.
        """
        encoder = self.preprocessing
        if not isinstance(encoder, TableEncoder):
            raise DataError(f"{place}: the model takes pictures, got a table.")
        at_once = ROWS_ENCODED_AT_ONCE
        if not encoder.is_sparse:
            at_once = max(1, min(at_once, FEATURES_AT_ONCE // max(encoder.features, 1)))
        for start in range(0, max(frame.height, 1), at_once):
            rows = without_markers(frame.slice(start, at_once), self._dialect.missing)
            yield encoder.encode_counting(rows, place, first_row + start)

    def logits_of_inputs(self, inputs: Num[Tensor, "N ..."] | StoredPictures | SparseRows) -> Float[Tensor, "N K"]:
        """Calibrated logits of encoded rows; of pictures, of their pixels."""
        return self.score(inputs).logits

    def score(self, inputs: Num[Tensor, "N ..."] | StoredPictures | SparseRows) -> Scores:
        """The network's logits and the calibrated logits of encoded rows; of pictures, of their pixels.

        The order in which a matrix product adds up depends on its shape, so the logits of a row alone and among others
        differ by rounding. Where the two leading logits of a row are a near tie, rounding could decide the class: such
        a row is scored again alone, so that its class does not depend on the rows beside it.

        Args:
            inputs: Rows as the preprocessing gives them.

        Returns:
            Float32 logits, before and after calibration.
        """
        logits = self._network_logits(inputs)
        calibrated = self.calibrate(logits)
        if len(logits) > 1:
            near = _near_ties(logits)
            if self.calibrated:
                near |= _near_ties(calibrated)
            if self.decision is not None:
                near |= self.decision.near_ties(calibrated)
            for row in near.nonzero()[:, 0].tolist():
                logits[row : row + 1] = self._network_logits(_single_row(inputs, row))
                calibrated[row : row + 1] = self.calibrate(logits[row : row + 1])
        return Scores(logits, calibrated)

    def _network_logits(self, inputs: Num[Tensor, "N ..."] | StoredPictures | SparseRows) -> Float[Tensor, "N K"]:
        return self._forward.logits(inputs, ROWS_AT_ONCE)

    @cached_property
    def _forward(self) -> NetworkForward:
        prepare = self.preprocessing.prepare if isinstance(self.preprocessing, PictureEncoder) else None
        return NetworkForward(self.network, prepare)

    def calibrate(self, logits: Float[Tensor, "N K"]) -> Float[Tensor, "N K"]:
        """Calibrated logits of the network's own logits."""
        return self.calibration.apply(logits)

    @property
    def uncalibrated(self) -> "Classifier":
        """The same classifier with the network's own probabilities."""
        return replace(self, calibration=Calibration(), conformal=None)

    @property
    def calibrated(self) -> bool:
        """Whether its probabilities differ from the network's own."""
        return not self.calibration.is_identity

    @property
    def temperature(self) -> float:
        """The temperature of the calibration, by which logits are divided; 1 where there is none."""
        return self.calibration.temperature

    def predict_probabilities(self, data: object) -> Float[Tensor, "N K"]:
        """A probability per row and class; each row sums to one. Arguments as for `predict_logits`."""
        return torch.softmax(self.predict_logits(data), dim=1)

    def predict(self, data: object) -> list[str]:
        """The class of each row by name: the most probable, or by `decision`. Arguments as for `predict_logits`."""
        return [self.class_names[index] for index in self.decide(self.predict_logits(data)).tolist()]

    def decide(self, logits: Float[Tensor, "N K"]) -> Int[Tensor, " N"]:
        """The index of the class of each row: the most probable one, or the one that `decision` chooses.

        Args:
            logits: Calibrated logits.
        """
        return logits.argmax(dim=1) if self.decision is None else self.decision.decide(logits)

    def with_decision(
        self,
        *,
        costs: Mapping[str, Mapping[str, int | float]] | None = None,
        prior: Mapping[str, int | float] | None = None,
    ) -> "Classifier":
        """The same classifier, which chooses the class of the least expected cost; its probabilities stay.

        Args:
            costs: The cost of each decision by true class, for every pair of classes; None: 1 for each error.
            prior: The share of every class where the classifier is used; None: as in training.

        Returns:
            The classifier.

        Raises:
            RecipeError: As for `DecisionRule.by_name`.
        """
        trained = self.trained_on.class_shares
        rule = DecisionRule.by_name(self.class_names, costs=costs, prior=prior, trained=trained)
        return replace(self, decision=None if costs is None and prior is None else rule)

    def prediction_sets(self, data: object, coverage: float = 0.9, *, by_class: bool = False) -> list[tuple[str, ...]]:
        """The classes that each row may be of, so that a wanted share of the sets contains the true class.

        Args:
            data: As for `predict_logits`.
            coverage: The wanted share, above 0 and below 1.
            by_class: Whether it should hold among the rows of each class.

        Returns:
            The names of the classes in each set, at least one, in the order of `class_names`.

        Raises:
            ModelFileError, RecipeError: As for `prediction_set_rule`.
            DataError: As for `predict_logits`.

        See also: docs/prediction_sets.md, on which guarantee holds when.
        """
        rule = self.prediction_set_rule(coverage, by_class=by_class)
        return rule.sets(self.predict_logits(data), self.class_names)

    def prediction_set_rule(self, coverage: float = 0.9, *, by_class: bool = False) -> PredictionSetRule:
        """The least probability of each class in a prediction set: see `ConformalScores.rule`.

        Raises:
            ModelFileError: The model has no scores of held-out rows.
            RecipeError: It has too few of them for this coverage.
        """
        if self.conformal is None:
            raise ModelFileError(
                "the model has no scores of held-out rows, from which prediction sets follow: it was written before "
                "they were kept, or trained with calibration.method = none. Train it again, with "
                "prediction_sets.held_out_fraction for a strict guarantee."
            )
        return self.conformal.rule(coverage, by_class=by_class)

    def to_estimator(self, classes: Sequence[Any] | None = None) -> "FittedClassifier":
        """The classifier as a scikit-learn compatible estimator that is fitted already.

        Args:
            classes: Labels in the order of `class_names`, such as [0, 1]; the names themselves when left out.

        Returns:
            The estimator.

        See also: `polylogit.estimators.conversion.to_classifier`, the way back.
        """
        from polylogit.estimators.fitted_classifier import FittedClassifier  # noqa: PLC0415 - predict needs no sklearn

        return FittedClassifier(self, classes)

    def predict_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[RowPrediction]:
        """Predict a few rows without building a frame, with the same answers as `predict` gives for a frame of them.

        Args:
            rows: Mappings from column names to cells: Python numbers, texts, booleans and dates; None is a missing
                value. Every column that the model uses must be there; others are not used.

        Returns:
            One prediction a row.

        Raises:
            DataError: The model takes pictures, a row has no cell for a column, or a cell cannot be read; the message
                names the row, from 1.

        Example:
            >>> from polylogit.networks import LinearNetwork
            >>> classifier = Classifier(
            ...     preprocessing=TableEncoder.fit(pl.DataFrame({"milk": [1, 0]})),
            ...     network=LinearNetwork.with_weights(torch.tensor([[0.0], [2.0]]), torch.zeros(2)),
            ...     network_spec=NetworkSpec(kind="linear", options={"features": 1, "classes": 2}),
            ...     class_names=("bird", "mammal"),
            ...     trained_on=TrainedOn(data="two", target="type", fingerprint="0" * 64, rows_train=2, rows_test=0),
            ... )
            >>> prediction = classifier.predict_rows([{"milk": True}])[0]
            >>> prediction.class_name, round(prediction.probabilities["mammal"], 4)
            ('mammal', 0.8808)
        """
        inputs, unseen = self.row_encoder.encode(rows)
        logits = self.logits_of_inputs(inputs)
        return [
            RowPrediction(self.class_names[index], dict(zip(self.class_names, probabilities, strict=True)), columns)
            for index, probabilities, columns in zip(
                self.decide(logits).tolist(), torch.softmax(logits, dim=1).tolist(), unseen, strict=True
            )
        ]

    @cached_property
    def _dialect(self) -> Dialect:
        """How the tables that the model was trained on are written."""
        return Dialect.of_recipe(self.recipe.get("data", {}))

    @cached_property
    def row_encoder(self) -> RowEncoder:
        """The encoder of single rows of a model of tables.

        Raises:
            DataError: The model takes pictures.
        """
        if not isinstance(self.preprocessing, TableEncoder):
            raise DataError("the rows: the model takes pictures, got rows of a table.")
        return RowEncoder(self.preprocessing, self._dialect.missing)

    @cached_property
    def schema(self) -> ModelSchema:
        """What the model takes and what it answers: columns or pictures, and classes; see docs/model_schema.md."""
        return ModelSchema.of(self._header)

    @cached_property
    def model_kind(self) -> str:
        """The kind of model: linear, additive, mlp, cnn or residual."""
        return self._header.model_kind

    @property
    def _header(self) -> ModelHeader:
        return ModelHeader(
            format="polylogit",
            format_version=FORMAT_VERSION,
            polylogit_version=version("polylogit"),
            class_names=list(self.class_names),
            network=self.network_spec,
            preprocessing=PREPROCESSING[self.preprocessing.kind].model_validate(self.preprocessing.as_json()),
            trained_on=self.trained_on,
            recipe=dict(self.recipe),
            prediction_sets=None if self.conformal is None else PredictionSetsEntry(**self.conformal.as_header()),
            decision=None if self.decision is None else DecisionEntry(**self.decision.as_header()),
            **self.calibration.as_header(),
        )

    def save(self, path: str | Path) -> None:
        """Write the model file atomically. The same classifier gives the same bytes.

        Args:
            path: Where to; the ending is .safetensors by custom.

        Raises:
            PolylogitError: The file cannot be written.
        """
        scores = {} if self.conformal is None else self.conformal.tensors()
        write_model_file(Path(path), self._header, self.network, self.preprocessing, scores)

    @classmethod
    def load(cls, path: str | Path) -> "Classifier":
        """Read a model file. Nothing in it is executed, and nothing is trusted before it is checked.

        Args:
            path: A file that `save` or `polylogit train` wrote.

        Returns:
            The classifier, on the CPU.

        Raises:
            ModelFileError: The file is missing, cut short, of another format or version, its content differs from its
                digest, or its tensors are not exactly those of its network, or are not finite.

        Warns:
            PolylogitWarning: The file was written by polylogit 0.1, which kept no digest of the content.
        """
        header, network, preprocessing, scores = read_model_file(Path(path))
        try:
            entry = header.prediction_sets
            conformal = None if entry is None else ConformalScores.from_state(entry.model_dump(), scores)
        except ModelFileError as fault:
            raise ModelFileError(f"{path}: {fault}") from fault
        return cls(
            preprocessing=preprocessing,
            network=network,
            network_spec=header.network,
            class_names=tuple(header.class_names),
            trained_on=header.trained_on,
            calibration=Calibration.from_header(header.calibration),
            recipe=header.recipe,
            conformal=conformal,
            decision=None
            if header.decision is None
            else DecisionRule.from_header(header.decision.model_dump(), header.trained_on.class_shares),
        )


def _near_ties(logits: Float[Tensor, "N K"]) -> Bool[Tensor, " N"]:
    """Which rows have two leading logits that rounding could exchange."""
    first, second = logits.topk(2, dim=1).values.unbind(1)
    return first - second <= TIE_MARGIN * (1 + first.abs())


def _single_row(
    inputs: Num[Tensor, "N ..."] | StoredPictures | SparseRows, row: int
) -> Num[Tensor, "1 ..."] | SparseRows:
    """One row in memory of its own: where a row starts in memory can change the order of sums too."""
    if isinstance(inputs, StoredPictures):
        return inputs[torch.tensor([row])].read()
    return inputs[row : row + 1].clone()
