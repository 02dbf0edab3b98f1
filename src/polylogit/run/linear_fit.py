"""The fit of a linear model by the exact solver, and its calibration on cross-fitted training rows.

See also: `polylogit.solver`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polylogit.calibration import CalibrationFit
from polylogit.classes import balanced_class_weight
from polylogit.data.pictures.encoder import PictureEncoder
from polylogit.data.pictures.stored import StoredPictures
from polylogit.data.split import sampled_rows
from polylogit.data.tables.feature_matrix import sparse_where_mostly_zero, taken_rows
from polylogit.errors import RecipeError
from polylogit.fitting.callbacks import TrainingCallback, refit_reporter
from polylogit.fitting.forward import network_logits
from polylogit.fitting.history import IterationRecord
from polylogit.fitting.out_of_fold import HeldOutLogits
from polylogit.model_header import NetworkSpec
from polylogit.networks import LinearNetwork
from polylogit.plural import counted
from polylogit.recipes import SolverRecipe
from polylogit.run.fitted_model import FittedModel, TrainingPlace
from polylogit.run.held_out_rows import calibration_of, held_out_logits
from polylogit.run.labelled_rows import LabelledRows
from polylogit.run.penalty_choice import USUAL_POWERS, PenaltyChoice, choose_penalty
from polylogit.run.task import Task
from polylogit.run.worker_processes import first_process
from polylogit.solver.penalties import elastic_net_penalties
from polylogit.solver.softmax_regression import LinearFit, fit_softmax_regression
from polylogit.system.sparse_rows import SparseRows

__all__ = ["fit_linear", "fit_linear_model", "linear_logits_held_out", "rows_of_linear_model", "with_chosen_penalty"]

HELD_OUT_TOLERANCE = 1e-3
"""Tolerance of the fits that only serve calibration or cross-validation; the classifier's own has the recipe's."""

CELLS_SCORED_AT_ONCE = 2**22
"""A copy of rows with about so many features is made at a time."""

ROWS_OF_PENALTY_CHOICE = 20_000
"""With more training rows C is chosen on a sample of so many, which bounds the time."""

POWERS = USUAL_POWERS
"""Where the path of C starts, and how far it may go."""

USUAL_POINTS = 9
"""As many values of C as a path usually has, for the total that a progress bar shows."""

_C_OF_NO_FOLDS = 1.0
"""C where no class has two rows, so that none can be held out."""


def fit_linear_model(task: Task, recipe: SolverRecipe, place: TrainingPlace) -> FittedModel:
    """Fit softmax regression by the exact solver, and calibrate it on training rows.

    Args:
        task: Rows, encoded and split.
        recipe: Penalty, class weights, tolerance and calibration.
        place: History and callbacks; the fit itself is on the CPU.

    Returns:
        The fitted model.

    Raises:
        RecipeError: The pictures stay in files, and the solver needs all rows in memory.
    """
    rows, train, classes = task.rows, task.split.train, len(task.class_names)
    numbers = torch.arange(len(rows))
    if isinstance(task.encoder, PictureEncoder):
        numbers, rows = train, rows_of_linear_model(task, rows.take(train))
        train = torch.arange(len(rows))
    history: list[dict[str, Any]] = []

    def record(iteration: IterationRecord) -> None:
        history.append(iteration.as_json())
        for callback in place.reported_to:
            callback.iteration_done(iteration)

    recipe, choice = with_chosen_penalty(rows, train, classes, recipe, place.callbacks)
    fit = fit_linear(rows, train, classes, recipe, record)
    calibration, held_out = _cross_fitted_calibration(rows, train, classes, recipe, place.callbacks, choice=choice)
    return FittedModel(
        network=LinearNetwork.with_weights(fit.weight, fit.bias),
        spec=NetworkSpec(kind="linear", options={"features": rows.inputs.shape[1], "classes": classes}),
        calibration=calibration,
        held_out=None if held_out is None else replace(held_out, rows=numbers[held_out.rows]),
        epochs=fit.iterations,
        message=f"{counted(fit.iterations, 'iteration')}: {fit.message}",
        whole=fit.stop_reason != "interrupted",
        interrupted=fit.interrupted,
        history=tuple(history),
        recipe=recipe,
        penalty=choice,
    )


def rows_of_linear_model(task: Task, rows: LabelledRows) -> LabelledRows:
    """The rows with one vector of features each: those of pictures are their normalised pixels.

    Args:
        task: Says how pictures are normalised.
        rows: Rows of the task.

    Returns:
        The rows of vectors.

    Raises:
        RecipeError: They are pictures that stay in their files.
    """
    if isinstance(rows.inputs, StoredPictures):
        raise RecipeError(
            f"{task.name}: a linear model needs all pictures in memory at once, but they stay in files. Take a "
            'network (--model cnn), a smaller data.picture_size, or data.pictures_in_memory = "always".'
        )
    if isinstance(task.encoder, PictureEncoder):  # features of a pretrained network pass as they are
        pixels = rows.inputs if isinstance(rows.inputs, Tensor) else rows.inputs.dense()
        return replace(rows, inputs=task.encoder.prepare(pixels).flatten(1))
    return rows


def fit_linear(
    rows: LabelledRows,
    fitted: Int[Tensor, " A"],
    classes: int,
    recipe: SolverRecipe,
    on_iteration: Callable[[IterationRecord], None] | None = None,
    *,
    initial: tuple[Tensor, Tensor] | None = None,
) -> LinearFit:
    """Fit softmax regression as the recipe says; see `fit_softmax_regression`.

    Args:
        rows: Rows of vectors, in memory.
        fitted: The numbers of those to fit to; read in place where they are many.
        classes: K.
        recipe: Penalty, class weights and tolerance.
        on_iteration: Called after each iteration.
        initial: Weights and intercepts to start from; zeros when left out.

    Returns:
        The fit.
    """
    training, targets = recipe.training, rows.targets[fitted]
    if training.C == "auto":
        raise ValueError("fit_linear fits at a given C: choose it first")
    sample_weight = None if rows.weights is None else rows.weights[fitted]
    if training.class_weight == "balanced":
        of_class = balanced_class_weight(targets, classes, sample_weight)[targets]
        sample_weight = of_class if sample_weight is None else of_class * sample_weight
    squares, l1 = elastic_net_penalties(training.C, training.l1_ratio, classes)
    features, chosen = _chosen_features(rows, fitted)
    first = first_process()
    fit = fit_softmax_regression if first is None else first.fit
    return fit(
        features,
        targets,
        rows=chosen,
        classes=classes,
        C=squares,
        l1=l1,
        sample_weight=sample_weight,
        tolerance=training.tolerance,
        max_iterations=training.epochs,
        on_iteration=on_iteration,
        initial=initial,
    )


def _chosen_features(rows: LabelledRows, fitted: Int[Tensor, " A"]) -> tuple[Tensor, Int[Tensor, " A"] | None]:
    """The features to fit to, and which of their rows: None where they are these rows alone, in CSR form."""
    if isinstance(rows.features, SparseRows):
        return taken_rows(rows.features, fitted).csr(), None
    sparse = sparse_where_mostly_zero(rows.features, fitted)
    return (rows.features, fitted) if sparse is None else (sparse, None)


def linear_logits_held_out(
    rows: LabelledRows,
    classes: int,
    recipe: SolverRecipe,
    *,
    fitted: Int[Tensor, " A"],
    scored: Int[Tensor, " B"],
) -> Float[Tensor, "B K"]:
    """Logits of some rows from softmax regression on others, fitted as exactly as `HELD_OUT_TOLERANCE` asks."""
    return _held_out(rows, classes, recipe, fitted=fitted, scored=scored)[0]


def _held_out(
    rows: LabelledRows,
    classes: int,
    recipe: SolverRecipe,
    *,
    fitted: Int[Tensor, " A"],
    scored: Int[Tensor, " B"],
    initial: tuple[Tensor, Tensor] | None = None,
) -> tuple[Float[Tensor, "B K"], tuple[Tensor, Tensor]]:
    """The logits of `linear_logits_held_out` at the C of the recipe, and the weights and intercepts behind them."""
    looser = recipe.training.model_copy(update={"tolerance": max(recipe.training.tolerance, HELD_OUT_TOLERANCE)})
    recipe = recipe.model_copy(update={"training": looser})
    fit = fit_linear(rows, fitted, classes, recipe, initial=initial)
    if fit.interrupted:  # logits of a model that was cut short would be compared with those of others
        raise KeyboardInterrupt
    network = LinearNetwork.with_weights(fit.weight, fit.bias)
    at_once = max(CELLS_SCORED_AT_ONCE // rows.features.shape[1] // 1000, 1) * 1000  # whole blocks of `network_logits`
    logits = [network_logits(network, rows.features[some]) for some in torch.split(scored, at_once)]
    return torch.cat(logits), (fit.weight, fit.bias)


def with_chosen_penalty(
    rows: LabelledRows,
    train: Int[Tensor, " A"],
    classes: int,
    recipe: SolverRecipe,
    callbacks: Sequence[TrainingCallback] = (),
) -> tuple[SolverRecipe, PenaltyChoice | None]:
    """The recipe with a number for C, chosen on training rows where the recipe leaves it to the data.

    Args:
        rows: Rows of vectors, in memory.
        train: The numbers of the training rows.
        classes: K.
        recipe: The recipe.
        callbacks: `refit_done` is called after each fit.

    Returns:
        The recipe, and how C was chosen: None where the recipe names it, or where no class has two rows.
    """
    if recipe.training.C != "auto":
        return recipe, None
    choice = _penalty_choice(rows, train, classes, recipe, refit_reporter("choice of C", callbacks))
    return _with_penalty(recipe, _C_OF_NO_FOLDS if choice is None else choice.C), choice


def _with_penalty(recipe: SolverRecipe, C: float) -> SolverRecipe:
    return recipe.model_copy(update={"training": recipe.training.model_copy(update={"C": C})})


def _penalty_choice(
    rows: LabelledRows,
    train: Int[Tensor, " A"],
    classes: int,
    recipe: SolverRecipe,
    on_fit: Callable[[int, int], None] | None = None,
) -> PenaltyChoice | None:
    """C by the log loss of training rows, each from models that were fitted without it; of a sample where many."""
    train = train[sampled_rows(rows.targets[train], ROWS_OF_PENALTY_CHOICE, recipe.seed)]
    starts: dict[int, tuple[Tensor, Tensor]] = {}
    fits = 0

    def logits_at(C: float) -> HeldOutLogits | None:
        at = count()

        def fit_and_score(fitted: Int[Tensor, " A"], scored: Int[Tensor, " B"]) -> Float[Tensor, "B K"]:
            fold = next(at)
            logits, starts[fold] = _held_out(
                rows, classes, _with_penalty(recipe, C), fitted=fitted, scored=scored, initial=starts.get(fold)
            )
            return logits

        def report(done: int, total: int) -> None:
            nonlocal fits
            fits += 1
            if on_fit is not None:
                on_fit(fits, max(fits, total * USUAL_POINTS))

        return held_out_logits(rows, train, fit_and_score, seed=recipe.seed, on_fit=report)

    calibrated = recipe.calibration.method != "none"
    return choose_penalty(logits_at, rows.targets, rows.weights, powers=POWERS, calibrated=calibrated)


def _cross_fitted_calibration(
    rows: LabelledRows,
    train: Int[Tensor, " A"],
    classes: int,
    recipe: SolverRecipe,
    callbacks: Sequence[TrainingCallback],
    *,
    choice: PenaltyChoice | None,
) -> tuple[CalibrationFit | None, HeldOutLogits | None]:
    """A calibration from training rows, and their logits, each from a model that was fitted without the row.

    The folds of the choice of C serve again, unless it was made on a sample of the rows.
    """
    method = recipe.calibration.method
    if method == "none":
        return None, None
    if choice is not None and len(train) <= ROWS_OF_PENALTY_CHOICE:
        held_out: HeldOutLogits | None = choice.held_out
    else:

        def fit_and_score(fitted: Int[Tensor, " A"], scored: Int[Tensor, " B"]) -> Float[Tensor, "B K"]:
            return linear_logits_held_out(rows, classes, recipe, fitted=fitted, scored=scored)

        report = refit_reporter("calibration", callbacks)
        held_out = held_out_logits(rows, train, fit_and_score, seed=recipe.seed, on_fit=report)
    if held_out is None:
        return None, None
    return calibration_of(rows, held_out.rows, held_out.logits, method), held_out
