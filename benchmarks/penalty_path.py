"""Seconds of choosing C among 20 values with 5 folds, beside scikit-learn's LogisticRegressionCV.

    python benchmarks/penalty_path.py [--quick] [--clock cpu]

Claim: on tables of some hundred rows `SoftmaxRegressionCV` takes less than a third of the time of the fastest solver
of `LogisticRegressionCV`. The columns have mean 0 and deviation 1, the score is the log loss, and all have the same
folds. polylogit runs at its default tolerance. A solver of scikit-learn's runs at the loosest of its tolerances 1, 0.1,
... 1e-6 with which the coefficients of every fold at every C are within 1e-4 of the optimum, or at the last; the excess
that is left is shown. One thread each; one process, turn by turn. Writes benchmarks/results/penalty_path.json and .md.
"""

import time
import warnings
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold
from timing import arguments, ratio, side_by_side, write_result

from polylogit import SoftmaxRegressionCV
from solver import Data, bundled, zoo

CS = np.logspace(-4, 4, 20)
FOLDS = StratifiedKFold(5)
GAP = 1e-4
SOLVERS = ("newton-cholesky", "lbfgs")
TABLES = {
    "breast_cancer": lambda: bundled("breast_cancer"),
    "iris": lambda: bundled("iris"),
    "wine": lambda: bundled("wine"),
    "zoo": zoo,
}


def standardised(data: Data) -> tuple[np.ndarray, np.ndarray]:
    """Columns of mean 0 and deviation 1; classes with too few rows for the folds left out."""
    X, y = np.asarray(data[0], np.float64), np.unique(data[1], return_inverse=True)[1]
    kept = np.bincount(y)[y] >= FOLDS.get_n_splits()
    X, y = X[kept], np.unique(y[kept], return_inverse=True)[1]
    return (X - X.mean(0)) / np.maximum(X.std(0), 1e-12), y


def excess(model: Any, X: np.ndarray, y: np.ndarray, least: np.ndarray) -> float:  # noqa: ANN401 - either estimator
    """The largest relative distance of a fold's objective at a C from its least value."""
    return float((objectives(model, X, y) / least - 1).max())


def objectives(model: Any, X: np.ndarray, y: np.ndarray) -> np.ndarray:  # noqa: ANN401
    """scikit-learn's objective of each fold and C, as a mean over the fold's rows."""
    paths = np.asarray(model.coefs_paths_).reshape(FOLDS.get_n_splits(), len(CS), -1, X.shape[1] + 1)
    found = np.empty(paths.shape[:2])
    for fold, (rows, _) in enumerate(FOLDS.split(X, y)):
        for place, C in enumerate(CS):
            coef, intercept = paths[fold, place, :, :-1], paths[fold, place, :, -1]
            logits = X[rows] @ coef.T + intercept
            if len(coef) == 1:
                logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
            losses = logsumexp(logits, axis=1) - logits[np.arange(len(rows)), y[rows]]
            found[fold, place] = losses.mean() + (coef**2).sum() / (2 * C * len(rows))
    return found


def peer(solver: str, tolerance: float) -> LogisticRegressionCV:
    """scikit-learn's estimator with a solver."""
    return LogisticRegressionCV(
        Cs=CS,
        cv=FOLDS,
        solver=solver,
        tol=tolerance,
        max_iter=100_000,
        scoring="neg_log_loss",
        l1_ratios=(0.0,),
        use_legacy_attributes=False,
    )


def measure(name: str, rounds: int, clock: Any) -> dict[str, Any]:  # noqa: ANN401
    """A row of the page for one table."""
    X, y = standardised(TABLES[name]())
    least = objectives(SoftmaxRegressionCV(Cs=CS, cv=FOLDS, tol=1e-10).fit(X, y), X, y)
    ours = SoftmaxRegressionCV(Cs=CS, cv=FOLDS)
    candidates = {"polylogit": partial(ours.fit, X, y)}
    row = {"table": name, "rows": len(X), "columns": X.shape[1], "classes": len(np.unique(y))}
    left = {"polylogit": excess(ours.fit(X, y), X, y, least)}
    for solver in SOLVERS:
        for power in range(7):
            model = peer(solver, 10.0**-power).fit(X, y)
            left[solver] = excess(model, X, y, least)
            if left[solver] <= GAP:
                break
        candidates[solver] = partial(model.fit, X, y)
        row[f"{solver}_tol"] = model.tol
    timings = side_by_side(candidates, rounds=rounds, warmup=1, clock=clock)
    for candidate, timing in timings.items():
        low, high = min(timing.seconds), max(timing.seconds)
        row[f"{candidate}_s"] = timing.median
        row[f"{candidate}_spread"] = f"{low:.3g} to {high:.3g}"
        row[f"{candidate}_excess"] = f"{left[candidate]:.0e}"
    fastest = min(SOLVERS, key=lambda solver: timings[solver].median)
    return row | {"fastest_peer_over_ours": 1 / ratio(timings, "polylogit", fastest), "n": rounds}


def main() -> None:
    """Measure every table."""
    parser = arguments(__doc__)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="which seconds are counted")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    clock = time.process_time if options.clock == "cpu" else time.perf_counter
    names = list(TABLES)[:1] if options.quick else list(TABLES)
    rows = [measure(name, 3 if options.quick else 7, clock) for name in names]
    write_result(
        "penalty_path",
        claim="SoftmaxRegressionCV chooses C among 20 values with 5 folds sooner than LogisticRegressionCV "
        f"({'processor' if options.clock == 'cpu' else 'wall-clock'} seconds).",
        rows=rows,
        quick=options.quick,
    )


if __name__ == "__main__":
    main()
