"""Fine-tuning of a pretrained network: a few epochs of small steps, from the exact solution on its features.

See also: `linear_fit.py`, the fit on the features of the network as it is, which comes before.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, replace

from jaxtyping import Float, Int
from torch import Tensor, nn

from polylogit.calibration.temperature import losses_after_temperature
from polylogit.classes import balanced_class_weight
from polylogit.data.pictures.augmentation import Augmentation
from polylogit.data.pictures.pretrained.backbone import Backbone, FeatureNetwork
from polylogit.data.pictures.pretrained.encoder import BackboneEncoder
from polylogit.data.pictures.pretrained.feature_cache import FeatureCache
from polylogit.data.pictures.pretrained.features import features_of_pictures
from polylogit.errors import RecipeError
from polylogit.evaluation.metrics import row_losses
from polylogit.evaluation.rows import ScoredRows
from polylogit.fitting.callbacks import features_reporter
from polylogit.fitting.devices import choose_device
from polylogit.fitting.forward import network_logits
from polylogit.fitting.history import FitResult
from polylogit.fitting.loop import fit_network
from polylogit.fitting.options import TrainingOptions
from polylogit.fitting.out_of_fold import HeldOutLogits
from polylogit.network_sections import usual_batch_size
from polylogit.networks import LinearNetwork
from polylogit.plural import counted
from polylogit.recipes import PretrainedRecipe
from polylogit.run.fitted_model import FittedModel, TrainingPlace
from polylogit.run.held_out_rows import calibration_of
from polylogit.run.labelled_rows import LabelledRows
from polylogit.run.linear_fit import fit_linear
from polylogit.run.task import Task
from polylogit.run.validation_split import fitted_and_validation_rows
from polylogit.run.worker_processes import first_process

__all__ = ["fine_tuned_copy", "fine_tuning_batch", "with_fine_tuning"]

BATCH = 32
"""Pictures in a step; fewer where there are few."""

PATIENCE = 3
"""Epochs without a lower validation loss before the fine-tuning stops."""

IN_WORDS = {"last": "the last block", "all": "the whole network"}


def with_fine_tuning(task: Task, recipe: PretrainedRecipe, frozen: FittedModel, place: TrainingPlace) -> FittedModel:
    """Fine-tune the network behind the features of a fitted model, and keep the result if it is better.

    A part of the training pictures is kept for validation. Softmax regression is fitted to the features of the others;
    from there it is trained on together with the chosen part of the network, on pictures that are mirrored at random.
    Normalisations keep the statistics of the pretraining, and the epoch of the lowest validation loss counts. The
    result is kept if its log loss on the validation pictures is lower than that of the start by more than a standard
    error of the difference; it is then calibrated on these pictures.

    Args:
        task: Features and pictures.
        recipe: What is fine-tuned, how long and how fast, with a number for C.
        frozen: The model fitted to the features of the network as it is.
        place: Device, history and callbacks.

    Returns:
        The fine-tuned model, with its task; or `frozen`. Its message says which, and why.

    Raises:
        RecipeError: The pictures are too few to keep some for validation, or the memory does not suffice.
        DivergenceError: The loss was NaN or infinite before one epoch was whole.

    Source: the last layer before the others: Kumar, Raghunathan, Jones, Ma and Liang (2022), "Fine-tuning can distort
        pretrained features and underperform out-of-distribution", section 3.4.
    """
    encoder, pictures = task.encoder, task.pictures
    if not isinstance(encoder, BackboneEncoder) or pictures is None:
        raise TypeError("expected pictures, and the features of a pretrained network")
    fitted, held_out = fitted_and_validation_rows(task, recipe)
    if not len(held_out):
        raise RecipeError(
            "training.finetune: there are too few training pictures to keep some for validation, got "
            f'{counted(len(fitted), "picture")}. Set it to "none".'
        )
    start = _linear_network(task, recipe, fitted)
    features, head = fine_tuned_copy(encoder.backbone, recipe.training.finetune), deepcopy(start)
    network = nn.Sequential(features, head).eval()
    network.training = True  # but none of its modules: see `fit_network`
    shown = replace(task.rows, inputs=pictures)
    fit = _fit(
        recipe,
        network,
        shown.take(fitted),
        shown.take(held_out),
        classes=len(task.class_names),
        prepare=encoder.normalise,
        place=place,
    )
    tried = replace(frozen, history=tuple(asdict(record) for record in fit.history))
    if fit.asked_to_stop:
        message = (
            f"{frozen.message} The fine-tuning was interrupted after {counted(fit.epochs, 'epoch')}, so that the "
            "network stays as it was."
        )
        return replace(tried, message=message, whole=False, interrupted=True)
    network.to("cpu")
    part = IN_WORDS[recipe.training.finetune]
    tuned = encoder.with_network(features.network, f"{part} fine-tuned")
    inputs = features_of_pictures(tuned, pictures, task.digests, FeatureCache(None), features_reporter(place.callbacks))
    method, rows = recipe.calibration.method, task.rows.take(held_out)
    before, after = network_logits(start, rows.inputs), network_logits(head, inputs[held_out])
    better, sentence = _compared(rows, before, after, calibrated=method != "none")
    if not better:
        return replace(tried, message=f"{frozen.message} {part.capitalize()} stays as it was: {sentence}")
    calibration = scored = None
    if method != "none":
        scored = HeldOutLogits(held_out, after, sizes=(len(held_out),))
        calibration = calibration_of(task.rows, held_out, after, method)
    return replace(
        tried,
        network=head,
        calibration=calibration,
        held_out=scored,
        message=f"{frozen.message} Then {part} was fine-tuned: {sentence} {fit.message}",
        task=replace(task, encoder=tuned, rows=replace(task.rows, inputs=inputs)),
    )


def fine_tuned_copy(backbone: Backbone, part: str) -> FeatureNetwork:
    """A copy of a pretrained network of which a part has parameters that can be trained.

    Args:
        backbone: The network; it stays as it is.
        part: "last" for its last block, "all" for the whole.

    Returns:
        The copy.
    """
    features = deepcopy(backbone.module)
    for name, parameter in features.network.named_parameters():
        parameter.requires_grad_(part == "all" or name.startswith(backbone.spec.last_block))
    return features


def fine_tuning_batch(pictures: int) -> int:
    """Pictures in a step of fine-tuning, from those that it is fitted on."""
    return min(BATCH, usual_batch_size(pictures))


def _linear_network(task: Task, recipe: PretrainedRecipe, fitted: Int[Tensor, " A"]) -> LinearNetwork:
    fit = fit_linear(task.rows, fitted, len(task.class_names), recipe)
    return LinearNetwork.with_weights(fit.weight, fit.bias)


def _fit(
    recipe: PretrainedRecipe,
    network: nn.Module,
    rows: LabelledRows,
    validation: LabelledRows,
    *,
    classes: int,
    prepare: Callable[[Tensor], Tensor],
    place: TrainingPlace,
) -> FitResult:
    """Train the network in place on pictures, down to the lowest loss of the validation pictures."""
    training, of_class = recipe.training, None
    if training.class_weight == "balanced":
        of_class = balanced_class_weight(rows.targets, classes, rows.weights).float()
    first = first_process()
    return (fit_network if first is None else first.fit_network)(
        network,
        rows.inputs,
        rows.targets,
        options=TrainingOptions(
            epochs=training.finetune_epochs,
            batch_size=fine_tuning_batch(len(rows)),
            learning_rate=training.finetune_learning_rate,
            schedule="one-cycle",
            weight_decay=0.0,
            label_smoothing=0.0,
            patience=PATIENCE,
            seed=recipe.seed,
        ),
        validation=(validation.inputs, validation.targets),
        class_weight=of_class,
        prepare=prepare,
        augment=Augmentation(flip=True),
        device=choose_device(place.device),
        callbacks=place.reported_to,
        checkpoint=None,
        check_misuse=False,  # the networks and their loss are polylogit's own
    )


def _compared(
    rows: LabelledRows, before: Float[Tensor, "M K"], after: Float[Tensor, "M K"], *, calibrated: bool
) -> tuple[bool, str]:
    """Whether held-out rows have a lower log loss after the fine-tuning, by more than a standard error; in words."""
    scored = ScoredRows.check(before, rows.targets, rows.weights)
    losses = losses_after_temperature if calibrated else row_losses
    at_start, at_end = losses(scored), losses(scored.with_logits(after.double()))
    gain, error = scored.mean_and_error(at_start - at_end)
    return gain > error, (
        f"log loss of {counted(len(rows), 'validation picture')} {scored.mean(at_end):.4f} after the fine-tuning, "
        f"{scored.mean(at_start):.4f} before (standard error of the difference {error:.4f})."
    )
