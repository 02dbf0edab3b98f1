"""The contents of a report: metrics, scores, column importances, coefficients and facts of the run.

See also: `polylogit.report`, which turns them into a page.
"""

import os
import platform
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import accumulate
from pathlib import Path
from typing import Any

import polars as pl
import torch
from jaxtyping import Float, Int
from torch import Tensor

from polylogit.calibration import CalibrationFit
from polylogit.classifier import Classifier
from polylogit.data.pictures.pretrained.encoder import BackboneEncoder
from polylogit.data.tables.audit import Audit
from polylogit.data.tables.encoder import TableEncoder
from polylogit.evaluation import ColumnImportance, Summary, permutation_importance
from polylogit.networks import LinearNetwork
from polylogit.report import Coefficients, ReportData
from polylogit.report.effects import ColumnEffect
from polylogit.report.label_check import LabelCheck
from polylogit.report.mistakes import confident_mistakes
from polylogit.run.contributions import can_explain
from polylogit.run.effects import column_effects
from polylogit.run.evaluated_rows import EvaluatedRows
from polylogit.run.occlusion import occlusion_maps
from polylogit.system.sparse_rows import SparseRows

__all__ = ["MOST_COLUMNS", "MOST_ROWS", "column_importances", "report_data"]

MOST_ROWS = 1000
MOST_COLUMNS = 60
"""Column importances are computed on at most `MOST_ROWS` rows, and not at all for more than `MOST_COLUMNS` columns."""

MOST_MAPS, MOST_MAPS_OF_FEATURES = 12, 6
"""So many mistakes have an occlusion map, which takes about fifty predictions; a pretrained network takes longer."""


def report_data(
    classifier: Classifier,
    evaluated: EvaluatedRows,
    *,
    data: str,
    model_path: Path,
    calibration: CalibrationFit | None = None,
    labels: LabelCheck | None = None,
    history: Sequence[Mapping[str, int | float | None]] = (),
    audit: Audit | None = None,
    cross_validated: Summary | None = None,
    folds: Mapping[str, Any] | None = None,
    selection: Mapping[str, Any] | None = None,
    penalty: Mapping[str, Any] | None = None,
    foremost: str = "",
    notes: Sequence[str] = (),
    facts: Mapping[str, str] | None = None,
    training_rows: pl.DataFrame | None = None,
) -> ReportData:
    """Collect the contents of a report on a classifier and the rows that it was evaluated on.

    Args:
        classifier: The classifier.
        evaluated: The rows, its scores of them and its metrics.
        data: DATA as given on the command line.
        model_path: The model file, which contains the recipe that repeats the run.
        calibration: The calibration and its evidence, where they are known.
        labels: The check of the labels, where there was one.
        history: One record an epoch or iteration.
        audit: The audit of the table; None for pictures.
        cross_validated: The main metrics of a cross-validation, where there was one.
        folds: The cross-validation with the scores of its folds, as plain data.
        selection: How the kind of model was chosen, as plain data.
        penalty: How C was chosen, as plain data.
        foremost: The headline, where other figures are better estimates than those of these rows.
        notes: What a reader must know to interpret the metrics.
        facts: Further facts of the run, by name.
        training_rows: The cells of the rows trained on, which the effects of an additive model are centred on; the
            evaluated rows where they are not at hand.

    Returns:
        The contents of the page.
    """
    own_facts = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "polylogit": version("polylogit"),
        "torch": torch.__version__,
        "Python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }
    table = evaluated.raw if isinstance(evaluated.raw, pl.DataFrame) else None
    return ReportData(
        data=data,
        model=classifier.model_kind,
        evaluation=evaluated.evaluation,
        logits=evaluated.logits,
        targets=evaluated.targets,
        sample_weight=evaluated.weights,
        rows_trained_on=classifier.trained_on.rows_train,
        uncalibrated=evaluated.uncalibrated,
        logits_before=evaluated.network_logits if classifier.calibrated else None,
        calibration=classifier.calibration,
        calibration_fit=calibration,
        sets=evaluated.sets,
        decisions=evaluated.decisions,
        labels=labels,
        effect=evaluated.effect,
        history=history,
        pictures=None if isinstance(evaluated.raw, pl.DataFrame) else evaluated.raw,
        table=table,
        files=evaluated.files,
        occlusions=_occlusions(classifier, evaluated),
        row_numbers=evaluated.numbers,
        coefficients=None if classifier.model_kind == "additive" else _coefficients(classifier),
        effects=_effects(classifier, training_rows, table),
        importances=[]
        if table is None
        else column_importances(
            classifier, table, evaluated.logits, evaluated.targets, sample_weight=evaluated.weights
        ),
        audit=audit,
        cross_validated=cross_validated,
        folds=folds,
        selection=selection,
        penalty=penalty,
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


def _occlusions(classifier: Classifier, evaluated: EvaluatedRows) -> dict[int, Float[Tensor, "h w"]]:
    """The occlusion maps of the most confident mistakes, by row; none for tables."""
    if isinstance(evaluated.raw, pl.DataFrame):
        return {}
    most = MOST_MAPS_OF_FEATURES if isinstance(classifier.preprocessing, BackboneEncoder) else MOST_MAPS
    mistakes = confident_mistakes(evaluated.logits, evaluated.targets, most, sample_weight=evaluated.weights)
    if not mistakes:
        return {}
    pictures = torch.stack([evaluated.raw[mistake.row] for mistake in mistakes])
    maps = occlusion_maps(classifier, pictures)
    return {mistake.row: found for mistake, found in zip(mistakes, maps, strict=True)}


def column_importances(
    classifier: Classifier,
    table: pl.DataFrame,
    logits: Float[Tensor, "N K"],
    targets: Int[Tensor, " N"],
    *,
    sample_weight: Float[Tensor, " N"] | None = None,
) -> list[ColumnImportance]:
    """Permutation importance of each column that a classifier uses.

    Args:
        classifier: The classifier.
        table: The rows that it is evaluated on, without the target.
        logits: Its calibrated logits of them.
        targets: Their classes.
        sample_weight: Weight of each row, where rows carry one.

    Returns:
        One entry for each column, in the encoder's order; none where there are more than `MOST_COLUMNS` columns.
    """
    if not isinstance(classifier.preprocessing, TableEncoder):
        return []
    encoder = classifier.preprocessing
    if len(encoder.columns) > MOST_COLUMNS or len(targets) < 2:
        return []
    chosen = torch.randperm(len(targets), generator=torch.Generator().manual_seed(0))[:MOST_ROWS]
    # A row's features of a column depend on its cell alone, so features can be shuffled in place of cells.
    inputs = encoder.encode(table[chosen.numpy()])
    ends = list(accumulate(column.width for column in encoder.columns))
    features = {c.name: slice(end - c.width, end) for c, end in zip(encoder.columns, ends, strict=True)}

    def logits_when_shuffled(column: str, order: Int[Tensor, " N"]) -> Float[Tensor, "N K"]:
        if isinstance(inputs, SparseRows):
            return classifier.logits_of_inputs(inputs.shuffled_columns(features[column], order))
        shuffled = inputs.clone()
        shuffled[:, features[column]] = inputs[order, features[column]]
        return classifier.logits_of_inputs(shuffled)

    weights = None if sample_weight is None else sample_weight[chosen]
    return permutation_importance(
        list(features), logits_when_shuffled, logits[chosen], targets[chosen], sample_weight=weights
    )


def _effects(
    classifier: Classifier, training_rows: pl.DataFrame | None, evaluated: pl.DataFrame | None
) -> Sequence[ColumnEffect]:
    """The effects of the columns of an additive model, and of the text columns of a linear one; none of another."""
    encoder = classifier.preprocessing
    columns = encoder.columns if isinstance(encoder, TableEncoder) and can_explain(classifier) else ()
    shown = {column.name for column in columns if classifier.model_kind == "additive" or column.type == "text"}
    rows, named = (training_rows, "training rows") if training_rows is not None else (evaluated, "evaluated rows")
    if rows is None or not shown:
        return []
    return column_effects(classifier, rows, only=shown, rows=named)


def _coefficients(classifier: Classifier) -> Coefficients | None:
    if not isinstance(classifier.network, LinearNetwork):
        return None
    weight = classifier.network.linear.weight.detach()
    encoder = classifier.preprocessing
    if isinstance(encoder, BackboneEncoder):  # its features have no names and no place in the picture
        return None
    if isinstance(encoder, TableEncoder):
        return Coefficients(weight, feature_names=encoder.feature_names)
    return Coefficients(weight, picture_shape=encoder.input_shape)
