"""The export of a model file: built, compared with the classifier, and only then written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

from polylogit.classifier import Classifier
from polylogit.errors import ExportError, RecipeError, did_you_mean
from polylogit.export.artifact import Artifact
from polylogit.export.check_rows import check_rows
from polylogit.export.parity import Parity, compare
from polylogit.export.set_thresholds import set_thresholds
from polylogit.export.sql_dialects import SqlDialectName
from polylogit.model_header import read_header_and_metadata
from polylogit.run.replacing import check_outputs
from polylogit.system.atomic_file import atomic_write

__all__ = ["ENDINGS", "Export", "Target", "export_model"]

Target = Literal["onnx", "sql", "torch"]
"""What a model can be exported to."""

ENDINGS: Mapping[str, str] = {"onnx": ".onnx", "sql": ".sql", "torch": ".pt2"}
"""The ending of the file of each target."""


@dataclass(frozen=True)
class Export:
    """A written export.

    Attributes:
        to: The target.
        path: The file.
        size: In bytes.
        parity: The comparison with the classifier, one for each engine that ran the export.
        left_out: What the model does and the export does not, in words; empty where it does all.
    """

    to: Target
    path: Path
    size: int
    parity: Sequence[Parity]
    left_out: str = ""

    @property
    def largest_difference(self) -> float:
        """The largest difference of a probability between the export and the classifier, over all engines."""
        return max(parity.largest_difference for parity in self.parity)

    def as_json(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        return {
            "to": self.to,
            "out": str(self.path),
            "bytes": self.size,
            "largest_difference": self.largest_difference,
            "left_out": self.left_out,
            "parity": [parity.as_json() for parity in self.parity],
        }


def export_model(
    model: str | Path,
    to: Target,
    out: str | Path | None = None,
    *,
    dialect: SqlDialectName = "duckdb",
    table: str = "data",
    carry: Sequence[str] = (),
    without_decision: bool = False,
    force: bool = False,
) -> Export:
    """Export a model file, with preprocessing and calibration inside, and compare the export with it.

    Args:
        model: A model file.
        to: "onnx": one file from raw columns or pixels to class and probabilities. "sql": one SELECT that scores a
            table, for linear models of tables. "torch": a program of `torch.export` from encoded features or pixels to
            probabilities, and to the index of the class where the model chooses by costs or class shares.
        out: The file to write; left out: beside the model file, with the ending of the target.
        dialect: The dialect of the SELECT.
        table: The table that the SELECT reads; parts such as a schema are separated by dots.
        carry: Columns that the SELECT gives before the prediction, such as a key.
        without_decision: Whether to leave out the costs and class shares by which a model chooses: the class is then
            the most probable one.
        force: Whether `out` may be a file that polylogit did not write.

    Returns:
        The written file and how far its predictions are from the model's.

    Raises:
        ModelFileError: The model file is at fault.
        ExportError: The model cannot be exported so, or a class or a probability differs. Nothing is written.
        RecipeError: The file name does not end as the target's files do.
        MissingExtraError: The packages of polylogit[export] are not installed.
        PolylogitError: The file cannot be written, or polylogit did not write the one that is there.

    Example:
        >>> import tempfile
        >>> from polylogit.recipes.recipe import LinearRecipe
        >>> from polylogit.run import train
        >>> path = Path(tempfile.mkdtemp()) / "zoo.safetensors"
        >>> _ = train("zoo", LinearRecipe(), out=path)
        >>> export = export_model(path, "onnx")
        >>> export.path.name, export.largest_difference < 1e-6
        ('zoo.onnx', True)
    """
    if to not in ENDINGS:
        raise ExportError(f'no export to "{to}" is known here.{did_you_mean(to, get_args(Target))}')
    model = Path(model)
    out = model.with_suffix(ENDINGS[to]) if out is None else Path(out)
    if out.suffix != ENDINGS[to]:
        raise RecipeError(f"--out {out}: expected a file name that ends in {ENDINGS[to]}.")
    check_outputs([out], [model], force=force)
    classifier = Classifier.load(model)
    decision, left_out = classifier.decision, ""
    if decision is not None and without_decision:
        left_out = "the costs and class shares by which the model chooses; the class is the most probable one"
        classifier = replace(classifier, decision=None)
    _check_markers(classifier, to)
    digest = read_header_and_metadata(model)[1].get("digest")
    artifact = _artifact(classifier, to, dialect=dialect, table=table, carry=carry)
    rows = check_rows(classifier)
    parity = [compare(run, engine, classifier, rows) for engine, run in artifact.runners.items()]
    metadata = {
        "polylogit_version": version("polylogit"),
        "model_digest": digest,
        "schema": classifier.schema.model_dump(mode="json"),
        "parity": [each.as_json() for each in parity],
        "prediction_sets": set_thresholds(classifier),
    }
    if decision is not None:
        metadata["decision"] = {**decision.as_header(), "trained": decision.trained}
    if left_out:
        metadata["left_out"] = left_out
    content = artifact.content(metadata)
    with atomic_write(out) as temporary:
        temporary.write_bytes(content)
    return Export(to, out, len(content), parity, left_out)


def _check_markers(classifier: Classifier, to: Target) -> None:
    """Refuse markers of missing values that an export would take for values."""
    markers = classifier.recipe.get("data", {}).get("missing", ())
    if markers and to != "torch":
        listed = ", ".join(f'"{marker}"' for marker in markers)
        raise ExportError(
            f"the model takes {listed} for missing values (data.missing), which an export to {to} does not. Replace "
            "them in the table before training, or export with --to torch."
        )


def _artifact(classifier: Classifier, to: Target, *, dialect: str, table: str, carry: Sequence[str]) -> Artifact:
    """The target's own packages are imported only where it is asked for."""
    match to:
        case "onnx":
            from polylogit.export.onnx_target import onnx_artifact  # noqa: PLC0415

            return onnx_artifact(classifier)
        case "sql":
            from polylogit.export.sql_target import sql_artifact  # noqa: PLC0415

            return sql_artifact(classifier, dialect=dialect, table=table, carry=carry)
        case _:
            from polylogit.export.torch_target import torch_artifact  # noqa: PLC0415

            return torch_artifact(classifier)
