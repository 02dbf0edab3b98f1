"""Training lessons: a shipped recipe and its data become a task, a network and its losses.

`polylogit train DATA --recipe ID` trains the same network on the same rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor, nn

from polylogit.data.pictures.encoder import PictureEncoder
from polylogit.data.pictures.names import stands_for_pictures
from polylogit.data.pictures.stored import blocks_of_rows
from polylogit.errors import RecipeError
from polylogit.fitting.forward import network_logits, prepare_batch
from polylogit.fitting.history import EpochRecord
from polylogit.fitting.loop import fit_network
from polylogit.lessons.catalogue import choose_lessons
from polylogit.recipes import NetworkRecipe, read_recipe, recipe_from_entries
from polylogit.run.network_fit import loop_options, new_network
from polylogit.run.picture_task import picture_task
from polylogit.run.table_task import table_task
from polylogit.run.task import Task

__all__ = ["TrainingLesson"]


@dataclass(frozen=True)
class TrainingLesson:
    """A training run that a document shows.

    Args:
        recipe: Everything that the run depends on, besides the data.
        task: The data, encoded and split by the recipe.

    Example:
        >>> lesson = TrainingLesson.named("eight-rows-cross-entropy", epochs=3)
        >>> [round(loss, 6) for loss in lesson.fit(lesson.new_network())]
        [1.098612, 1.032775, 0.985576]
    """

    recipe: NetworkRecipe
    task: Task

    @classmethod
    def named(cls, name: str, epochs: int | None = None) -> "TrainingLesson":
        """The training lesson of this id.

        Args:
            name: The id, which is also the name of its recipe.
            epochs: Overrides the number in the recipe.

        Raises:
            DataError: The data are missing and cannot be downloaded.
            RecipeError: There is no such lesson, or it is no training run.
        """
        (lesson,) = choose_lessons([name])
        if not lesson.data:
            raise RecipeError(f"{name}: the lesson is no training run, so it has no recipe.")
        settings = [] if epochs is None else [f"training.epochs={epochs}"]
        recipe = recipe_from_entries(read_recipe(Path(name), settings))
        if stands_for_pictures(lesson.data):
            task = picture_task(lesson.data, recipe, None)
        else:
            recipe, task = table_task(lesson.data, recipe)
        if not isinstance(recipe, NetworkRecipe):
            raise RecipeError(f"{name}: expected the recipe of a network that is fitted step by step.")
        return cls(recipe, task)

    @property
    def inputs(self) -> Num[Tensor, "A ..."]:
        """The training rows, prepared for the network."""
        train = self.task.split.train
        return torch.cat(
            [
                prepare_batch(block, self._prepare)
                for block in blocks_of_rows(self.task.rows.inputs[train], len(train))
                if isinstance(block, Tensor)  # no lesson has text
            ]
        )

    @property
    def targets(self) -> Int[Tensor, " A"]:
        """The classes of the training rows."""
        return self.task.rows.targets[self.task.split.train]

    def new_network(self) -> nn.Module:
        """The network before its first step, drawn from the recipe's seed."""
        return new_network(self.task, self.recipe)[0]

    def fit(self, network: nn.Module, on_epoch: Callable[[EpochRecord], None] | None = None) -> list[float]:
        """Fit a network as the recipe says.

        Args:
            network: The recipe's network, or another for the same inputs; its weights are changed in place.
            on_epoch: Called after each epoch.

        Returns:
            The loss of each epoch: where an epoch is one step, that before the step.
        """
        train = self.task.split.train
        fit = fit_network(
            network,
            self.task.rows.inputs[train],
            self.targets,
            options=loop_options(self.recipe, rows=len(train)),
            prepare=self._prepare,
            on_epoch=on_epoch,
            check_misuse=False,
        )
        return [record.train_loss for record in fit.history]

    def accuracy(self, network: nn.Module, rows: Int[Tensor, " N"]) -> float:
        """The accuracy of a network on these rows of the task."""
        return float((self.logits(network, rows).argmax(dim=1) == self.task.rows.targets[rows]).double().mean())

    def logits(self, network: nn.Module, rows: Int[Tensor, " N"]) -> Float[Tensor, "N K"]:
        """The logits of a network for these rows of the task, in evaluation mode."""
        return network_logits(network, self.task.rows.inputs[rows], prepare=self._prepare)

    @property
    def _prepare(self) -> Callable[[Tensor], Tensor] | None:
        encoder = self.task.encoder
        return encoder.prepare if isinstance(encoder, PictureEncoder) else None
