"""The choice of the kind of model of a table: candidates compared on the same folds of the training rows.

See also: `polylogit.run.penalty_choice`, the choice of C within linear and additive models.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from polylogit.data.split import Split, sampled_rows
from polylogit.evaluation.metrics import log_loss, row_losses
from polylogit.evaluation.rows import ScoredRows
from polylogit.fitting.callbacks import TrainingCallback, refit_reporter
from polylogit.recipes import AutoRecipe, Recipe, recipe_from_entries
from polylogit.run.fold_scores import fold_scores, with_encoder_of
from polylogit.run.task import Task

__all__ = ["Contestant", "ModelChoice", "choose_model"]

ROWS_COMPARED = 10_000
"""With more training rows the candidates are compared on a sample of so many, which bounds the time."""

FOLDS = 5


@dataclass(frozen=True)
class Contestant:
    """One candidate.

    Attributes:
        kind: Its kind of model.
        log_loss: Mean log loss, in nats, of rows that its models were not fitted on, after calibration.
        accuracy: Their accuracy.
        behind: By how much the log loss is above the lowest of the candidates.
        standard_error: Of `behind`, from the differences row by row; 0 for the best.
        seconds: Wall time of its fits.
    """

    kind: str
    log_loss: float
    accuracy: float
    behind: float
    standard_error: float
    seconds: float


@dataclass(frozen=True)
class ModelChoice:
    """The chosen kind of model and the comparison behind it.

    Attributes:
        kind: The chosen kind: the simplest within one standard error of the lowest log loss.
        contestants: Each candidate, from the simplest to the most complex.
        rows: Rows that were scored.
        folds: Number of folds.
    """

    kind: str
    contestants: tuple[Contestant, ...]
    rows: int
    folds: int

    @property
    def in_words(self) -> str:
        """The choice as a sentence."""
        return (
            f"{self.kind}: the simplest of {len(self.contestants)} kinds of model within a standard error of the "
            f"lowest log loss, in {self.folds} folds of {self.rows:,} training rows. The winner's log loss there is a "
            "little optimistic, because it was chosen by it; the test rows had no part in the choice."
        )

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "kind": self.kind,
            "rows": self.rows,
            "folds": self.folds,
            "candidates": [asdict(each) | {"seconds": round(each.seconds, 3)} for each in self.contestants],
        }


def choose_model(
    task: Task, recipe: AutoRecipe, callbacks: Sequence[TrainingCallback] = ()
) -> tuple[Recipe, Task, ModelChoice | None]:
    """Compare the candidates on folds of the training rows, and encode the task for the best.

    Only training rows are looked at; groups and copies of rows stay in one fold, weights count. The same seed gives the
    same choice. The log loss is that of calibrated logits, as for a user of the model.

    Args:
        task: The rows, encoded in any way.
        recipe: Names the candidates.
        callbacks: `refit_done` is called after each fit.

    Returns:
        The recipe of the chosen kind, with the task encoded for it, and the comparison; None where no class has two
        rows and the first candidate is taken.

    Source: the rule of one standard error is that of Breiman, Friedman, Olshen and Stone (1984), "Classification and
        regression trees", section 3.4.3.
    """
    compared = _sample(task, recipe)
    entries = recipe.as_entries()
    recipes = [_candidate(entries, kind) for kind in recipe.model.candidates]
    scored: list[tuple[ScoredRows, float]] = []
    for candidate in recipes:
        started = time.perf_counter()
        encoded = with_encoder_of(candidate, compared, compared.split.train)
        found = fold_scores(
            encoded,
            candidate,
            folds=FOLDS,
            seed=recipe.seed,
            on_fit=refit_reporter(f"choice of the model, {candidate.model.kind}", callbacks),
        )
        if found is None:
            return recipes[0], with_encoder_of(recipes[0], task, task.split.train), None
        order = found.rows.argsort()
        rows = found.rows[order]
        in_order = ScoredRows.check(found.logits[order], compared.rows.targets[rows], compared.weights_of(rows))
        scored.append((in_order, time.perf_counter() - started))
    choice = _choice(recipes, scored)
    chosen = next(candidate for candidate in recipes if candidate.model.kind == choice.kind)
    return chosen, with_encoder_of(chosen, task, task.split.train), choice


def _choice(recipes: Sequence[Recipe], scored: Sequence[tuple[ScoredRows, float]]) -> ModelChoice:
    best = min((rows for rows, _ in scored), key=log_loss)
    contestants = []
    for candidate, (rows, seconds) in zip(recipes, scored, strict=True):
        behind, error = rows.mean_and_error(row_losses(rows) - row_losses(best))
        contestants.append(
            Contestant(candidate.model.kind, log_loss(rows), rows.mean(rows.hits), behind, error, seconds)
        )
    kind = next(each.kind for each in contestants if each.behind <= each.standard_error)
    return ModelChoice(kind, tuple(contestants), rows=len(best.targets), folds=FOLDS)


def _candidate(entries: dict[str, Any], kind: str) -> Recipe:
    """The recipe of a candidate: the options that all kinds share, and the defaults of its own."""
    shared = {name: section for name, section in entries.items() if name not in {"model", "training"}}
    return recipe_from_entries({**shared, "model": {"kind": kind}, "training": entries["training"]})


def _sample(task: Task, recipe: AutoRecipe) -> Task:
    """The training rows, or some of them, as a task of their own."""
    train = task.split.train
    train = train[sampled_rows(task.rows.targets[train], ROWS_COMPARED, recipe.seed)]
    return replace(
        task,
        rows=task.rows.take(train),
        cells=None if task.cells is None else task.cells[train.numpy()],
        split=Split(train=torch.arange(len(train)), test=train[:0]),
        validation=None,
        conformal_rows=None,
    )
