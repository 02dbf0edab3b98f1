"""The header of a model file: its schema, and how it is read without running or trusting anything.

A model file is a safetensors file: eight bytes with the length of a JSON object, that object, and the tensors' bytes.
Under `__metadata__` polylogit keeps one entry, `polylogit`, whose text is the JSON of a `ModelHeader`. This module
has the schema and the checks that need no tensor, and imports no torch, so that a recipe can be read from a model file
quickly.

See also: `polylogit.classifier`, which reads the tensors.
"""

import json
from collections.abc import Mapping
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from polylogit.data.pictures.pretrained.catalogue import LARGEST_SIDE
from polylogit.data.tables.column_types import FIRST_DAY, LARGEST_NUMBER, LAST_DAY
from polylogit.errors import ModelFileError
from polylogit.network_sections import BackboneName
from polylogit.system.regular_file import check_regular

__all__ = [
    "FORMAT_VERSION",
    "MOST_HEADER_BYTES",
    "PICTURE_DIGEST_LENGTH",
    "PREPROCESSING",
    "BackboneEntry",
    "CalibrationEntries",
    "DecisionEntry",
    "ModelHeader",
    "NetworkSpec",
    "PicturePreprocessing",
    "PredictionSetsEntry",
    "TableColumn",
    "TablePreprocessing",
    "TrainedOn",
    "read_header",
    "read_header_and_metadata",
]

FORMAT_VERSION = 2
"""Version 2: `training.C` of a linear recipe means scikit-learn's objective for two classes as well.

Files of version 1 are read; their recipes are converted."""
MOST_HEADER_BYTES = 32 * 2**20
"""A header longer than this is rejected before it is read."""
PICTURE_DIGEST_LENGTH = 16
"""So many hexadecimal digits of a picture's SHA-256 tell it from others."""
MOST_PIXELS = 4096
"""A picture side longer than this is refused: a network is never tried on pictures of a size that no memory holds."""

Factor = Annotated[float, Field(ge=1e-6, le=1e6)]
"""A positive factor of logits, in a range in which products with it are finite and not 0 in float32."""

Name = Annotated[str, StringConstraints(min_length=1)]


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class NetworkSpec(_Closed):
    """Which network, and the options that build it again."""

    kind: Name
    options: dict[str, Any]


class TableColumn(_Closed):
    """One column of a table, as the encoder knows it: see `polylogit.data.tables.encoded_column.Column`."""

    name: Name
    type: Literal["number", "boolean", "category", "date", "text"]
    levels: list[str] | None = None
    pooled: bool = False
    missing: bool = False
    format: Annotated[str, StringConstraints(min_length=1)] | None = None
    rare_levels: Annotated[int, Field(ge=0)] = 0
    rare_share: Annotated[float, Field(ge=0, le=1)] | None = None
    minimum: float | str | None = None
    maximum: float | str | None = None
    example: float | bool | str | None = None
    bin_edges: Annotated[list[float], Field(min_length=1)] | None = None
    terms: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _edges_ascend(self) -> "TableColumn":
        if self.bin_edges is not None:
            if self.type not in ("number", "date"):
                raise ValueError(f"bin_edges: a column of type {self.type} has none")
            if any(low >= high for low, high in pairwise(self.bin_edges)):
                raise ValueError("bin_edges: expected numbers in ascending order")
            first, last = (-LARGEST_NUMBER, LARGEST_NUMBER) if self.type == "number" else (FIRST_DAY, LAST_DAY)
            if not first <= self.bin_edges[0] <= self.bin_edges[-1] <= last:
                raise ValueError(f"bin_edges: expected numbers from {first:g} to {last:g}")
        return self

    @model_validator(mode="after")
    def _levels_go_with_categories(self) -> "TableColumn":
        if (self.levels is None) is (self.type == "category"):
            raise ValueError("levels belong to a category, and to nothing else")
        if (self.terms is None) is (self.type == "text") or (self.type == "text" and self.format is None):
            raise ValueError("terms belong to text, which has a format, and to nothing else")
        return self

    @model_validator(mode="after")
    def _values_have_the_type_of_the_column(self) -> "TableColumn":
        expected = {"number": float, "boolean": bool, "category": str, "date": str, "text": str}[self.type]
        for name in ("minimum", "maximum", "example"):
            value = getattr(self, name)
            has_range = self.type in ("number", "date")
            if value is not None and (type(value) is not expected or not (has_range or name == "example")):
                raise ValueError(f"{name}: {value!r} does not go with the type {self.type}")
            if value is not None and self.type == "date":
                date.fromisoformat(str(value))
        return self


class TablePreprocessing(_Closed):
    """The encoder of tables, but for its tensors: `preprocessing.mean`, `preprocessing.scale` and vocabularies."""

    kind: Literal["table"]
    columns: Annotated[list[TableColumn], Field(min_length=1)]


class BackboneEntry(_Closed):
    """A pretrained network that gives the features of pictures; its tensors are `preprocessing.backbone.<name>`.

    `digest` is the SHA-256 of its weights: see `polylogit.data.pictures.pretrained.weights.weights_digest`.
    """

    name: BackboneName
    digest: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    source: Annotated[str, StringConstraints(max_length=500)]
    licence: Annotated[str, StringConstraints(max_length=100)]
    embedded: bool
    mirror: bool


class PicturePreprocessing(_Closed):
    """The encoder of pictures, but for its tensors `preprocessing.mean` and `preprocessing.scale`."""

    kind: Literal["picture"]
    channels: Literal[1, 3]
    height: Annotated[int, Field(gt=0, le=MOST_PIXELS)]
    width: Annotated[int, Field(gt=0, le=MOST_PIXELS)]
    background: Literal["white", "black"] | None = None
    backbone: BackboneEntry | None = None

    @model_validator(mode="after")
    def _a_backbone_takes_square_colour_pictures(self) -> "PicturePreprocessing":
        if self.backbone is None:
            return self
        if self.channels != 3 or self.height != self.width or self.height > LARGEST_SIDE:
            raise ValueError(
                f"backbone: expected 3 channels and equal sides of at most {LARGEST_SIDE} pixels, "
                f"got {self.channels} x {self.height} x {self.width}"
            )
        return self


PREPROCESSING: Mapping[str, type[TablePreprocessing | PicturePreprocessing]] = {
    "table": TablePreprocessing,
    "picture": PicturePreprocessing,
}
"""The schema of each kind of preprocessing."""


class TrainedOn(_Closed):
    """What the model was trained on: the data's name and bytes, and how the rows were split.

    `pictures` are the starts of the SHA-256 of the picture files that it was fitted or calibrated on, sorted.
    """

    data: Name
    target: Name
    fingerprint: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    rows_train: Annotated[int, Field(gt=0)]
    rows_test: Annotated[int, Field(ge=0)]
    threads: Annotated[int, Field(gt=0)] | None = None
    class_shares: list[Annotated[float, Field(gt=0, le=1)]] | None = None
    pictures: list[Annotated[str, StringConstraints(pattern=f"^[0-9a-f]{{{PICTURE_DIGEST_LENGTH}}}$")]] | None = None


class CurveEntry(_Closed):
    """The quadratic map of log-probabilities that precedes the temperature: slope * s - curvature * s^2."""

    slope: Factor
    curvature: Annotated[float, Field(gt=1e-30, le=1e6)]


class VectorScalingEntry(_Closed):
    """The map that follows the temperature, class by class: logits * scale + bias."""

    scale: list[Factor]
    bias: list[Annotated[float, Field(ge=-1e6, le=1e6)]]


class StructuredScalingEntry(_Closed):
    """The affine map of log-probabilities that follows the temperature: (diag(scale) + off_diagonal) s + bias."""

    scale: list[Annotated[float, Field(gt=0)]]
    bias: list[float]
    off_diagonal: list[list[float]] | None = None


class CalibrationEntries(_Closed):
    """The parts of the calibration: see `polylogit.calibration.Calibration`."""

    temperature: Factor
    curve: CurveEntry | None = None
    floor: Annotated[float, Field(ge=1e-12, lt=1)] | None = None
    vector_scaling: VectorScalingEntry | None = None
    structured_scaling: StructuredScalingEntry | None = None


class PredictionSetsEntry(_Closed):
    """What is known of the tensor `prediction_sets.scores`: see `polylogit.calibration.ConformalScores`."""

    rows: list[Annotated[int, Field(ge=0)]]
    source: Literal["held-out", "validation", "cross-fitted"]
    grouped: bool = False


class DecisionEntry(_Closed):
    """How the class is chosen: see `polylogit.calibration.DecisionRule`."""

    costs: list[list[float]] | None = None
    prior: list[Annotated[float, Field(ge=0, le=1)]] | None = None


class RecipeOfData(BaseModel):
    """What a prediction reads of the data section of the recipe. The other options are checked where they are used."""

    drop: list[str] | None = None
    weight: str | None = None
    group: str | None = None
    split: str | None = None
    separator: str | None = None
    encoding: str | None = None
    quote: str | None = None
    skip_lines: Annotated[int, Field(strict=True, ge=0)] | None = None
    comment: str | None = None
    missing: list[Annotated[str, Field(coerce_numbers_to_str=True)]] | None = None
    sheet: str | None = None


class ModelHeader(CalibrationEntries):
    """Everything in a model file that is not a tensor."""

    format: Literal["polylogit"]
    format_version: Annotated[int, Field(ge=1)]
    polylogit_version: str
    class_names: Annotated[list[str], Field(min_length=2)]
    network: NetworkSpec
    preprocessing: Annotated[TablePreprocessing | PicturePreprocessing, Field(discriminator="kind")]
    trained_on: TrainedOn
    recipe: dict[str, Any]
    prediction_sets: PredictionSetsEntry | None = None
    decision: DecisionEntry | None = None

    @property
    def model_kind(self) -> str:
        """The kind of model: its network's, "additive" for a linear one behind bins, "pretrained" behind another."""
        if isinstance(self.preprocessing, PicturePreprocessing) and self.preprocessing.backbone is not None:
            return "pretrained"
        columns = self.preprocessing.columns if isinstance(self.preprocessing, TablePreprocessing) else []
        additive = self.network.kind == "linear" and any(column.bin_edges for column in columns)
        return "additive" if additive else self.network.kind

    @property
    def calibration(self) -> dict[str, Any]:
        """The entries of the calibration that are there."""
        return self.model_dump(include=set(CalibrationEntries.model_fields), exclude_none=True)

    @field_validator("recipe")
    @classmethod
    def _tables_are_described(cls, recipe: dict[str, Any]) -> dict[str, Any]:
        try:
            RecipeOfData.model_validate(recipe.get("data", {}))
        except ValidationError as fault:
            first = fault.errors()[0]
            raise ValueError(f"{'.'.join(map(str, ('data', *first['loc'])))}: {first['msg']}") from fault
        return recipe

    @model_validator(mode="after")
    def _class_names_differ(self) -> "ModelHeader":
        if len(set(self.class_names)) < len(self.class_names):
            raise ValueError("class_names: a name occurs twice")
        return self

    @model_validator(mode="after")
    def _each_class_is_scaled(self) -> "ModelHeader":
        classes = len(self.class_names)
        if (scaling := self.vector_scaling) and not len(scaling.scale) == len(scaling.bias) == classes:
            raise ValueError(f"vector_scaling: expected {classes} scales and biases, one for each class")
        if structured := self.structured_scaling:
            rows = [structured.scale, structured.bias, *(structured.off_diagonal or [])]
            square = structured.off_diagonal is None or len(structured.off_diagonal) == classes
            if not square or any(len(row) != classes for row in rows):
                raise ValueError(f"structured_scaling: expected {classes} scales, biases and rows, one for each class")
        if self.prediction_sets is not None and len(self.prediction_sets.rows) != classes:
            raise ValueError(f"prediction_sets: expected the number of rows of {classes} classes")
        return self

    @model_validator(mode="after")
    def _each_class_has_its_costs_and_shares(self) -> "ModelHeader":
        classes, shares, decision = len(self.class_names), self.trained_on.class_shares, self.decision
        if shares is not None and len(shares) != classes:
            raise ValueError(f"trained_on.class_shares: expected {classes} shares, one for each class")
        if decision is None:
            return self
        if decision.costs is not None and [len(row) for row in decision.costs] != [classes] * classes:
            raise ValueError(f"decision.costs: expected {classes} rows of {classes} costs")
        if decision.prior is not None and (len(decision.prior) != classes or not any(decision.prior)):
            raise ValueError(f"decision.prior: expected {classes} shares, not all 0")
        if decision.prior is not None and shares is None:
            raise ValueError("decision.prior: expected trained_on.class_shares beside it")
        return self


def read_header(path: Path) -> ModelHeader:
    """Read and check the header of a model file; see `read_header_and_metadata`."""
    return read_header_and_metadata(path)[0]


def read_header_and_metadata(path: Path) -> tuple[ModelHeader, dict[str, str]]:
    """Read and check the header of a model file; the tensors are not touched.

    Args:
        path: A model file.

    Returns:
        The header, and the metadata of the file: its JSON text under "polylogit", and its digest, not yet compared with
        the content, under "digest". Files of format version 1 have no digest.

    Raises:
        ModelFileError: The file is not there, is not a model file of polylogit, is cut short, has another format
            version, or its header breaks the schema. The message names the file and the entry.
    """
    try:
        check_regular(path)
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(9)
            length = int.from_bytes(start[:8], "little")
            _check_format(path, start, length, size)
            content = start[8:] + file.read(length - 1)
    except OSError as fault:
        raise ModelFileError(f"{path}: the model file cannot be read ({fault.strerror}).") from fault
    try:
        metadata = dict(json.loads(content)["__metadata__"])
        entries = json.loads(metadata["polylogit"])
    except (ValueError, KeyError, TypeError, RecursionError) as fault:
        raise ModelFileError(
            f"{path}: a safetensors file, but without polylogit's header. Expected a file written by polylogit train."
        ) from fault
    version = entries.get("format_version") if isinstance(entries, dict) else None
    if isinstance(version, int) and not 1 <= version <= FORMAT_VERSION:
        remedy = "Install a newer polylogit." if version > FORMAT_VERSION else "Train the model again."
        raise ModelFileError(
            f"{path}: format version {version}, but this polylogit reads versions 1 to {FORMAT_VERSION}. {remedy}"
        )
    try:
        header = ModelHeader.model_validate(entries)
    except ValidationError as fault:
        faults = "; ".join(
            f"{'.'.join(map(str, error['loc'])) or 'header'}: {error['msg']}" for error in fault.errors()[:5]
        )
        raise ModelFileError(f"{path}: the header breaks the format: {faults}.") from fault
    if header.format_version >= 2 and not isinstance(metadata.get("digest"), str):
        raise ModelFileError(
            f"{path}: the digest of the content is missing. Expected a file written by polylogit train."
        )
    return _in_current_format(header), metadata


def _in_current_format(header: ModelHeader) -> ModelHeader:
    """The header of an older file as the current version writes it.

    Version 1 penalised one row of weights per class for two classes too, where scikit-learn's objective has one vector:
    the same optimum is at twice the C. Tables whose recipe lacks `data.duplicate_rows` were split before copies of rows
    were kept together, and the rows that are held out of them stay those.
    """
    data = header.recipe.get("data", {})
    if header.preprocessing.kind == "table" and isinstance(data, dict) and "duplicate_rows" not in data:
        recipe = header.recipe | {"data": data | {"duplicate_rows": "independent"}}
        header = header.model_copy(update={"recipe": recipe})
    if header.format_version >= 2:
        return header
    recipe, training = header.recipe, header.recipe.get("training")
    if header.network.kind == "linear" and len(header.class_names) == 2 and isinstance(training, dict):
        C = training.get("C", 1.0)
        if isinstance(C, int | float):
            recipe = recipe | {"training": training | {"C": 2.0 * C}}
    return header.model_copy(update={"format_version": FORMAT_VERSION, "recipe": recipe})


def _check_format(path: Path, start: bytes, length: int, size: int) -> None:
    """Only what starts with a length and a brace can be a safetensors file; the length may look like anything."""
    if start[8:] not in (b"{", b""):
        if start[:1] == b"\x80" or start[:2] == b"PK":
            raise ModelFileError(
                f"{path}: this is a pickle or a zip of pickles, as torch.save writes it. Opening one can run any code, "
                "so polylogit never does. Expected a .safetensors file written by polylogit train."
            )
        raise ModelFileError(f"{path}: not a safetensors file. Expected one written by polylogit train.")
    if length > MOST_HEADER_BYTES and size >= 8:
        raise ModelFileError(
            f"{path}: the header claims {length} bytes, and at most {MOST_HEADER_BYTES} are read. "
            "This is no file of polylogit's, or a damaged one."
        )
    if 8 + length > size or length < 2:
        raise ModelFileError(f"{path}: the file is cut short after {size} bytes, within its header.")
