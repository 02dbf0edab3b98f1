"""Logits of all rows of a task, each from a model of the recipe that was fitted without the row.

See also: `polylogit.run.cross_validation` and `polylogit.run.label_check`, which use them.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from polylogit.calibration import CalibrationMethod
from polylogit.data.pictures.encoder import PictureEncoder
from polylogit.data.pictures.pretrained.encoder import BackboneEncoder
from polylogit.data.pictures.stored import StoredPictures
from polylogit.data.split import Split
from polylogit.data.tables.encoder import TableEncoder
from polylogit.errors import RecipeError
from polylogit.fitting.forward import network_logits
from polylogit.fitting.out_of_fold import HeldOutLogits
from polylogit.recipes import AutoRecipe, NetworkRecipe, PretrainedRecipe, Recipe, SolverRecipe
from polylogit.run.fit import fit_model
from polylogit.run.fitted_model import TrainingPlace
from polylogit.run.held_out_rows import calibration_of, held_out_logits
from polylogit.run.labelled_rows import LabelledRows
from polylogit.run.linear_fit import linear_logits_held_out, rows_of_linear_model, with_chosen_penalty
from polylogit.run.picture_task import fitted_picture_encoder
from polylogit.run.table_task import fitted_table_encoder
from polylogit.run.task import Task
from polylogit.system.sparse_rows import SparseRows

__all__ = ["calibrated_on_other_folds", "fold_scores", "with_encoder_of"]

FitAndScore = Callable[[Int[Tensor, " A"], Int[Tensor, " B"]], Float[Tensor, "B K"]]
"""Logits of some rows from a model fitted to others."""


def fold_scores(
    task: Task,
    recipe: Recipe,
    *,
    folds: int,
    seed: int,
    calibrated: bool = True,
    place: TrainingPlace | None = None,
    on_fit: Callable[[int, int], None] | None = None,
) -> HeldOutLogits | None:
    """Score each row of a task, training rows and test rows alike, by a model that was fitted without its fold.

    The rows are split into folds class by class, or whole groups at a time. For each fold encoder and model are fitted
    on the other folds; C, where the recipe leaves it to the data, is chosen once on all of the rows. A linear model is
    calibrated on the logits of the other folds, and so is a network that keeps no validation rows; others on theirs,
    among the rows that it is given. Rows of weight 0, and of classes that the recipe leaves out, are in no fold.

    Args:
        task: The rows.
        recipe: Model and calibration.
        folds: Number of folds.
        seed: Of the draw of the folds.
        calibrated: Whether the logits are calibrated, as the recipe says, or the models' own.
        place: Device and callbacks of the fits of networks; it names no files.
        on_fit: Called after each fit with the number of fits done and of fits planned.

    Returns:
        The logits, with the row numbers of the task from 0; None where no class has two rows.

    Raises:
        RecipeError: The recipe does not fit the data.
    """
    known = task.rows.known
    if isinstance(recipe, PretrainedRecipe) and recipe.training.finetune != "none":
        raise RecipeError(
            f"training.finetune: a network is not fine-tuned for each of {folds} folds. Leave the option out, and the "
            "features of the network as it is are taken."
        )
    if isinstance(recipe, SolverRecipe):
        if recipe.training.C == "auto":
            vectors = rows_of_linear_model(task, task.rows)
            recipe, _ = with_chosen_penalty(vectors, known, len(task.class_names), recipe)
        fit_and_score = _linear_fold(task, recipe)
    else:
        fit_and_score = _network_fold(task, recipe, place or TrainingPlace(), calibrated=calibrated)
    found = held_out_logits(
        task.rows, known, fit_and_score, seed=seed, folds=folds, rows_wanted=len(known) + 1, on_fit=on_fit
    )
    method = recipe.calibration.method
    if found is None or not calibrated or not _is_cross_fitted(recipe) or method == "none":
        return found
    return replace(found, logits=calibrated_on_other_folds(found, task.rows, method))


def _encoded(
    task: Task, recipe: Recipe, fitted: Int[Tensor, " A"]
) -> tuple[TableEncoder | PictureEncoder, Num[Tensor, "N ..."] | StoredPictures | SparseRows]:
    """An encoder fitted to some rows, and all rows as it encodes them; pictures stay pixels."""
    if isinstance(task.encoder, BackboneEncoder):  # which is fitted to no rows
        return task.encoder, task.rows.inputs
    pixels = task.rows.inputs
    if isinstance(task.encoder, PictureEncoder) or task.cells is None:
        if isinstance(pixels, SparseRows):
            raise TypeError("expected pictures, got the sparse rows of a table")
        return fitted_picture_encoder(pixels[fitted], recipe), pixels
    return fitted_table_encoder(task.cells, task.encoder.readings, fitted, recipe, stored=task.stored)


def with_encoder_of(recipe: Recipe, task: Task, fitted: Int[Tensor, " A"]) -> Task:
    """The task with its rows encoded as a recipe asks.

    Args:
        recipe: Its kind of model and its data section say how.
        task: The rows.
        fitted: The numbers of the rows that the encoder learns from.

    Returns:
        The task with another encoder and other inputs.
    """
    encoder, inputs = _encoded(task, recipe, fitted)
    if isinstance(encoder, TableEncoder) and task.cells is not None:
        encoder = encoder.with_ranges(task.cells, fitted)
    return replace(task, encoder=encoder, rows=replace(task.rows, inputs=inputs))


def _linear_fold(task: Task, recipe: SolverRecipe) -> FitAndScore:
    def fit_and_score(fitted: Int[Tensor, " A"], held_out: Int[Tensor, " B"]) -> Float[Tensor, "B K"]:
        encoder, inputs = _encoded(task, recipe, fitted)
        fold = replace(task, encoder=encoder, rows=replace(task.rows, inputs=inputs))
        rows = rows_of_linear_model(fold, fold.rows)
        return linear_logits_held_out(rows, len(task.class_names), recipe, fitted=fitted, scored=held_out)

    return fit_and_score


def _is_cross_fitted(recipe: Recipe) -> bool:
    """Whether the calibration is fitted to rows of folds, not to rows that the fit keeps for it."""
    return isinstance(recipe, SolverRecipe) or (
        isinstance(recipe, NetworkRecipe) and recipe.training.validation_fraction == 0
    )


def _network_fold(
    task: Task, recipe: NetworkRecipe | AutoRecipe, place: TrainingPlace, *, calibrated: bool
) -> FitAndScore:
    """As `_linear_fold`; the calibration is the fit's own, from its validation rows, where it keeps some."""
    if _is_cross_fitted(recipe):
        recipe = recipe.model_copy(update={"calibration": recipe.calibration.model_copy(update={"method": "none"})})

    def fit_and_score(fitted: Int[Tensor, " A"], held_out: Int[Tensor, " B"]) -> Float[Tensor, "B K"]:
        encoder, inputs = _encoded(task, recipe, fitted)
        rows = replace(task.rows, inputs=inputs)
        # The data's own validation rows may be among those held out, so that each fold draws its own.
        fold = replace(task, encoder=encoder, rows=rows, split=Split(train=fitted, test=held_out), validation=None)
        fit = fit_model(fold, recipe, place=place)
        fit.raise_if_interrupted()
        prepare = encoder.prepare if isinstance(encoder, PictureEncoder) else None
        logits = network_logits(fit.network, inputs[held_out], prepare=prepare)
        return logits if fit.calibration is None or not calibrated else fit.calibration.calibration.apply(logits)

    return fit_and_score


def calibrated_on_other_folds(
    found: HeldOutLogits, rows: LabelledRows, method: CalibrationMethod
) -> Float[Tensor, "N K"]:
    """The logits of each fold, calibrated on those of the other folds.

    Args:
        found: Logits of rows that were held out in folds.
        rows: All rows; weights and groups count.
        method: The candidate calibrations.

    Returns:
        Calibrated logits in the same order.
    """
    calibrated, start = [], 0
    for size in found.sizes:
        others = torch.ones(len(found.rows), dtype=torch.bool)
        others[start : start + size] = False
        fit = calibration_of(rows, found.rows[others], found.logits[others], method)
        calibrated.append(fit.calibration.apply(found.logits[~others]))
        start += size
    return torch.cat(calibrated)
