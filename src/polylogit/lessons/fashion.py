"""Lessons on Fashion-MNIST: a picture and its class, and five networks that tell clothes apart.

Each network is a recipe that comes with the package, so that `polylogit train fashion-mnist --recipe ID` trains the
very same one; here it is also looked at on the way. The numbers stand in `numbers/fashion.toml`. The pictures are read,
or fetched, by `polylogit.data.picture_sources`.
"""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from jaxtyping import Int
from torch import Tensor

from polylogit.data.picture_sources import PictureSource, open_named_pictures
from polylogit.data.pictures import PictureEncoder
from polylogit.errors import RecipeError
from polylogit.fitting.forward import network_logits
from polylogit.fitting.history import EpochRecord
from polylogit.fitting.loop import fit_network
from polylogit.lessons.catalogue import Measurements, Value
from polylogit.problem import picture_problem
from polylogit.recipe import Recipe, read_recipe
from polylogit.training import loop_options, new_network

__all__ = ["MEASURES", "PICTURE", "clothes"]

PICTURE = 301
"""The training picture that the lecture draws."""

EPOCHS_BETWEEN = 5
"""The lecture looks at the rows trained on every so many epochs."""


@cache
def clothes() -> PictureSource:
    """Fashion-MNIST, training pictures first."""
    return open_named_pictures("fashion-mnist")


def a_picture() -> Measurements:
    """What the lecture writes over picture 301."""
    index = int(clothes().targets[PICTURE])
    return {"class index": index, "class name": clothes().class_names[index]}


def network_of(recipe_name: str, epochs: int | None = None) -> Measurements:
    """Train a network by its recipe, and count how often it is right.

    Args:
        recipe_name: A recipe that comes with the package.
        epochs: Fewer than the recipe says; all of them when left out.

    Returns:
        The accuracy on the rows trained on every five epochs, and at the end that on the test rows.
    """
    settings = [] if epochs is None else [f"training.epochs={epochs}"]
    recipe = Recipe.from_entries(read_recipe(Path(recipe_name), settings))
    problem = picture_problem("fashion-mnist", recipe, None)
    if isinstance(recipe, Recipe) or not isinstance(problem.encoder, PictureEncoder):
        raise RecipeError(f"{recipe_name}: expected the recipe of a network for pictures.")
    prepare = problem.encoder.prepare
    train, test = problem.split.train, problem.split.test
    network, _ = new_network(problem, recipe)
    measured: dict[str, Value] = {}

    def accuracy(rows: Int[Tensor, " N"]) -> float:
        predicted = network_logits(network, problem.inputs[rows], prepare=prepare).argmax(dim=1)
        return float((predicted == problem.targets[rows]).double().mean())

    def look(record: EpochRecord) -> None:
        if record.epoch % EPOCHS_BETWEEN == 0:
            measured[f"accuracy on the rows trained on after epoch {record.epoch}"] = accuracy(train)

    fit_network(
        network,
        problem.inputs[train],
        problem.targets[train],
        options=loop_options(recipe, rows=len(train)),
        prepare=prepare,
        on_epoch=look,
    )
    return {**measured, "accuracy on the test rows": accuracy(test)}


NETWORKS = ("mlp-32", "mlp-256", "wide-dropout", "deep", "cnn")

MEASURES: dict[str, Callable[[], Measurements]] = {
    "fashion-mnist-a-picture": a_picture,
    **{f"fashion-mnist-{name}": partial(network_of, f"fashion-mnist-{name}") for name in NETWORKS},
}
"""The lessons of this file by their ids."""
