"""The choice of the kind of model of a table: candidates compared on the same folds of the training rows.

See also: `polylogit.run.penalty_choice`, the choice of C within linear and additive models.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from polylogit.data.split import Split, sampled_rows
from polylogit.evaluation.metrics import log_loss, row_losses
from polylogit.evaluation.rows import ScoredRows
from polylogit.fitting.callbacks import TrainingCallback, refit_reporter
from polylogit.fitting.out_of_fold import HeldOutLogits
from polylogit.recipes import AutoRecipe, Recipe, recipe_from_entries, starting_entries
from polylogit.run.fold_scores import fold_scores, with_encoder_of
from polylogit.run.reference_model import REFERENCE, Reference, reference_scores, why_no_reference
from polylogit.run.selection_bias import behind_the_lowest, log_loss_without_choice, simplest_within_error
from polylogit.run.table_task import most_bins
from polylogit.run.task import Task
from polylogit.system.sparse_rows import SparseRows

__all__ = ["Contestant", "ModelChoice", "choose_model"]

ROWS_COMPARED = 10_000
"""With more training rows the candidates are compared on a sample of so many, which bounds the time."""

LEAST_ROWS, MOST_PRODUCTS = 2000, 100_000_000
"""Where rows x features x classes of the dearest candidate is more, fewer rows are compared, but at least so many; a
candidate that is too dear for them, too, is left out. A count, not a clock, so that the same seed chooses the same."""

MOST_BINNED_COLUMNS = 1000
"""With more columns of numbers or dates an additive model is not compared: finding bins takes a while for each."""

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
        folds: Number of folds; fewer than 5 where few rows can be scored.
        log_loss_without_choice: An estimate for the chosen kind on rows that it was not chosen by.
        left_out: Candidates that were not compared, and why.
        reference: How boosted trees did on the same folds, where the recipe asks for it.
    """

    kind: str
    contestants: tuple[Contestant, ...]
    rows: int
    folds: int
    log_loss_without_choice: float
    left_out: Mapping[str, str] = field(default_factory=dict)
    reference: Reference | None = None

    @property
    def in_words(self) -> str:
        """The choice in sentences."""
        chosen = next(each for each in self.contestants if each.kind == self.kind)
        left_out = "".join(f" {kind} was left out: {reason}." for kind, reason in self.left_out.items())
        reference = "" if self.reference is None else f" {self.reference.in_words}"
        if len(self.contestants) == 1:
            return (
                f"{self.kind}: the only kind of model that was compared, with a log loss of {chosen.log_loss:.4f} in "
                f"{self.folds} folds of {self.rows:,} training rows.{left_out}{reference}"
            )
        return (
            f"{self.kind}: the simplest of {len(self.contestants)} kinds of model within a standard error of the "
            f"lowest log loss, in {self.folds} folds of {self.rows:,} training rows. Its log loss there is "
            f"{chosen.log_loss:.4f}, and {self.log_loss_without_choice:.4f} without the advantage of having been "
            f"chosen by it; the test rows had no part in the choice.{left_out}{reference}"
        )

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "kind": self.kind,
            "rows": self.rows,
            "folds": self.folds,
            "log_loss_without_choice": self.log_loss_without_choice,
            "left_out": dict(self.left_out),
            "candidates": [_as_json(each) for each in self.contestants],
            "reference": None
            if self.reference is None
            else {"kind": REFERENCE, **_as_json(self.reference), "far_ahead": self.reference.far_ahead},
        }


def _as_json(each: Contestant | Reference) -> dict[str, Any]:
    return asdict(each) | {"seconds": round(each.seconds, 3)}


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
    entries = recipe.as_entries()
    recipes = [_candidate(entries, kind) for kind in recipe.model.candidates]
    cost = {each.model.kind: _features(task, each) * len(task.class_names) for each in recipes}
    left_out: dict[str, str] = {
        kind: "the columns have too many features for it to be compared"
        for kind in list(cost)[1:]
        if cost[kind] * _least_rows(kind, task) > MOST_PRODUCTS
    }
    if "linear" in cost and "additive" in cost:
        binned = _binned_columns(task)
        if not binned:
            left_out["additive"] = "without a column of numbers or dates it is the linear model"
        elif binned > MOST_BINNED_COLUMNS:
            left_out["additive"] = f"the table has more than {MOST_BINNED_COLUMNS:,} columns of numbers or dates"
    recipes = [each for each in recipes if each.model.kind not in left_out]
    dearest = max(cost[each.model.kind] for each in recipes)
    compared = _sample(task, max(LEAST_ROWS, min(ROWS_COMPARED, MOST_PRODUCTS // dearest)), recipe)
    scored: list[tuple[ScoredRows, float]] = []
    rows, folds = compared.split.train, FOLDS
    for candidate in recipes:
        started = time.perf_counter()
        encoded = _encoded_for(candidate, compared)
        found = fold_scores(
            encoded,
            candidate,
            folds=FOLDS,
            seed=recipe.seed,
            on_fit=refit_reporter(f"choice of the model, {candidate.model.kind}", callbacks),
        )
        if found is None:
            return recipes[0], _encoded_for(recipes[0], _with_note(task, recipes[0].model.kind)), None
        folds, rows = found.fits, found.rows.sort().values
        scored.append((_in_order(found, compared), time.perf_counter() - started))
    groups = None if compared.rows.groups is None else compared.rows.groups[rows]
    choice = _choice(recipes, scored, groups, recipe.seed)
    chosen = next(number for number, candidate in enumerate(recipes) if candidate.model.kind == choice.kind)
    reference = None
    if recipe.auto.reference:
        reason = why_no_reference(compared)
        if reason is None:
            reference = _reference(compared, recipe, scored[chosen][0], callbacks)
        else:
            left_out[REFERENCE] = reason
    choice = replace(choice, folds=folds, left_out=left_out, reference=reference)
    return recipes[chosen], _encoded_for(recipes[chosen], task), choice


def _choice(
    recipes: Sequence[Recipe],
    scored: Sequence[tuple[ScoredRows, float]],
    groups: Int[Tensor, " M"] | None,
    seed: int,
) -> ModelChoice:
    losses, weights = torch.stack([row_losses(rows) for rows, _ in scored]), scored[0][0].weights
    behind, errors = behind_the_lowest(losses, weights)
    contestants = [
        Contestant(candidate.model.kind, log_loss(rows), rows.mean(rows.hits), above, error, seconds)
        for candidate, (rows, seconds), above, error in zip(
            recipes, scored, behind.tolist(), errors.tolist(), strict=True
        )
    ]
    return ModelChoice(
        kind=recipes[simplest_within_error(losses, weights)].model.kind,
        contestants=tuple(contestants),
        rows=len(weights),
        folds=FOLDS,
        log_loss_without_choice=log_loss_without_choice(losses, weights, groups, seed=seed),
    )


def _in_order(found: HeldOutLogits, task: Task) -> ScoredRows:
    """The held-out rows in the order of their numbers, so that candidates are compared row by row."""
    order = found.rows.argsort()
    rows = found.rows[order]
    return ScoredRows.check(found.logits[order], task.rows.targets[rows], task.weights_of(rows))


def _reference(
    task: Task, recipe: AutoRecipe, chosen: ScoredRows, callbacks: Sequence[TrainingCallback]
) -> Reference | None:
    """Boosted trees on the folds of the candidates, compared with the chosen one."""
    started = time.perf_counter()
    report = refit_reporter(f"reference, {REFERENCE}", callbacks)
    found = reference_scores(task, recipe, folds=FOLDS, on_fit=report)
    if found is None:
        return None
    scored = _in_order(found, task)
    lead, error = scored.mean_and_error(row_losses(chosen) - row_losses(scored))
    seconds = time.perf_counter() - started
    return Reference(log_loss(scored), scored.mean(scored.hits), lead, error, seconds)


def _features(task: Task, recipe: Recipe) -> int:
    """Values in a row as the candidate's encoder gives it: those that are not 0 where the solver takes sparse rows."""
    rows = task.rows.inputs
    values = rows.shape[1]
    if isinstance(rows, SparseRows) and recipe.model.kind != "mlp":  # whose optimizer changes every weight in a step
        values = len(rows.values) // max(len(rows), 1)
    return int(values + _binned_columns(task) * (most_bins(recipe) or 0))


def _binned_columns(task: Task) -> int:
    """Columns of numbers or dates."""
    return sum(column.type in {"number", "date"} for column in getattr(task.encoder, "columns", ()))


def _least_rows(kind: str, task: Task) -> int:
    """How many rows a candidate must be affordable for: a network takes as many steps where there are fewer."""
    return LEAST_ROWS if kind == "mlp" else min(LEAST_ROWS, len(task.split.train))


def _encoded_for(recipe: Recipe, task: Task) -> Task:
    """The task with its rows encoded as a recipe asks, which they are already where it asks for no bins."""
    return task if most_bins(recipe) is None else with_encoder_of(recipe, task, task.split.train)


def _candidate(entries: dict[str, Any], kind: str) -> Recipe:
    """The recipe of a candidate: the options that all kinds share, and the command line's usual ones of its own."""
    shared = {name: section for name, section in entries.items() if name not in {"model", "auto"}}
    start = starting_entries("", {"model": {"kind": kind}}, pictures=False, to_train=True)
    return recipe_from_entries({**start, **shared, "training": {**start.get("training", {}), **entries["training"]}})


def _with_note(task: Task, kind: str) -> Task:
    """The task with a note on why no kinds of model were compared."""
    note = f"kinds of model were not compared, because no class has two training rows to fold; the model is {kind}."
    return replace(task, notes=(*task.notes, note))


def _sample(task: Task, most_rows: int, recipe: AutoRecipe) -> Task:
    """The training rows, or some of them, as a task of their own; the encoder of some is fitted to them."""
    train = task.split.train
    train = train[sampled_rows(task.rows.targets[train], most_rows, recipe.seed)]
    sample = replace(
        task,
        rows=task.rows.take(train),
        cells=None if task.cells is None else task.cells[train.numpy()],
        split=Split(train=torch.arange(len(train)), test=train[:0]),
        validation=None,
        conformal_rows=None,
    )
    if len(train) == len(task.split.train):
        return sample
    return with_encoder_of(recipe, sample, sample.split.train)
