"""Repeated cross-validation of a recipe on a table: metrics on every row instead of a small test set.

The classifier that a run saves comes from the run's own fit, not from one of the folds.
"""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from polylogit.errors import RecipeError
from polylogit.evaluation import Summary
from polylogit.evaluation.metrics import accuracy_interval
from polylogit.evaluation.rows import ScoredRows
from polylogit.evaluation.summary import summarise
from polylogit.fitting.callbacks import TrainingCallback, refit_reporter
from polylogit.recipes import MlpRecipe, PretrainedRecipe, Recipe, SolverRecipe
from polylogit.run.fold_scores import fold_scores
from polylogit.run.labelled_rows import LabelledRows
from polylogit.run.task import Task

__all__ = ["FEW_ROWS", "USUAL_FOLDS", "CrossValidation", "cross_validate", "cross_validation_summary", "folds_wanted"]

FEW_ROWS = 1000
"""A table with fewer rows is cross-validated if the recipe does not say otherwise."""

FEWEST_ROWS = 20
"""Of fewer the 95% interval of a share is wider than 0.4 at its widest."""

USUAL_FOLDS = 5


@dataclass(frozen=True)
class FoldScore:
    """The metrics of one fold.

    Args:
        rows: Rows held out.
        rows_fitted: Rows that its model was fitted on.
        log_loss: Log loss of the rows held out, in nats.
        accuracy: Their accuracy.
        brier_score: Their Brier score.
    """

    rows: int
    rows_fitted: int
    log_loss: float
    accuracy: float
    brier_score: float


@dataclass(frozen=True)
class CrossValidation:
    """Metrics of a recipe on rows that are each scored by a model fitted without them.

    Args:
        folds: Number of folds; each is held out once, while the model is fitted to the others.
        repeats: How often the rows are split into folds.
        rows: Rows held out in each repeat: all but those that are the only ones of their class.
        summary: The metrics, each the mean of the repeats. The interval of the accuracy is Wilson's for so many rows,
            or with weights for the effective number of rows.
        lowest_accuracy: The lowest accuracy of a repeat.
        highest_accuracy: The highest accuracy of a repeat.
        lowest_log_loss: The lowest log loss of a repeat.
        highest_log_loss: The highest log loss of a repeat.
        scores: The metrics of each fold, repeat by repeat.
        folds_digest: SHA-256 of the data and of the rows of each fold; equal for runs whose scores can be paired.
    """

    folds: int
    repeats: int
    rows: int
    summary: Summary
    lowest_accuracy: float
    highest_accuracy: float
    lowest_log_loss: float
    highest_log_loss: float
    scores: tuple[FoldScore, ...]
    folds_digest: str

    @property
    def name(self) -> str:
        """The name of the method, for example "5 x 5-fold cross-validation"."""
        return f"{self.repeats} x {self.folds}-fold cross-validation"

    def as_json(self) -> dict[str, Any]:
        """The same as plain data, with the metrics of the summary beside the others."""
        plain = asdict(self)
        del plain["summary"]
        return {"method": self.name, **plain, **self.summary.as_json()}


def cross_validation_summary(found: CrossValidation, rows_test: int) -> str:
    """The metrics in a sentence.

    Args:
        found: The metrics.
        rows_test: Number of rows in the test set; may be 0.

    Returns:
        The sentence, for a terminal and a page.
    """
    summary = found.summary
    low, high = summary.accuracy_interval
    if found.rows < FEWEST_ROWS:
        besides = f"So few rows say little, whatever the method: estimates worth having need {FEWEST_ROWS} and more."
    elif rows_test:
        besides = f"Prefer these estimates to those of the {rows_test} test rows, which are few."
    else:
        besides = "Each row was scored by models that were fitted without it."
    return (
        f"{found.name} on {found.rows} rows: accuracy {summary.accuracy:.1%} (95% interval {low:.1%} to {high:.1%}; "
        f"{found.lowest_accuracy:.1%} to {found.highest_accuracy:.1%} from one repeat to another), "
        f"log loss {summary.log_loss:.4f} ({found.lowest_log_loss:.4f} to {found.highest_log_loss:.4f}). "
        f"{besides}"
    )


def folds_wanted(task: Task, recipe: Recipe) -> int:
    """The number of folds to cross-validate a task with; 0: not at all.

    By default a linear model of a table of fewer than `FEW_ROWS` rows is cross-validated, unless a column or a second
    file says which rows are the test set, or its features are fine-tuned. Networks and larger tables are only where the
    recipe names the folds.

    Args:
        task: The task.
        recipe: Its recipe.

    Returns:
        The number of folds.

    Raises:
        RecipeError: The recipe asks for what cannot be done.
    """
    if not isinstance(recipe, SolverRecipe | MlpRecipe):
        return 0
    asked, data = recipe.cross_validation.folds, recipe.data
    given = data.time is not None or data.split is not None or data.test is not None or task.has_own_split
    if isinstance(recipe, PretrainedRecipe) and recipe.training.finetune != "none":
        return 0
    if asked is None:
        few = _is_cheap(task, recipe) and len(task.rows) < FEW_ROWS and isinstance(recipe, SolverRecipe)
        return USUAL_FOLDS if few and not given else 0
    if asked and not _is_cheap(task, recipe):
        raise RecipeError(f"{task.name}: pictures are not cross-validated. Leave cross_validation.folds out.")
    if asked and given:
        raise RecipeError(
            f"cross_validation.folds: {asked}, but the recipe names the test rows. Leave one of the two out."
        )
    rows = len(task.rows.known)
    if asked > rows:
        raise RecipeError(f"cross_validation.folds: {asked}, but there are {rows} rows only.")
    return asked


def _is_cheap(task: Task, recipe: Recipe) -> bool:
    """Whether many fits are affordable: rows are features, of a table or of a pretrained network."""
    return task.cells is not None or isinstance(recipe, PretrainedRecipe)


def cross_validate(task: Task, recipe: Recipe, callbacks: Sequence[TrainingCallback] = ()) -> CrossValidation | None:
    """Evaluate a recipe by repeated cross-validation, if it asks for it.

    In each repeat all rows are scored fold by fold; see `polylogit.run.fold_scores`.

    Args:
        task: A table, with the rows of both parts of its split.
        recipe: Model, calibration, folds and repeats.
        callbacks: Training callbacks; `refit_done` is called after each fold.

    Returns:
        The metrics; None where the recipe asks for none, or no class has two rows.

    Raises:
        RecipeError: As for `folds_wanted`.

    Source: Kohavi (1995), on stratified and repeated cross-validation.
    """
    folds = folds_wanted(task, recipe)
    if not folds or not isinstance(recipe, SolverRecipe | MlpRecipe):
        return None
    repeats = recipe.cross_validation.repeats
    summaries: list[Summary] = []
    scores: list[FoldScore] = []
    digest = sha256(f"{task.fingerprint} {task.target}".encode())
    report = refit_reporter("cross-validation", callbacks)
    for repeat in range(repeats):

        def report_fold(done: int, total: int, before: int = repeat) -> None:
            report(before * total + done, repeats * total)

        found = fold_scores(task, recipe, folds=folds, seed=recipe.seed + repeat, on_fit=report_fold)
        if found is None:
            return None
        held_out = task.rows.take(found.rows)
        scored = ScoredRows.check(found.logits, held_out.targets, held_out.weights)
        summaries.append(summarise(scored))
        scores += _fold_scores(found.logits, held_out, found.sizes)
        digest.update(repr((found.sizes, found.rows.tolist())).encode())
    return _over_repeats(folds, summaries, scored.effective_rows, tuple(scores), digest.hexdigest())


def _fold_scores(logits: Float[Tensor, "N K"], held_out: LabelledRows, sizes: Sequence[int]) -> list[FoldScore]:
    scores, start = [], 0
    for size in sizes:
        part = torch.arange(start, start + size)
        start += size
        rows = held_out.take(part)
        seen = summarise(ScoredRows.check(logits[part], rows.targets, rows.weights))
        scores.append(
            FoldScore(
                rows=size,
                rows_fitted=len(held_out) - size,
                log_loss=seen.log_loss,
                accuracy=seen.accuracy,
                brier_score=seen.brier_score,
            )
        )
    return scores


def _over_repeats(
    folds: int, summaries: list[Summary], effective_rows: float, scores: tuple[FoldScore, ...], digest: str
) -> CrossValidation:
    means = {
        name: statistics.fmean(getattr(summary, name) for summary in summaries)
        for name in ("accuracy", "log_loss", "brier_score", "calibration_error")
    }
    rows = summaries[0].rows
    return CrossValidation(
        folds=folds,
        repeats=len(summaries),
        rows=rows,
        summary=Summary(rows=rows, accuracy_interval=accuracy_interval(means["accuracy"], effective_rows), **means),
        lowest_accuracy=min(summary.accuracy for summary in summaries),
        highest_accuracy=max(summary.accuracy for summary in summaries),
        lowest_log_loss=min(summary.log_loss for summary in summaries),
        highest_log_loss=max(summary.log_loss for summary in summaries),
        scores=scores,
        folds_digest=digest,
    )
