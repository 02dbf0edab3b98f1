"""Claim: mixed tables are read, trained on and predicted at least 3 times faster than by scikit-learn's pipeline.

Beside that: ten million rows of Parquet are predicted with less than 1 GiB of memory. Every task runs in a process of
its own, turn by turn, so that its peak memory is its own; seconds are those of the library's calls, after the imports.
The table is made by seeded code: 18 numbers (most with gaps), 10 categories of 2 to 50 levels (most with gaps), a
boolean, a date, 3 classes. The peer is pandas and `ColumnTransformer` (mean imputation with an indicator and scaling;
one-hot with a level for gaps; the date as year, month, weekday and age) before `LogisticRegression`, each with its
defaults but for the most iterations; it trains on the same rows and is judged on the same rows. polylogit's training
holds its audit and the judgement of the held-out rows too, but no calibration, for the peer has none; the commands are
timed as a user would, with imports, calibration, report and all.

    python benchmarks/tables.py --part encode --part train     # parts may be run apart; their results are kept together
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from timing import RESULTS, arguments, write_result

if TYPE_CHECKING:  # each is imported where it is measured
    import pandas as pd
    import polars as pl
    from sklearn.compose import ColumnTransformer

ROWS, MOST_ROWS, WIDE = 1_000_000, 10_000_000, (1_000_000, 300)
QUICK_ROWS, QUICK_MOST, QUICK_WIDE = 20_000, 100_000, (10_000, 300)
PARTS = ("encode", "train", "predict", "commands", "large", "wide")


def make_table(rows: int, seed: int = 0) -> "pl.DataFrame":
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


def with_date_parts(frame: "pd.DataFrame") -> "pd.DataFrame":
    """The pandas columns that the date becomes."""
    day = frame["day"].astype("datetime64[us]")
    parts = {"year": day.dt.year, "month": day.dt.month, "weekday": day.dt.day_of_week, "age": -day.astype("int64")}
    return frame.drop(columns="day").assign(**parts)


def peer() -> "ColumnTransformer":
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
    found = _peer_task(name, folder) if name.startswith("peer") else _own_task(name, folder)
    found["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


def _peer_task(name: str, folder: Path) -> dict[str, float]:
    import joblib
    import pandas as pd
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.pipeline import make_pipeline

    if name == "peer encode":
        started = time.perf_counter()
        peer().fit_transform(with_date_parts(pd.read_csv(folder / "table.csv", parse_dates=["day"])))
        return {"seconds": time.perf_counter() - started}
    if name == "peer train":
        held_out = np.load(folder / "held_out.npy")
        started = time.perf_counter()
        frame = pd.read_parquet(folder / "table.parquet")
        model = make_pipeline(peer(), LogisticRegression(max_iter=1000))
        features = with_date_parts(frame.drop(columns="class"))
        model.fit(features[~held_out], frame["class"][~held_out])
        loss = log_loss(frame["class"][held_out], model.predict_proba(features[held_out]))
        seconds = time.perf_counter() - started
        joblib.dump(model, folder / "peer.joblib")
        return {"seconds": seconds, "log_loss": loss}
    model = joblib.load(folder / "peer.joblib")
    started = time.perf_counter()
    frame = with_date_parts(pd.read_parquet(folder / "table.parquet").drop(columns="class"))
    model.predict_proba(frame)
    return {"seconds": time.perf_counter() - started}


def _own_task(name: str, folder: Path) -> dict[str, float]:
    model = folder / "model.safetensors"
    if name == "polylogit encode":
        from polylogit.data.tables.encoder import TableEncoder
        from polylogit.data.tables.reading import read_table

        started = time.perf_counter()
        TableEncoder.fit_encode(read_table(folder / "table.csv").drop("class"))
        return {"seconds": time.perf_counter() - started}
    if name in ("polylogit train", "polylogit train-wide"):
        from polylogit.recipes.recipe import recipe_from_entries
        from polylogit.run import train

        entries = {"data": {"target": "class"}, "calibration": {"method": "none"}, "training": {"tolerance": 1e-4}}
        data, out = ("table", model) if name == "polylogit train" else ("short", folder / "wide.safetensors")
        started = time.perf_counter()
        run = train(str(folder / f"{data}.parquet"), recipe_from_entries(entries), out=out)
        return {"seconds": time.perf_counter() - started, "log_loss": run.test.log_loss}
    if name == "polylogit predict":
        from polylogit import Classifier

        started = time.perf_counter()
        Classifier.load(model).predict_probabilities(folder / "table.parquet")
        return {"seconds": time.perf_counter() - started}
    from polylogit.run import predict

    kind = name.rpartition("-")[2]
    model = folder / "wide.safetensors" if kind == "wide" else model
    started = time.perf_counter()
    predict(model, str(folder / f"{kind}.parquet"), folder / "out.parquet")
    return {"seconds": time.perf_counter() - started}


def in_own_process(name: str, folder: Path) -> dict[str, float]:
    """Run a task in a fresh process."""
    words = [sys.executable, __file__, "--task", name, str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def command(*words: str) -> dict[str, float]:
    """Run a command of polylogit as a user would: wall seconds from start to end, and its peak memory."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "polylogit", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"polylogit {' '.join(words)} gave {process.returncode}")
    return {"seconds": time.perf_counter() - started, "peak_mib": usage.ru_maxrss / 1024}


def row(part: str, rows: int, who: str, runs: list[dict[str, float]]) -> dict[str, object]:
    """The figures of one task's runs."""
    seconds = [run["seconds"] for run in runs]
    return {
        "part": part,
        "rows": rows,
        "who": who,
        "n": len(runs),
        "median_s": round(statistics.median(seconds), 3),
        "spread_s": f"{min(seconds):.2f} to {max(seconds):.2f}",
        "peak_mib": round(max(run["peak_mib"] for run in runs)),
        "times_faster": "",
        "log_loss": round(runs[0]["log_loss"], 5) if "log_loss" in runs[0] else "",
    }


def against_peer(part: str, rows: int, rounds: int, folder: Path) -> list[dict[str, object]]:
    """Both in turn, so that a slow minute of the machine falls on both."""
    found: dict[str, list[dict[str, float]]] = {"polylogit": [], "peer": []}
    for _ in range(rounds):
        for who, runs in found.items():
            runs.append(in_own_process(f"{who} {part}", folder))
    results = [row(part, rows, who, runs) for who, runs in found.items()]
    own, peers = (statistics.median(run["seconds"] for run in runs) for runs in found.values())
    results[0]["times_faster"] = round(peers / own, 2)
    return results


def measured(part: str, folder: Path, *, quick: bool) -> list[dict[str, object]]:
    """The rows of one part."""
    rows, most = (QUICK_ROWS, QUICK_MOST) if quick else (ROWS, MOST_ROWS)
    rounds = 1 if quick else 3
    if part in ("encode", "train", "predict"):
        if part == "predict" and not (folder / "peer.joblib").exists():
            for who in ("polylogit", "peer"):
                in_own_process(f"{who} train", folder)
        return against_peer(part, rows, rounds, folder)
    if part == "commands":
        model, table = str(folder / "command.safetensors"), str(folder / "table.parquet")
        trained = command("train", table, "--target", "class", "--out", model)
        out = str(folder / "out.parquet")
        return [
            row("polylogit train", rows, "polylogit", [trained]),
            row("polylogit predict", rows, "polylogit", [command("predict", model, table, "--out", out)]),
        ]
    if not (folder / "model.safetensors").exists():
        in_own_process("polylogit train", folder)
    if part == "large":
        _write_large(folder / "large.parquet", most, rows)
        return [
            row("predict Parquet to Parquet", most, "polylogit", [in_own_process("polylogit predict-large", folder)])
        ]
    height, width = QUICK_WIDE if quick else WIDE
    _write_wide(folder, height, width)
    in_own_process("polylogit train-wide", folder)
    found = in_own_process("polylogit predict-wide", folder)
    return [row(f"predict Parquet of {width} columns", height, "polylogit", [found])]


def main() -> None:
    """Measure the parts asked for, and keep them beside those that were measured before."""
    parser = arguments(__doc__)
    parser.add_argument("--part", action="append", choices=PARTS, help="measure only this; may be repeated")
    parser.add_argument("--folder", type=Path, help="where the tables are made, and kept for another part's run")
    parser.add_argument("--task", nargs=2, metavar=("NAME", "FOLDER"), help="one task, in this process")
    asked = parser.parse_args()
    if asked.task:
        print(json.dumps(task(asked.task[0], Path(asked.task[1]))))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = asked.folder or Path(name)
        _write_table(folder, QUICK_ROWS if asked.quick else ROWS)
        results = [found for part in asked.part or PARTS for found in measured(part, folder, quick=asked.quick)]
    kept = []
    if (RESULTS / "tables.json").exists() and not asked.quick:
        before = json.loads((RESULTS / "tables.json").read_text(encoding="utf-8"))["rows"]
        kept = [old for old in before if old["part"] not in {new["part"] for new in results}]
    write_result("tables", claim=__doc__.split("\n\n")[0], rows=[*kept, *results], quick=asked.quick)


def _write_table(folder: Path, rows: int) -> None:
    """The table as CSV and Parquet, and the rows that polylogit holds out of it, for the peer to hold out the same."""
    import torch

    from polylogit.classes import ordered_class_names
    from polylogit.data.split import stratified_split

    if (folder / "held_out.npy").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    table = make_table(rows)
    table.write_csv(folder / "table.csv")
    table.write_parquet(folder / "table.parquet")
    names = ordered_class_names(table["class"].unique().to_list())
    index = table["class"].replace_strict({name: place for place, name in enumerate(names)})
    held_out = np.zeros(rows, dtype=bool)
    held_out[stratified_split(torch.tensor(index.to_numpy()), 0.2, seed=0).test.numpy()] = True
    np.save(folder / "held_out.npy", held_out)


def _write_wide(folder: Path, rows: int, columns: int) -> None:
    """A wide table of numbers in pieces, and a short one of the same columns with classes, to train on."""
    import polars as pl
    from polars.io.plugins import register_io_source

    draw = np.random.default_rng(2)

    def piece(height: int) -> pl.DataFrame:
        return pl.DataFrame({f"n{place}": draw.normal(size=height).astype(np.float32) for place in range(columns)})

    short = piece(5_000)
    names = pl.when(pl.col("n0") > 0).then(pl.lit("up")).otherwise(pl.lit("down"))
    short.with_columns(names.alias("class")).write_parquet(folder / "short.parquet")

    def pieces(*_: object) -> Iterator["pl.DataFrame"]:
        for start in range(0, rows, 100_000):
            yield piece(min(100_000, rows - start))

    source: pl.LazyFrame = register_io_source(pieces, schema=short.schema)
    source.sink_parquet(folder / "wide.parquet", row_group_size=100_000)


def _write_large(path: Path, rows: int, piece: int) -> None:
    """A Parquet file of many pieces, written without holding them all."""
    import polars as pl
    from polars.io.plugins import register_io_source

    first = make_table(piece, seed=1)

    def pieces(*_: object) -> Iterator["pl.DataFrame"]:
        for start in range(0, rows, piece):
            yield first.head(min(piece, rows - start))

    source: pl.LazyFrame = register_io_source(pieces, schema=first.schema)
    source.sink_parquet(path, row_group_size=250_000)


if __name__ == "__main__":
    main()
