"""Claim: of 5 % planted label errors in digits, at least 80 % are among the first suspects, as many as were planted.

In a copy of the data 5 % of the labels, drawn at random, become another class, each with the same probability. Every
row is scored by models of the recipe that were fitted without it, as `polylogit check DATA --labels` does it. Both
candidates get the same logits: `find_label_errors`, and cleanlab's `find_label_issues` with its defaults (pruning by
noise rate), on their softmax ("cleanlab") and on that of calibrated logits ("cleanlab, calibrated"). `at_planted` is
the precision among the first m rows of the ranking, where m were planted; `precision` and `recall` are those of the
list of suspects; `suspects_clean` is the length of the list where nothing was planted. Figures are means over the
seeds, with the lowest and the highest.

Digits and wine are scikit-learn's, written as CSV tables and read as a user's, with the default model; fashion-mnist
is the first 3,000 training pictures, with the default network of pictures and 4 epochs.

    python benchmarks/label_errors.py               # cleanlab is in the extra `bench`
"""

import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import torch
from cleanlab.filter import find_label_issues
from sklearn.datasets import load_digits, load_wine
from timing import arguments, write_result
from torch import Tensor

from polylogit import find_label_errors
from polylogit.calibration import fit_calibration
from polylogit.fitting.out_of_fold import FOLDS
from polylogit.recipes import LinearRecipe, Recipe, recipe_from_entries
from polylogit.run.fold_scores import fold_scores
from polylogit.run.label_check import NETWORK_FOLDS
from polylogit.run.picture_task import picture_task
from polylogit.run.table_task import table_task
from polylogit.run.task import Task

SHARE, PICTURES = 0.05, 3000


@dataclass(frozen=True)
class Found:
    """Rows in the order of suspicion, and how many of them are called suspects."""

    ranking: np.ndarray
    suspects: int


def tasks() -> Iterator[tuple[str, Recipe, Task]]:
    """Each data set with its true labels."""
    folder = Path(tempfile.mkdtemp())
    for name, load in (("digits", load_digits), ("wine", load_wine)):
        rows = load(as_frame=True).frame
        pl.from_pandas(rows).write_csv(folder / f"{name}.csv")
        yield name, *table_task(str(folder / f"{name}.csv"), recipe_from_entries({"data": {"target": "target"}}))
    recipe = recipe_from_entries({"model": {"kind": "cnn"}, "training": {"epochs": 4}})
    yield "fashion-mnist", recipe, first_pictures(picture_task("fashion-mnist", recipe, None))


def first_pictures(task: Task) -> Task:
    """The first training pictures of a task."""
    rows = task.rows.take(torch.arange(PICTURES))
    return replace(task, rows=rows)


def planted(task: Task, seed: int) -> tuple[Task, np.ndarray]:
    """The task with wrong labels, and their rows."""
    draw, true = np.random.default_rng(seed), task.rows.targets.numpy()
    count = round(SHARE * len(true))
    wrong = draw.choice(len(true), count, replace=False)
    labels, classes = true.copy(), len(task.class_names)
    labels[wrong] = (true[wrong] + draw.integers(1, classes, count)) % classes
    return replace(task, rows=replace(task.rows, targets=torch.from_numpy(labels))), wrong


def by_polylogit(logits: Tensor, labels: Tensor) -> Found:
    """The ranking and the suspects of `find_label_errors`."""
    found = find_label_errors(logits, labels)
    return Found(found.ranking.numpy(), len(found.suspects))


def by_cleanlab(logits: Tensor, labels: Tensor) -> Found:
    """Cleanlab's issues by self-confidence, and after them the other rows by self-confidence."""
    probabilities = logits.double().softmax(dim=1).numpy()
    issue = find_label_issues(labels.numpy(), probabilities, n_jobs=1)
    own = probabilities[np.arange(len(labels)), labels.numpy()]
    return Found(np.lexsort((own, ~issue)), int(issue.sum()))


def by_cleanlab_calibrated(logits: Tensor, labels: Tensor) -> Found:
    """The same on logits that are calibrated on these very rows, which is more than cleanlab's users do."""
    return by_cleanlab(fit_calibration(logits, labels).calibration.apply(logits), labels)


CANDIDATES: dict[str, Callable[[Tensor, Tensor], Found]] = {
    "polylogit": by_polylogit,
    "cleanlab": by_cleanlab,
    "cleanlab, calibrated": by_cleanlab_calibrated,
}


def scores(task: Task, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """Out-of-fold logits and labels, in the order of the rows."""
    folds = FOLDS if isinstance(recipe, LinearRecipe) else NETWORK_FOLDS
    found = fold_scores(task, recipe, folds=folds, seed=0, calibrated=False)
    assert found is not None
    order = found.rows.argsort()
    return found.logits[order], task.rows.targets[found.rows[order]]


def main() -> None:
    """Run all data sets and seeds."""
    asked = arguments(__doc__).parse_args()
    seeds = 1 if asked.quick else 5
    rows = []
    for name, recipe, task in tasks():
        clean = scores(task, recipe)
        of_seed: dict[str, list[tuple[float, float, float]]] = {candidate: [] for candidate in CANDIDATES}
        for seed in range(seeds):
            noisy, wrong = planted(task, seed)
            logits, labels = scores(noisy, recipe)
            for candidate, find in CANDIDATES.items():
                found = find(logits, labels)
                right = np.isin(found.ranking, wrong)
                listed = right[: found.suspects].sum()
                of_seed[candidate].append(
                    (right[: len(wrong)].mean(), listed / max(found.suspects, 1), listed / len(wrong))
                )
        for candidate, find in CANDIDATES.items():
            row: dict[str, str | int | float] = {
                "data": name,
                "n": seeds,
                "rows": len(task.rows),
                "planted": round(SHARE * len(task.rows)),
                "candidate": candidate,
            }
            for label, values in zip(
                ("at_planted", "precision", "recall"), zip(*of_seed[candidate], strict=True), strict=True
            ):
                row[label] = f"{statistics.fmean(values):.3f} ({min(values):.3f} to {max(values):.3f})"
            rows.append(row | {"suspects_clean": find(*clean).suspects})
    write_result("label_errors", claim=__doc__.splitlines()[0], rows=rows, quick=asked.quick)


if __name__ == "__main__":
    main()
