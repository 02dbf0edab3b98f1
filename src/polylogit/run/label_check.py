"""The check of labels: rows whose class is probably wrong, found by models that were not fitted on them.

See also: `polylogit.label_errors`, the method.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polylogit.data.pictures.encoder import PictureEncoder
from polylogit.errors import DataError
from polylogit.fitting.callbacks import TrainingCallback, refit_reporter
from polylogit.fitting.devices import DeviceName
from polylogit.fitting.out_of_fold import FOLDS
from polylogit.label_errors import find_label_errors
from polylogit.recipes import Recipe, SolverRecipe
from polylogit.report.label_check import LabelCheck, SuspectLabel
from polylogit.run.fitted_model import TrainingPlace
from polylogit.run.fold_scores import fold_scores
from polylogit.run.task import Task
from polylogit.run.task_reading import read_task

__all__ = ["NETWORK_FOLDS", "check_labels", "label_check_of"]

NETWORK_FOLDS = 5
"""Folds for networks, whose fits take long; linear models have `FOLDS`."""


def check_labels(
    data: str,
    recipe: Recipe,
    *,
    data_root: Path | None = None,
    device: DeviceName = "auto",
    callbacks: Sequence[TrainingCallback] = (),
) -> LabelCheck:
    """Find the rows whose class is probably wrong, by training out of fold.

    Training rows and test rows are split into folds together. Each fold is scored by a model of the recipe that was
    fitted on the other folds.

    Args:
        data: DATA as given on the command line: a table or labelled pictures.
        recipe: Which model is fitted, and how the data are read.
        data_root: Directory for downloaded data sets.
        device: Where networks are fitted.
        callbacks: Training callbacks; `refit_done` is called with the purpose "label check" after each fold.

    Returns:
        The suspects. The only row of a class is not examined.

    Raises:
        DataError: The data are at fault, or no class has two rows.
        RecipeError: The recipe does not fit the data.
        DivergenceError: The loss of a network was NaN or infinite.

    Example:
        >>> from polylogit.recipes import recipe_from_entries
        >>> check = check_labels("zoo", recipe_from_entries({}))
        >>> check.examined, check.overlapping
        (101, False)
    """
    recipe, task = read_task(data, recipe, data_root, callbacks=callbacks)
    found = fold_scores(
        task,
        recipe,
        folds=FOLDS if isinstance(recipe, SolverRecipe) else NETWORK_FOLDS,
        seed=recipe.seed,
        calibrated=False,
        place=TrainingPlace(device=device, callbacks=tuple(callbacks)),
        on_fit=refit_reporter("label check", callbacks),
    )
    if found is None:
        raise DataError(
            f"{task.name}: no class has two rows, so that no model can be fitted without one of them. Give more rows."
        )
    return label_check_of(task, found.rows, found.logits)


def label_check_of(task: Task, rows: Int[Tensor, " M"], logits: Float[Tensor, "M K"]) -> LabelCheck:
    """Check the labels of some rows of a task.

    Args:
        task: The task.
        rows: The rows examined, each once, in any order.
        logits: Logits of them, not calibrated, from models that were not fitted on them.

    Returns:
        The suspects with their numbers and names.
    """
    order = rows.argsort()
    rows, logits = rows[order], logits[order]
    found = find_label_errors(logits, task.rows.targets[rows], sample_weight=task.weights_of(rows))
    numbers = rows[torch.tensor([suspect.row for suspect in found.suspects], dtype=torch.int64)]
    suspects = []
    for suspect, number in zip(found.suspects, numbers.tolist(), strict=True):
        file, row = task.locate(number + 1)
        suspects.append(
            SuspectLabel(
                row=row,
                file=file,
                given=task.class_names[suspect.given],
                suggested=task.class_names[suspect.suggested],
                given_probability=suspect.given_probability,
                suggested_probability=suspect.suggested_probability,
                error_probability=suspect.error_probability,
            )
        )
    return LabelCheck(
        data=task.name,
        noun="picture" if isinstance(task.encoder, PictureEncoder) else "row",
        rows=len(task.rows.known),
        examined=found.rows,
        accuracy=found.accuracy,
        overlapping=found.overlapping,
        suspects=tuple(suspects),
        raw=task.raw(numbers),
    )
