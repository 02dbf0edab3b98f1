"""From a classifier and the rows it was judged on to the report's contents.

Owns what is gathered for the page, and what would take too long for one. How the page looks is the business of
`report`; which rows are judged, of `run`.
"""

import os
import platform
import shlex
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from itertools import accumulate
from pathlib import Path

import polars as pl
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from polylogit.calibration import CalibrationFit
from polylogit.classifier import Classifier
from polylogit.data.pictures.stored import StoredPictures
from polylogit.data.tables.encoder import TableEncoder
from polylogit.evaluation import ColumnImportance, Evaluation, Summary, permutation_importance
from polylogit.networks import LinearNetwork
from polylogit.report import Coefficients, ReportData

__all__ = ["MOST_COLUMNS", "MOST_ROWS", "column_importances", "report_data"]

MOST_ROWS = 1000
MOST_COLUMNS = 60
"""Importances are worked out on so many rows at most, and not at all for tables with more columns than this."""


def report_data(
    classifier: Classifier,
    evaluation: Evaluation,
    logits: Float[Tensor, "N K"],
    targets: Int[Tensor, " N"],
    *,
    data: str,
    model_path: Path,
    rows: pl.DataFrame | UInt8[Tensor, "N C H W"] | StoredPictures,
    sample_weight: Float[Tensor, " N"] | None = None,
    logits_before: Float[Tensor, "N K"] | None = None,
    uncalibrated: Summary | None = None,
    calibration: CalibrationFit | None = None,
    row_numbers: Int[Tensor, " N"] | None = None,
    history: Sequence[Mapping[str, int | float | None]] = (),
    findings: Sequence[str] | None = None,
    foremost: str = "",
    notes: Sequence[str] = (),
    facts: Mapping[str, str] | None = None,
) -> ReportData:
    """Everything that a report can tell of a classifier and the rows it was judged on.

    Args:
        classifier: The classifier judged.
        evaluation: Its figures on the rows.
        logits: Its calibrated logits of them.
        targets: Their classes.
        data: What stood for DATA on the command line.
        model_path: The model file, which keeps the recipe that repeats the run.
        rows: The rows as they came, a table without its target or pictures.
        sample_weight: Weight of each row, where rows carry one.
        logits_before: What the network itself gave of them.
        uncalibrated: The first figures of the same rows without calibration.
        calibration: What the calibration rests on, where that is known.
        row_numbers: The number of each row in its file, counting from 1.
        history: One record an epoch.
        findings: What the audit found.
        foremost: A sentence that tells more than these figures.
        notes: What a reader must know to take the figures rightly.
        facts: Other things worth keeping, by name.

    Returns:
        The contents of the page.
    """
    own_facts = {
        "polylogit": version("polylogit"),
        "torch": torch.__version__,
        "Python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }
    table = rows if isinstance(rows, pl.DataFrame) else None
    return ReportData(
        data=data,
        model=classifier.network_spec.kind,
        evaluation=evaluation,
        logits=logits,
        targets=targets,
        sample_weight=sample_weight,
        rows_trained_on=classifier.trained_on.rows_train,
        uncalibrated=uncalibrated,
        logits_before=logits_before if classifier.calibrated else None,
        temperature=classifier.temperature,
        curve=classifier.curve,
        floor=classifier.floor,
        vector_scaling=classifier.vector_scaling,
        calibration=calibration,
        history=history,
        pictures=None if isinstance(rows, pl.DataFrame) else rows,
        table=table,
        row_numbers=row_numbers,
        coefficients=_coefficients(classifier),
        importances=[]
        if table is None
        else column_importances(classifier, table, logits, targets, sample_weight=sample_weight),
        findings=findings,
        foremost=foremost,
        notes=notes,
        recipe=classifier.recipe,
        facts={**(facts or {}), **own_facts},
        command=shlex.join(
            [
                "polylogit",
                "train",
                classifier.trained_on.data,
                "--recipe",
                str(model_path),
                "--out",
                "again.safetensors",
            ]
        ),
    )


def column_importances(
    classifier: Classifier,
    table: pl.DataFrame,
    logits: Float[Tensor, "N K"],
    targets: Int[Tensor, " N"],
    *,
    sample_weight: Float[Tensor, " N"] | None = None,
) -> list[ColumnImportance]:
    """How much the classifier rests on each column that it uses; nothing where there are too many columns.

    Args:
        classifier: The classifier.
        table: The judged rows.
        logits: Its logits of them.
        targets: Their classes.
        sample_weight: Weight of each row, where rows carry one.

    Returns:
        One entry for each column, in the encoder's order.
    """
    if not isinstance(classifier.preprocessing, TableEncoder):
        return []
    encoder = classifier.preprocessing
    if len(encoder.columns) > MOST_COLUMNS or len(targets) < 2:
        return []
    chosen = torch.randperm(len(targets), generator=torch.Generator().manual_seed(0))[:MOST_ROWS]
    # a row's features of a column depend on its cell alone, so that features can be shuffled in place of cells
    inputs = encoder.encode(table[chosen.numpy()])
    ends = list(accumulate(column.width for column in encoder.columns))
    features = {c.name: slice(end - c.width, end) for c, end in zip(encoder.columns, ends, strict=True)}

    def logits_when_shuffled(column: str, order: Int[Tensor, " N"]) -> Float[Tensor, "N K"]:
        shuffled = inputs.clone()
        shuffled[:, features[column]] = inputs[order, features[column]]
        return classifier.logits_of_inputs(shuffled)

    weights = None if sample_weight is None else sample_weight[chosen]
    return permutation_importance(
        list(features), logits_when_shuffled, logits[chosen], targets[chosen], sample_weight=weights
    )


def _coefficients(classifier: Classifier) -> Coefficients | None:
    if not isinstance(classifier.network, LinearNetwork):
        return None
    weight = classifier.network.linear.weight.detach()
    encoder = classifier.preprocessing
    if isinstance(encoder, TableEncoder):
        return Coefficients(weight, feature_names=encoder.feature_names)
    return Coefficients(weight, picture_shape=encoder.input_shape)
