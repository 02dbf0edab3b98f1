"""The classification task of pictures whose features a pretrained network gives: each computed once, or cached.

See also: `polylogit.run.picture_task`, whose rows are pixels.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from polylogit.data.pictures.pretrained.backbone import Backbone
from polylogit.data.pictures.pretrained.encoder import BackboneEncoder
from polylogit.data.pictures.pretrained.feature_cache import FeatureCache, default_cache_file
from polylogit.data.pictures.pretrained.features import features_of_pictures
from polylogit.data.pictures.pretrained.weights import check_installed, find_weights
from polylogit.data.pictures.sources import open_pictures
from polylogit.errors import RecipeError
from polylogit.fitting.callbacks import TrainingCallback, features_reporter
from polylogit.recipes import PretrainedRecipe
from polylogit.recipes.data_kinds import check_options_apply, data_kind
from polylogit.run.fine_tuning import fine_tuned_copy, fine_tuning_batch
from polylogit.run.picture_memory import memory_note, memory_of_features, memory_of_fine_tuning
from polylogit.run.picture_task import picture_labels, picture_reading, task_of_pictures
from polylogit.run.task import Task

__all__ = ["pretrained_task"]


def pretrained_task(
    data: str,
    recipe: PretrainedRecipe,
    *,
    allow_download: bool = False,
    callbacks: Sequence[TrainingCallback] = (),
) -> Task:
    """The task of labelled picture files, with the features of a pretrained network as rows.

    Args:
        data: DATA as given on the command line: folders of picture files, or a table of their names.
        recipe: The network, and how the files are read and split.
        allow_download: Whether the weights of the network may be downloaded.
        callbacks: Training callbacks; `features_done` is called as the features are computed.

    Returns:
        The task.

    Raises:
        DataError: The pictures or the file of weights are at fault.
        MissingExtraError: The packages of polylogit[pretrained] are not installed.
        RecipeError: The recipe does not fit the data, or the weights would have to be downloaded.
    """
    wanted, model = recipe.data, recipe.model
    check_options_apply(recipe, data_kind(data, wanted.path), data)
    if wanted.picture_values != "standardised":
        raise RecipeError(
            f"data.picture_values: {wanted.picture_values} does not apply to a pretrained network, which has a "
            "normalisation of its own. Leave it out."
        )
    if recipe.training.finetune != "none":
        _check_fine_tuning(recipe)
    weights = find_weights(
        model.backbone, None if model.weights is None else Path(model.weights), allow_download=allow_download
    )
    if not model.embed_weights:
        check_installed(model.backbone, weights)
    encoder = BackboneEncoder(
        Backbone.with_weights(model.backbone, weights, mirror=model.mirror),
        wanted.picture_size,
        wanted.picture_background,
        embedded=model.embed_weights,
    )
    # Features are computed block by block, and where they are cached no picture is read.
    in_memory = "never" if wanted.pictures_in_memory == "auto" else wanted.pictures_in_memory
    reading = replace(picture_reading(recipe), form=encoder.input_shape, in_memory=in_memory)
    source = open_pictures(data, reading=reading)
    labels = picture_labels(source, recipe)
    note = _note_on_memory(encoder, len(source.digests), recipe)
    if note:
        for callback in callbacks:
            callback.noted(note)
    cache = FeatureCache(default_cache_file())
    features = features_of_pictures(encoder, source.pixels, source.digests, cache, features_reporter(callbacks))
    task = task_of_pictures(source, labels, encoder=encoder, inputs=features)
    return replace(task, notes=(*task.notes, note)) if note else task


def _note_on_memory(encoder: BackboneEncoder, pictures: int, recipe: PretrainedRecipe) -> str:
    """What a reader must know of the memory that features and fine-tuning take; empty where it is little."""
    needed, remedy = memory_of_features(encoder, pictures), "Take a smaller data.picture_size or model.backbone."
    if recipe.training.finetune != "none":
        network = fine_tuned_copy(encoder.backbone, recipe.training.finetune)
        example = encoder.normalise(torch.zeros(1, *encoder.input_shape, dtype=torch.uint8))
        needed += memory_of_fine_tuning(network, example, fine_tuning_batch(pictures))
        remedy = 'Take a smaller data.picture_size, or training.finetune = "last" or "none".'
    return memory_note(needed, remedy)


def _check_fine_tuning(recipe: PretrainedRecipe) -> None:
    """Refuse what does not go with a network that is fine-tuned, before its features are computed."""
    if not recipe.model.embed_weights:
        raise RecipeError(
            "training.finetune: changed weights are in no installed package, and model.embed_weights = false leaves "
            "them out of the model file. Leave one of the two out."
        )
    if recipe.cross_validation.folds:
        raise RecipeError(
            f"cross_validation.folds: {recipe.cross_validation.folds}, but a network that is fine-tuned is not "
            "cross-validated. Leave cross_validation.folds or training.finetune out."
        )
