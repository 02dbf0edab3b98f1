"""The fit of a model and its calibration: the exact solver for linear models, the training loop for networks.

See also: `validation_split.py`, the training rows that a network is not fitted on.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from polylogit.calibration import CalibrationFit, fit_calibration
from polylogit.classes import balanced_class_weight
from polylogit.data.pictures.augmentation import Augmentation
from polylogit.data.pictures.encoder import PictureEncoder
from polylogit.data.pictures.stored import StoredPictures
from polylogit.data.tables.feature_matrix import sparse_where_mostly_zero
from polylogit.errors import RecipeError
from polylogit.fitting.callbacks import TrainingCallback
from polylogit.fitting.checkpoint import Checkpoint
from polylogit.fitting.devices import DeviceName, choose_device
from polylogit.fitting.forward import network_logits
from polylogit.fitting.history import IterationRecord
from polylogit.fitting.history_file import HistoryFile
from polylogit.fitting.loop import fit_network
from polylogit.fitting.memory import check_network_fits_memory
from polylogit.fitting.options import TrainingOptions
from polylogit.fitting.out_of_fold import out_of_fold_logits
from polylogit.model_header import NetworkSpec
from polylogit.networks import KINDS, LinearNetwork
from polylogit.networks.test_time_augmentation import without_test_time_augmentation
from polylogit.recipes import LinearRecipe, MlpRecipe, NetworkRecipe, Recipe
from polylogit.run.labelled_rows import LabelledRows
from polylogit.run.task import Task
from polylogit.run.validation_split import fitted_and_validation_rows
from polylogit.solver.penalties import elastic_net_penalties
from polylogit.solver.softmax_regression import LinearFit, fit_softmax_regression

__all__ = [
    "FittedModel",
    "TrainingPlace",
    "fit_linear",
    "fit_model",
    "loop_options",
    "new_network",
]

HELD_OUT_TOLERANCE = 1e-3
"""Tolerance of the fits that only serve calibration or cross-validation; the classifier's own has the recipe's."""

USUAL_BATCH = 256


@dataclass(frozen=True)
class TrainingPlace:
    """Where a model is fitted, and where its fit is reported and can be resumed.

    Args:
        device: The device asked for; linear models are fitted on the CPU.
        checkpoint: The file that contains the state of a network's fit; None: none is written.
        resume: Whether to resume from it.
        history: The file that gets a row as each epoch or iteration ends; None: none is written.
        observers: Training callbacks.
    """

    device: DeviceName = "auto"
    checkpoint: Path | None = None
    resume: bool = False
    history: Path | None = None
    observers: tuple[TrainingCallback, ...] = ()

    @property
    def callbacks(self) -> tuple[TrainingCallback, ...]:
        """The history file, where one is written, and the observers."""
        return self.observers if self.history is None else (HistoryFile(self.history), *self.observers)


@dataclass(frozen=True)
class FittedModel:
    """The result of a fit.

    Args:
        network: With its weights, on the CPU, in evaluation mode.
        spec: Kind and options that build it again.
        calibration: The calibration and its evidence; None where the recipe asks for none, or rows were too few.
        epochs: Iterations of the solver, or epochs of the training loop.
        message: Why the fit ended, in words.
        whole: Whether it ran to its end; False after an interrupt or a divergence.
        history: One record per epoch or iteration, as plain data.
    """

    network: nn.Module
    spec: NetworkSpec
    calibration: CalibrationFit | None
    epochs: int
    message: str
    whole: bool
    history: tuple[dict[str, Any], ...]


def fit_model(task: Task, recipe: Recipe, *, place: TrainingPlace) -> FittedModel:
    """Fit the model that the recipe asks for on the training rows of the task.

    Args:
        task: Rows, encoded and split; the test rows are not used.
        recipe: Which model, and how it is fitted.
        place: Device, checkpoint, history and callbacks.

    Returns:
        The fitted model.

    Raises:
        RecipeError: The recipe does not fit the data.
        DivergenceError: A network's loss was NaN or infinite before one epoch was whole.
    """
    if isinstance(recipe, LinearRecipe):
        return _linear_model(task, recipe, place)
    return _network_model(task, recipe, place)


def _linear_model(task: Task, recipe: LinearRecipe, place: TrainingPlace) -> FittedModel:
    rows = task.rows.take(task.split.train)
    if isinstance(rows.inputs, StoredPictures):
        raise RecipeError(
            f"{task.name}: a linear model needs all pictures in memory at once, but they stay in files. Take a "
            'network (--model cnn), a smaller data.picture_size, or data.pictures_in_memory = "always".'
        )
    if isinstance(task.encoder, PictureEncoder):
        rows = replace(rows, inputs=task.encoder.prepare(rows.inputs).flatten(1))
    classes = len(task.class_names)
    history: list[dict[str, Any]] = []
    callbacks = place.callbacks

    def record(iteration: IterationRecord) -> None:
        history.append(iteration.as_json())
        for callback in callbacks:
            callback.iteration_done(iteration)

    fit = fit_linear(rows, classes, recipe, record)
    return FittedModel(
        network=LinearNetwork.with_weights(fit.weight, fit.bias),
        spec=NetworkSpec(kind="linear", options={"features": rows.inputs.shape[1], "classes": classes}),
        calibration=_cross_fitted_calibration(rows, classes, recipe, place.observers),
        epochs=fit.iterations,
        message=f"{fit.iterations} iterations: {fit.message}",
        whole=fit.stop_reason != "interrupted",
        history=tuple(history),
    )


def fit_linear(
    rows: LabelledRows, classes: int, recipe: LinearRecipe, on_iteration: Callable[[IterationRecord], None] | None
) -> LinearFit:
    """Fit softmax regression as the recipe says; see `fit_softmax_regression`.

    Args:
        rows: Rows of vectors, in memory.
        classes: K.
        recipe: Penalty, class weights and tolerance.
        on_iteration: Called after each iteration.

    Returns:
        The fit.
    """
    training, sample_weight = recipe.training, rows.weights
    if training.class_weight == "balanced":
        of_class = balanced_class_weight(rows.targets, classes, sample_weight)[rows.targets]
        sample_weight = of_class if sample_weight is None else of_class * sample_weight
    squares, l1 = elastic_net_penalties(training.C, training.l1_ratio, classes)
    return fit_softmax_regression(
        sparse_where_mostly_zero(rows.features),
        rows.targets,
        classes=classes,
        C=squares,
        l1=l1,
        sample_weight=sample_weight,
        tolerance=training.tolerance,
        max_iterations=training.epochs,
        on_iteration=on_iteration,
    )


def linear_logits_held_out(
    rows: LabelledRows,
    classes: int,
    recipe: LinearRecipe,
    *,
    fitted: Int[Tensor, " A"],
    scored: Int[Tensor, " B"],
) -> Float[Tensor, "B K"]:
    """Logits of some rows from softmax regression on others, fitted as exactly as `HELD_OUT_TOLERANCE` asks."""
    looser = recipe.training.model_copy(update={"tolerance": max(recipe.training.tolerance, HELD_OUT_TOLERANCE)})
    recipe = recipe.model_copy(update={"training": looser})
    fit = fit_linear(rows.take(fitted), classes, recipe, on_iteration=None)
    return network_logits(LinearNetwork.with_weights(fit.weight, fit.bias), rows.features[scored])


def _cross_fitted_calibration(
    rows: LabelledRows, classes: int, recipe: LinearRecipe, observers: Sequence[TrainingCallback]
) -> CalibrationFit | None:
    """A calibration from training rows, each scored by a model that was fitted without it."""
    method = recipe.calibration.method
    if method == "none":
        return None

    def fit_and_score(fitted: Int[Tensor, " A"], scored: Int[Tensor, " B"]) -> Float[Tensor, "B K"]:
        return linear_logits_held_out(rows, classes, recipe, fitted=fitted, scored=scored)

    def report(done: int, total: int) -> None:
        for observer in observers:
            observer.refit_done("calibration", done, total)

    held_out = out_of_fold_logits(rows.targets, fit_and_score, seed=recipe.seed, groups=rows.groups, on_fit=report)
    if held_out is None:
        return None
    scored = rows.take(held_out.rows)
    return fit_calibration(
        held_out.logits, scored.targets, method=method, sample_weight=scored.weights, groups=scored.groups
    )


def _network_model(task: Task, recipe: NetworkRecipe, place: TrainingPlace) -> FittedModel:
    training, classes = recipe.training, len(task.class_names)
    method = recipe.calibration.method
    fitted, held_out = map(task.rows.take, fitted_and_validation_rows(task, recipe))
    if method != "none" and not len(held_out):
        raise RecipeError(
            "training.validation_fraction: 0 keeps no rows to calibrate on. Keep some, or set calibration.method "
            'to "none".'
        )
    of_class = None
    if training.class_weight == "balanced":
        of_class = balanced_class_weight(fitted.targets, classes, fitted.weights).float()
    options, device = loop_options(recipe, rows=len(fitted)), choose_device(place.device)
    spec = NetworkSpec(kind=recipe.model.kind, options=_network_options(task, recipe))
    check_network_fits_memory(partial(KINDS[spec.kind], **spec.options), options, device, f"model {spec.kind}")
    network, spec = new_network(task, recipe)
    prepare = task.encoder.prepare if isinstance(task.encoder, PictureEncoder) else None
    with without_test_time_augmentation(network):
        fit = fit_network(
            network,
            fitted.inputs,
            fitted.targets,
            options=options,
            validation=(held_out.inputs, held_out.targets) if len(held_out) else None,
            validation_weight=held_out.weights,
            class_weight=of_class,
            sample_weight=None if fitted.weights is None else fitted.weights.float(),
            prepare=prepare,
            augment=_augmentation(task, recipe),
            device=device,
            callbacks=place.callbacks,
            check_misuse=False,  # the networks and their loss are polylogit's own
            checkpoint=None
            if place.checkpoint is None
            else Checkpoint(place.checkpoint, _identity(task, recipe), resume=place.resume),
        )
    calibration = None
    if method != "none":
        logits = network_logits(network, held_out.inputs, prepare=prepare)
        calibration = fit_calibration(
            logits, held_out.targets, method=method, sample_weight=held_out.weights, groups=held_out.groups
        )
    network.to("cpu")
    return FittedModel(
        network=network,
        spec=spec,
        calibration=calibration,
        epochs=fit.epochs,
        message=fit.message,
        whole=fit.ended in ("finished", "early"),
        history=tuple(asdict(record) for record in fit.history),
    )


def new_network(task: Task, recipe: NetworkRecipe) -> tuple[nn.Module, NetworkSpec]:
    """The network of a recipe before its first step, initialised from the seed, and the spec that builds it again.

    Args:
        task: Says how many features or which pictures, and how many classes.
        recipe: Says the rest.

    Returns:
        The network and its spec.

    Raises:
        RecipeError: The network does not fit the task.
    """
    spec = NetworkSpec(kind=recipe.model.kind, options=_network_options(task, recipe))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = KINDS[spec.kind](**spec.options)
    if recipe.training.start == "zeros":
        *_, last = (module for module in network.modules() if isinstance(module, nn.Linear))
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
    return network, spec


def _network_options(task: Task, recipe: NetworkRecipe) -> dict[str, Any]:
    options = recipe.model.model_dump(mode="json", exclude={"kind"})
    classes = len(task.class_names)
    if isinstance(recipe, MlpRecipe):
        return {"features": task.encoder.features, "classes": classes, **options}
    if not isinstance(task.encoder, PictureEncoder):
        raise RecipeError(
            f"{task.name}: a network of kind {recipe.model.kind} takes pictures, and this is a table. "
            "Take --model linear or --model mlp."
        )
    channels, height, width = task.encoder.input_shape
    return {"channels": channels, "height": height, "width": width, "classes": classes, **options}


def _augmentation(task: Task, recipe: NetworkRecipe) -> Augmentation | None:
    augmentation = Augmentation(**recipe.augmentation.model_dump())
    if not augmentation.changes_anything:
        return None
    if not isinstance(task.encoder, PictureEncoder):
        raise RecipeError(f"{task.name}: augmentation is for pictures, and this is a table. Leave it out.")
    return augmentation


def loop_options(recipe: NetworkRecipe, rows: int) -> TrainingOptions:
    """The loop's options; where a recipe writes 0 for "off", the loop has None.

    Args:
        recipe: The recipe.
        rows: How many the network is fitted on; small data get small batches.

    Returns:
        The options.
    """
    training = recipe.training
    return TrainingOptions(
        epochs=training.epochs,
        batch_size=training.batch_size or min(USUAL_BATCH, max(1, rows // 8)),
        optimizer=training.optimizer,
        learning_rate=training.learning_rate,
        momentum=training.momentum,
        weight_decay=training.weight_decay,
        schedule=training.schedule,
        warmup_fraction=training.warmup_fraction,
        label_smoothing=training.label_smoothing,
        gradient_clip=training.gradient_clip or None,
        accumulation=training.accumulation,
        averaging=training.averaging or None,
        patience=training.patience or None,
        precision=training.precision,
        seed=recipe.seed,
    )


def _identity(task: Task, recipe: NetworkRecipe) -> str:
    """What must be the same for a checkpoint to be of this run."""
    parts = {"recipe": recipe.as_entries(), "data": task.fingerprint, "polylogit": version("polylogit")}
    return json.dumps(parts, sort_keys=True)
