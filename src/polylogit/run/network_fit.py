"""The fit of a network by the training loop, and its calibration on validation rows.

See also: `validation_split.py`, the training rows that a network is not fitted on.
"""

import json
from dataclasses import asdict, replace
from functools import partial
from importlib.metadata import version
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from polylogit.classes import balanced_class_weight
from polylogit.data.pictures.augmentation import Augmentation
from polylogit.data.pictures.encoder import PictureEncoder
from polylogit.data.split import Split
from polylogit.errors import RecipeError
from polylogit.fitting.callbacks import refit_reporter
from polylogit.fitting.checkpoint import Checkpoint
from polylogit.fitting.devices import choose_device
from polylogit.fitting.forward import network_logits
from polylogit.fitting.loop import fit_network
from polylogit.fitting.memory import check_network_fits_memory
from polylogit.fitting.options import TrainingOptions
from polylogit.fitting.out_of_fold import HeldOutLogits
from polylogit.model_header import PICTURE_DIGEST_LENGTH, NetworkSpec
from polylogit.network_sections import epochs_and_batch_size, usual_batch_size
from polylogit.networks import KINDS, MlpNetwork
from polylogit.networks.members import MlpMembers
from polylogit.networks.test_time_augmentation import without_test_time_augmentation
from polylogit.recipes import MlpRecipe, NetworkRecipe
from polylogit.run.fitted_model import FittedModel, TrainingPlace
from polylogit.run.held_out_rows import calibration_of, held_out_logits
from polylogit.run.picture_memory import memory_note, memory_of_network
from polylogit.run.task import Task
from polylogit.run.validation_split import fitted_and_validation_rows
from polylogit.run.worker_processes import first_process

__all__ = ["fit_network_model", "loop_options", "new_network"]

FOLDS = 5
"""Of the rows that a network is calibrated on, where it keeps none for that."""


def fit_network_model(task: Task, recipe: NetworkRecipe, place: TrainingPlace) -> FittedModel:
    """Fit a network by the training loop, and calibrate it on its validation rows.

    Args:
        task: Rows, encoded and split.
        recipe: The network, and how it is trained and calibrated.
        place: Device, checkpoint, history and callbacks.

    Returns:
        The fitted model.

    Raises:
        RecipeError: The recipe does not fit the data.
        DivergenceError: The loss was NaN or infinite before one epoch was whole.
    """
    training, classes = recipe.training, len(task.class_names)
    method = recipe.calibration.method
    fitted_numbers, validation_numbers = fitted_and_validation_rows(task, recipe)
    fitted, held_out = task.rows.take(fitted_numbers), task.rows.take(validation_numbers)
    of_class = None
    if training.class_weight == "balanced":
        of_class = balanced_class_weight(fitted.targets, classes, fitted.weights).float()
    options, device = loop_options(recipe, rows=len(fitted)), choose_device(place.device)
    spec = NetworkSpec(kind=recipe.model.kind, options=_network_options(task, recipe))
    check_network_fits_memory(partial(KINDS[spec.kind], **spec.options), options, device, f"model {spec.kind}")
    network, spec = new_network(task, recipe)
    note = ""
    if isinstance(task.encoder, PictureEncoder):
        example = task.encoder.prepare(torch.zeros(1, *task.encoder.input_shape, dtype=torch.uint8))
        needed = memory_of_network(network, example, len(fitted), options, device)
        note = memory_note(needed, "Take a smaller data.picture_size or training.batch_size.", device)
        for callback in place.callbacks if note else ():
            callback.noted(note)
    members = _members(network, recipe)
    prepare = task.encoder.prepare if isinstance(task.encoder, PictureEncoder) else None
    with without_test_time_augmentation(network):
        first = first_process()
        fit = (fit_network if first is None else first.fit_network)(
            members or network,
            fitted.inputs,
            fitted.targets,
            options=options,
            validation=(held_out.inputs, held_out.targets) if len(held_out) else None,
            validation_weight=held_out.weights,
            class_weight=of_class,
            sample_weight=None if fitted.weights is None else fitted.weights.float(),
            prepare=prepare,
            augment=_augmentation(recipe),
            device=device,
            callbacks=place.reported_to,
            check_misuse=False,  # the networks and their loss are polylogit's own
            checkpoint=None
            if place.checkpoint is None
            else Checkpoint(place.checkpoint, _identity(task, recipe), resume=place.resume, files=_files(task)),
        )
    if members is not None:
        network = members.to("cpu").merged()
    calibration = scored = None
    if method != "none":
        if len(held_out):
            network.to(device)
            logits = network_logits(network, held_out.inputs, prepare=prepare)
            scored = HeldOutLogits(validation_numbers, logits, sizes=(len(validation_numbers),))
        elif fit.ended == "finished":
            scored = _out_of_fold(task, recipe, place)
        if scored is not None:
            calibration = calibration_of(task.rows, scored.rows, scored.logits, method)
    network.to("cpu")
    return FittedModel(
        network=network,
        spec=spec,
        calibration=calibration,
        held_out=scored,
        epochs=fit.epochs,
        message=fit.message + _of_least_steps(recipe, options),
        whole=fit.ended in ("finished", "early"),
        interrupted=fit.asked_to_stop,
        history=tuple(asdict(record) for record in fit.history),
        notes=(note,) if note else (),
    )


def _out_of_fold(task: Task, recipe: NetworkRecipe, place: TrainingPlace) -> HeldOutLogits | None:
    """Logits of training rows from networks that were fitted without them, as `fit_network_model` fits its own."""
    alone = recipe.model_copy(update={"calibration": recipe.calibration.model_copy(update={"method": "none"})})

    def fit_and_score(fitted: Int[Tensor, " A"], scored: Int[Tensor, " B"]) -> Float[Tensor, "B K"]:
        fold = replace(task, split=Split(train=fitted, test=scored), validation=None)
        fit = fit_network_model(fold, alone, TrainingPlace(device=place.device))
        fit.raise_if_interrupted()
        prepare = task.encoder.prepare if isinstance(task.encoder, PictureEncoder) else None
        return network_logits(fit.network, task.rows.inputs[scored], prepare=prepare)

    report = refit_reporter("calibration", place.callbacks)
    return held_out_logits(task.rows, task.split.train, fit_and_score, seed=recipe.seed, folds=FOLDS, on_fit=report)


def _members(network: nn.Module, recipe: NetworkRecipe) -> MlpMembers | None:
    """The network as the members that it is fitted as; None where the recipe asks for none."""
    if not isinstance(recipe, MlpRecipe) or recipe.model.members == 1:
        return None
    assert isinstance(network, MlpNetwork)  # noqa: S101 - as the recipe says
    return MlpMembers(network, recipe.model.members)


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
    options = recipe.model.model_dump(mode="json", exclude={"kind", "members", "bins"})
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


def _augmentation(recipe: NetworkRecipe) -> Augmentation | None:
    """What changes the training pictures; a recipe that augments a table was refused before its rows were read."""
    augmentation = Augmentation(**recipe.augmentation.model_dump())
    return augmentation if augmentation.changes_anything else None


def loop_options(recipe: NetworkRecipe, rows: int) -> TrainingOptions:
    """The loop's options; where a recipe writes 0 for "off", the loop has None.

    Args:
        recipe: The recipe.
        rows: How many the network is fitted on; small data get small batches.

    Returns:
        The options.
    """
    training = recipe.training
    epochs, batch_size = epochs_and_batch_size(
        rows, training.epochs, training.batch_size or usual_batch_size(rows), training.least_steps
    )
    return TrainingOptions(
        epochs=epochs,
        batch_size=batch_size,
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


def _of_least_steps(recipe: NetworkRecipe, options: TrainingOptions) -> str:
    """What `training.least_steps` changed, as a sentence behind another; empty where it changed nothing."""
    training = recipe.training
    if options.epochs == training.epochs and training.batch_size in (None, options.batch_size):
        return ""
    return (
        f" training.least_steps={training.least_steps} made {options.epochs} epochs of {training.epochs}, in batches "
        f"of {options.batch_size}."
    )


def _files(task: Task) -> dict[str, str]:
    """The picture files of a task with the start of the digest of each."""
    return {str(task.locate(row)[0]): digest[:PICTURE_DIGEST_LENGTH] for row, digest in enumerate(task.digests, 1)}


def _identity(task: Task, recipe: NetworkRecipe) -> str:
    """What must be the same for a checkpoint to be of this run; where the rows are kept changes nothing in it."""
    entries = recipe.as_entries()
    entries["data"] = {name: value for name, value in entries["data"].items() if not name.endswith("in_memory")}
    parts = {"recipe": entries, "data": task.fingerprint, "polylogit": version("polylogit")}
    return json.dumps(parts, sort_keys=True)
