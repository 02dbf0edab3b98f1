"""Claim: mixed tables are read, trained on and predicted at least 3 times faster than by scikit-learn's pipeline.

Beside that: ten million rows of Parquet are predicted with less than 1 GiB of memory. Every task runs in a process of
its own, turn by turn, so that its peak memory is its own. The table is made by seeded code: 18 numbers (most with
gaps), 10 categories of 2 to 50 levels (most with gaps), a boolean, a date, 3 classes. The peer is pandas and
`ColumnTransformer` (mean imputation with an indicator and scaling; one-hot with a level for gaps; the date as year,
month, weekday and age) before `LogisticRegression`, each with its defaults but for the most iterations.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from timing import arguments, write_result

ROWS, MOST_ROWS = 1_000_000, 10_000_000
QUICK_ROWS, QUICK_MOST = 20_000, 100_000


def make_table(rows: int, seed: int = 0):  # noqa: ANN201 - polars is imported where it is measured
    """A mixed table with its target `class`."""
    import polars as pl

    draw = np.random.default_rng(seed)
    columns: dict[str, object] = {}
    for place in range(18):
        values = pl.Series((draw.normal(size=rows) * 10 ** (place % 4)).round(4))
        gaps = pl.Series(draw.random(rows) < 0.05)
        columns[f"n{place}"] = (
            pl.select(pl.when(gaps).then(None).otherwise(values)).to_series() if place % 3 else values
        )
    for place, levels in enumerate((2, 3, 5, 8, 12, 20, 30, 50, 4, 6)):
        names = pl.Series([f"level {level}" for level in range(levels)])
        values = names.gather(draw.integers(0, levels, rows))
        gaps = pl.Series(draw.random(rows) < 0.03)
        columns[f"c{place}"] = (
            pl.select(pl.when(gaps).then(None).otherwise(values)).to_series() if place % 4 else values
        )
    columns["flag"] = draw.random(rows) < 0.3
    columns["day"] = np.datetime64("2020-01-01") + draw.integers(0, 1500, rows)
    score = columns["n0"].to_numpy() + 1.5 * (columns["c0"] == "level 1").to_numpy() - columns["flag"]
    score = score + draw.logistic(size=rows)
    columns["class"] = pl.Series(["low", "mid", "high"]).gather(np.digitize(score, [-0.8, 0.8]))
    return pl.DataFrame(columns)


def with_date_parts(frame):  # noqa: ANN001, ANN201
    """The pandas columns that the date becomes."""
    day = frame["day"].astype("datetime64[us]")
    parts = {"year": day.dt.year, "month": day.dt.month, "weekday": day.dt.weekday, "age": -day.astype("int64")}
    return frame.drop(columns="day").assign(**parts)


def peer():  # noqa: ANN201
    """Pandas' and scikit-learn's way: impute, scale, one-hot, fit."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = [f"n{place}" for place in range(18)] + ["flag", "year", "age"]
    names = [f"c{place}" for place in range(10)] + ["month", "weekday"]
    return make_column_transformer(
        (make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore", dtype=np.float32), names),
    )


def task(name: str, folder: Path) -> dict[str, float]:
    """One task in this process: seconds after the imports, peak memory, and the log loss where there is one."""
    if name.startswith("peer"):
        import joblib
        import pandas as pd
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import log_loss
        from sklearn.pipeline import make_pipeline

        started = time.perf_counter()
        found: dict[str, float] = {}
        if name == "peer encode":
            peer().fit_transform(with_date_parts(pd.read_csv(folder / "table.csv", parse_dates=["day"])))
        elif name == "peer train":
            frame = pd.read_parquet(folder / "table.parquet")
            model = make_pipeline(peer(), LogisticRegression(max_iter=1000))
            rows = np.random.default_rng(0).random(len(frame)) < 0.8
            features = with_date_parts(frame.drop(columns="class"))
            model.fit(features[rows], frame["class"][rows])
            found["log_loss"] = log_loss(frame["class"][~rows], model.predict_proba(features[~rows]))
            found["seconds"] = time.perf_counter() - started
            joblib.dump(model, folder / "peer.joblib")
        else:
            model = joblib.load(folder / "peer.joblib")
            started = time.perf_counter()
            frame = with_date_parts(pd.read_parquet(folder / "table.parquet").drop(columns="class"))
            model.predict_proba(frame)
    else:
        from polylogit import Classifier
        from polylogit.data.encoder import TableEncoder
        from polylogit.data.tables import read_table
        from polylogit.recipe import Recipe
        from polylogit.run import predict, train

        started = time.perf_counter()
        found = {}
        model = folder / "model.safetensors"
        if name == "polylogit encode":
            frame = read_table(folder / "table.csv").drop("class")
            TableEncoder.fit(frame).encode(frame)
        elif name == "polylogit train":
            entries = {"data": {"target": "class"}, "calibration": {"method": "none"}, "training": {"tolerance": 1e-4}}
            run = train(str(folder / "table.parquet"), Recipe.from_entries(entries), out=model)
            found["log_loss"] = run.test.log_loss
        elif name == "polylogit predict":
            Classifier.load(model).predict_probabilities(folder / "table.parquet")
        else:
            predict(model, str(folder / "large.parquet"), folder / "out.parquet")
    found.setdefault("seconds", time.perf_counter() - started)
    found["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


def in_own_process(name: str, folder: Path) -> dict[str, float]:
    """Run a task in a fresh process."""
    words = [sys.executable, __file__, "--task", name, str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Run every task `n` times, turn by turn."""
    parser = arguments(__doc__)
    parser.add_argument("--task", nargs=2, metavar=("NAME", "FOLDER"), help="one task, in this process")
    asked = parser.parse_args()
    if asked.task:
        print(json.dumps(task(asked.task[0], Path(asked.task[1]))))
        return
    rounds, rows = (1, QUICK_ROWS) if asked.quick else (3, ROWS)
    most = QUICK_MOST if asked.quick else MOST_ROWS
    results = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = make_table(rows)
        table.write_csv(folder / "table.csv")
        table.write_parquet(folder / "table.parquet")
        _write_large(folder / "large.parquet", most, rows)
        for kind in ("encode", "train", "predict"):
            found = {who: [] for who in ("polylogit", "peer")}
            for _ in range(rounds):
                for who, figures in found.items():
                    figures.append(in_own_process(f"{who} {kind}", folder))
            medians = {who: statistics.median(one["seconds"] for one in figures) for who, figures in found.items()}
            for who, figures in found.items():
                seconds = [one["seconds"] for one in figures]
                results.append(
                    {
                        "task": kind,
                        "rows": rows,
                        "who": who,
                        "n": rounds,
                        "median_s": medians[who],
                        "spread_s": f"{min(seconds):.2f} to {max(seconds):.2f}",
                        "peak_mib": round(max(one["peak_mib"] for one in figures)),
                        "times_faster": medians["peer"] / medians[who],
                        "log_loss": round(figures[0].get("log_loss", float("nan")), 5) if kind == "train" else "",
                    }
                )
        large = in_own_process("polylogit predict-large", folder)
        results.append(
            {
                "task": "predict Parquet to Parquet",
                "rows": most,
                "who": "polylogit",
                "n": 1,
                "median_s": large["seconds"],
                "peak_mib": round(large["peak_mib"]),
            }
        )
    write_result("tables", claim=__doc__.split("\n\n")[0], rows=results, quick=asked.quick)


def _write_large(path: Path, rows: int, piece: int) -> None:
    """A Parquet file of many pieces, written without holding them all."""
    import polars as pl
    from polars.io.plugins import register_io_source

    first = make_table(piece, seed=1)

    def pieces(*_: object):  # noqa: ANN202
        for start in range(0, rows, piece):
            yield first.head(min(piece, rows - start))

    source: pl.LazyFrame = register_io_source(pieces, schema=first.schema)
    source.sink_parquet(path, row_group_size=250_000)


if __name__ == "__main__":
    main()
