"""The memory that a fit on pictures is expected to take, stated before it.

Counted are the values that layers give for the pictures of a batch, what the backward pass keeps of them, weights with
gradients and moments, and features. See also: `polylogit.fitting.memory`, which refuses a batch that does not fit.
"""

import math
from copy import deepcopy

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polylogit.data.pictures.pretrained.backbone import PICTURES_AT_ONCE
from polylogit.data.pictures.pretrained.encoder import BackboneEncoder
from polylogit.data.pictures.pretrained.features import BLOCK
from polylogit.errors import RecipeError
from polylogit.fitting.devices import uses_bfloat16
from polylogit.fitting.forward import ROWS_AT_ONCE
from polylogit.fitting.memory import keeps_freed_memory, values_in_a_row, weights_memory
from polylogit.fitting.options import TrainingOptions
from polylogit.networks import KINDS
from polylogit.recipes import MlpRecipe, NetworkRecipe, Recipe
from polylogit.system.available_memory import available_memory, in_words

__all__ = ["check_form_fits_memory", "memory_note", "memory_of_features", "memory_of_fine_tuning", "memory_of_network"]

LEAST_NOTED = 256 * 2**20
"""Of less memory nothing is said where it is free."""

LAYERS_AT_ONCE = 3
"""While a layer is computed there are its input, its output and a copy in the order that its kernel takes."""

CPU = torch.device("cpu")

FLOAT = 4
"""Bytes of a float32 value."""


def memory_note(needed: int, remedy: str, device: torch.device = CPU) -> str:
    """What a reader must know of the memory that a step takes, in a sentence or two.

    Args:
        needed: Bytes beside those that are taken already.
        remedy: What takes less, in an imperative sentence.
        device: Where.

    Returns:
        The note; empty where little is needed and it is free.

    Example:
        >>> memory_note(2**20, "Take smaller pictures.")
        ''
        >>> memory_note(2**60, "Take smaller pictures.").endswith("That is more than is free. Take smaller pictures.")
        True
    """
    free = available_memory(device)
    fits = free is None or needed <= free
    if fits and needed < LEAST_NOTED:
        return ""
    beside = "" if free is None else f", {in_words(free)} are free"
    note = f"the fit is expected to take up to {in_words(needed)} of memory more than is taken now{beside}."
    return note if fits else f"{note} That is more than is free. {remedy}"


def check_form_fits_memory(recipe: Recipe, form: tuple[int, int, int], pictures: int) -> None:
    """Refuse pictures of a size with which no fit of this kind can fit into memory, before one is decoded.

    Counted is only what is there at once for certain: weights, gradients and the values of one layer for a block of
    pictures, or of a linear model the features of all pictures.

    Args:
        recipe: The model.
        form: Channels, height and width.
        pictures: How many there are.

    Raises:
        RecipeError: More memory is needed than is free.
    """
    channels, height, width = form
    needed, what = FLOAT * pictures * math.prod(form), f"a table of the pixels of {pictures:,} pictures"
    if isinstance(recipe, NetworkRecipe):
        options = recipe.model.model_dump(mode="json", exclude={"kind", "members", "bins"})
        size = {"features": math.prod(form)} if isinstance(recipe, MlpRecipe) else {}
        size = size or {"channels": channels, "height": height, "width": width}
        with torch.device("meta"):
            network = KINDS[recipe.model.kind](**size, classes=2, **options).eval()
            largest = _largest_layer(network, torch.zeros(1, *form))
        rows = min(ROWS_AT_ONCE, pictures)
        weights = sum(parameter.numel() for parameter in network.parameters())
        needed = FLOAT * (rows * max(largest, math.prod(form)) + 2 * weights)
        what = f"a network of kind {recipe.model.kind} (weights, gradients and a layer for {rows:,} pictures)"
    free = available_memory(CPU)
    if free is not None and needed > free:
        raise RecipeError(
            f"data.picture_size: with {height} x {width} pixels {what} takes {in_words(needed)} of memory, and "
            f"{in_words(free)} are free. Take a smaller data.picture_size."
        )


def memory_of_features(encoder: BackboneEncoder, pictures: int) -> int:
    """Bytes that the features of pictures take while they are computed.

    Args:
        encoder: The network and the size of the pictures.
        pictures: How many there are.

    Returns:
        The bytes.
    """
    values = math.prod(encoder.input_shape)
    largest = _largest_layer(encoder.backbone.module, torch.zeros(1, *encoder.input_shape))
    block = min(BLOCK, pictures) * values * (1 + FLOAT)
    batch = min(PICTURES_AT_ONCE, pictures) * LAYERS_AT_ONCE * largest * FLOAT
    return block + batch + pictures * encoder.features * FLOAT


def memory_of_fine_tuning(network: nn.Module, example: Float[Tensor, "1 C H W"], batch: int) -> int:
    """Bytes that steps on the parameters of a network that require gradients take.

    Args:
        network: The network.
        example: A normalised picture.
        batch: Pictures in a step.

    Returns:
        The bytes.
    """
    options = TrainingOptions(optimizer="adamw", patience=1)
    kept = _kept_for_backward(network, example, options, CPU)
    return weights_memory(network, options).total + batch * (
        kept + LAYERS_AT_ONCE * FLOAT * _largest_layer(network, example)
    )


def memory_of_network(
    network: nn.Module,
    example: Float[Tensor, "1 C H W"],
    pictures: int,
    options: TrainingOptions,
    device: torch.device = CPU,
) -> int:
    """Bytes that the fit of a network takes, or its evaluation on all pictures, whichever is more.

    Args:
        network: The network.
        example: A normalised picture.
        pictures: How many are fitted or evaluated.
        options: How the network is fitted.
        device: Where.

    Returns:
        The bytes.
    """
    network = deepcopy(network).eval()  # in training, normalisations would take the example into their statistics
    rows = pictures if options.batch_size == "all" else min(options.batch_size, pictures)
    batch = -(-rows // options.accumulation)
    step = batch * (_kept_for_backward(network, example, options, device) + example.nbytes)
    values, bfloat16 = _values(network, example), uses_bfloat16(options.precision, device, network, pictures=True)
    if keeps_freed_memory(network, values, rows, options, device, bfloat16=bfloat16):
        step = step * 3 // 2  # gaps between the blocks that are kept
    block = min(ROWS_AT_ONCE, pictures) * (LAYERS_AT_ONCE * max(values) * FLOAT + example.nbytes)
    weights = weights_memory(network, options)
    return weights.total - weights.weights + max(step, block)


def _largest_layer(network: nn.Module, example: Float[Tensor, "1 C H W"]) -> int:
    """Values of the layer that gives the most of them for a picture."""
    return max(_values(network, example))


def _values(network: nn.Module, example: Float[Tensor, "1 C H W"]) -> list[int]:
    with torch.inference_mode(), values_in_a_row(network) as counts:
        network(example)
    return counts


def _kept_for_backward(
    network: nn.Module, example: Float[Tensor, "1 C H W"], options: TrainingOptions, device: torch.device
) -> int:
    """Bytes that autograd keeps of a picture until its backward pass: of two pictures less those of one."""
    bfloat16 = uses_bfloat16(options.precision, device, network, pictures=True)

    def kept(pictures: int) -> int:
        sizes: dict[int, int] = {}
        alive = []

        def keep(tensor: Tensor) -> Tensor:
            alive.append(tensor)  # so that no later one has its address
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        arithmetic = torch.autocast("cpu", torch.bfloat16, enabled=bfloat16)
        with arithmetic, torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            network(example.repeat(pictures, 1, 1, 1))
        return sum(sizes.values())

    return kept(2) - kept(1)
