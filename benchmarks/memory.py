"""Peak memory of the commands on a large table, beyond what the imports take, as multiples of the data.

    python benchmarks/memory.py [ROWS] [COLUMNS]

Writes a Parquet table of float32 features (500,000 rows of 300 columns by default) to a temporary folder, runs each
command once in a process of its own, and prints the largest resident memory that the system saw. Memory hardly depends
on what else the machine does, so one run is enough; seconds are not reported.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

GOALS = {"train": 3.0, "check": 2.0, "predict to standard output": 0.6e9, "predict to a file": None}


def write_table(path: Path, rows: int, columns: int) -> None:
    """Features drawn from a normal distribution, and a class that depends on the first of them."""
    draw = np.random.default_rng(0)
    features = {f"x{place}": draw.standard_normal(rows, dtype=np.float32) for place in range(columns)}
    frame = pl.DataFrame(features).with_columns(kind=pl.Series(np.where(features["x0"] > 0, "a", "b")))
    frame.write_parquet(path)


def peak(*words: str, folder: Path) -> int:
    """The largest resident memory of one command, in bytes."""
    command = [sys.executable, "-m", "polylogit", *words]
    with Path(os.devnull).open("wb") as nowhere:
        process = subprocess.Popen(command, cwd=folder, stdout=nowhere, stderr=nowhere)
        _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{' '.join(words)}: exit status {os.waitstatus_to_exitcode(status)}")
    return usage.ru_maxrss * 1024


def main(rows: int = 500_000, columns: int = 300) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for table, height in (("small", 400), ("big", rows)):
            # In a process of its own: what this one holds counts as memory of the commands that it starts.
            writer = multiprocessing.get_context("spawn").Process(
                target=write_table, args=(folder / f"{table}.parquet", height, columns)
            )
            writer.start()
            writer.join()
        data = 4 * rows * columns
        target, model = ("--target", "kind"), "m.safetensors"
        commands = {
            "train": ("train", "{}", *target, "--out", model),
            "check": ("check", "{}", *target),
            "predict to standard output": ("predict", model, "{}"),
            "predict to a file": ("predict", model, "{}", "--out", "p.parquet"),
        }
        print(f"{rows} rows of {columns} float32 columns: {data / 1e9:.2f} GB")
        for what, words in commands.items():
            small = peak(*(word.format("small.parquet") for word in words), folder=folder)
            big = peak(*(word.format("big.parquet") for word in words), folder=folder)
            goal = GOALS[what]
            wanted = "" if goal is None else f", goal {goal} x" if goal < 100 else f", goal {goal / 1e9} GB"
            print(
                f"{what}: {big / 1e9:.2f} GB, {(big - small) / 1e9:.2f} GB beyond {small / 1e9:.2f} GB of 400 rows, "
                f"{(big - small) / data:.1f} x the data{wanted}",
                flush=True,
            )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
