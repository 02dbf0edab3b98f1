"""Lessons on the zoo: 101 animals, 16 features, 7 types.

Owns the order of the types that the documents count in; the table comes with the package. The numbers stand in
`numbers/zoo.toml`.
"""

import polars as pl
import torch
from jaxtyping import Float, Int
from torch import Tensor

from polylogit.classes import class_indices
from polylogit.data.sources import open_source
from polylogit.lessons.catalogue import Measurements
from polylogit.lessons.eight_rows import descend, linear_from_zero
from polylogit.networks import LinearNetwork

__all__ = ["MEASURES", "TYPES", "zoo_rows"]

TYPES = ("mammal", "bird", "reptile", "fish", "amphibian", "insect", "invertebrate")
"""The classes as the documents count them."""

EPOCHS = 1000


def zoo_rows() -> tuple[Float[Tensor, "N D"], Int[Tensor, " N"]]:
    """The features as they stand in the table, and the types.

    Example:
        >>> inputs, targets = zoo_rows()
        >>> inputs.shape, targets.bincount().tolist()
        (torch.Size([101, 16]), [41, 20, 5, 13, 4, 8, 10])
    """
    source = open_source("zoo")
    features = source.frame.drop("type").select(pl.all().cast(pl.Float32))
    return torch.from_numpy(features.to_numpy(writable=True)), class_indices(source.frame["type"].to_list(), TYPES)


def cross_entropy() -> Measurements:
    """From zeros all seven types are alike, so the first loss is log 7."""
    inputs, targets = zoo_rows()
    losses = descend(linear_from_zero(16, 7), inputs, targets, epochs=EPOCHS)
    return {
        "shape of the features": list(inputs.shape),
        "shape of the classes": list(targets.shape),
        "first five rows": inputs[:5].tolist(),
        "first five classes": targets[:5].tolist(),
        "loss at epoch 0": losses[0],
        "epochs whose loss is no lower than a hundred epochs before": sum(
            losses[epoch] >= losses[epoch - 100] for epoch in range(100, EPOCHS + 1, 100)
        ),
    }


def module() -> Measurements:
    """A linear layer drawn from seed 1."""
    inputs, targets = zoo_rows()
    torch.manual_seed(1)
    losses = descend(LinearNetwork(features=16, classes=7), inputs, targets, epochs=EPOCHS)
    return {f"loss at epoch {epoch}": losses[epoch] for epoch in range(0, EPOCHS + 1, 100)}


MEASURES = {"zoo-cross-entropy": cross_entropy, "zoo-module": module}
"""The lessons of this file by their ids."""
