"""Side-by-side timing, and the page that a measured claim is kept on.

Owns: how candidates are timed against each other (turn by turn in one process, after a warm-up, so that a slow minute
of the machine falls on all of them), the description of the machine, and the files under `benchmarks/results/`.
Does not own: what is measured, or what counts as good. Every other file here makes one claim and imports this one.

    parser = arguments(__doc__)
    timings = side_by_side({"torch": theirs, "polylogit": ours}, rounds=50)
    write_result("losses", claim="...", rows=[{"N": 256, **as_row(timings)}], quick=False)
"""

import argparse
import gc
import json
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Timing:
    """The seconds that each timed sample of one candidate took (already divided by the calls in a sample)."""

    seconds: tuple[float, ...]

    @property
    def n(self) -> int:
        """Number of timed samples."""
        return len(self.seconds)

    @property
    def median(self) -> float:
        """Median seconds of one call."""
        return statistics.median(self.seconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The 25% and 75% points, in seconds of one call: the spread that is printed beside the median."""
        if self.n < 2:
            return self.median, self.median
        low, _, high = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return low, high


def side_by_side(
    candidates: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 30,
    warmup: int = 3,
    sample_seconds: float = 0.005,
    seed: int = 0,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Timing]:
    """Time the candidates turn by turn, in an order drawn anew each round.

    Args:
        candidates: What is timed, by name. Each is called without arguments and does one unit of work.
        rounds: Samples taken of each candidate.
        warmup: Calls of each candidate that are thrown away first.
        sample_seconds: A sample repeats the call until it lasts about this long, so that fast calls are not lost in
            the clock. All candidates repeat equally often.
        seed: Of the order within the rounds.
        clock: `time.process_time` counts the processor's time alone, for machines that are busy with other work.

    Returns:
        A `Timing` for each name.
    """
    for call in candidates.values():
        for _ in range(warmup):
            call()
    started = clock()
    for call in candidates.values():
        call()
    one_call = (clock() - started) / len(candidates)
    repeats = max(1, round(sample_seconds / max(one_call, 1e-9)))

    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    order = list(candidates)
    draw = random.Random(seed)  # noqa: S311 - the order of measurements is no secret
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            draw.shuffle(order)
            for name in order:
                call = candidates[name]
                started = clock()
                for _ in range(repeats):
                    call()
                seconds[name].append((clock() - started) / repeats)
    finally:
        if collecting:
            gc.enable()
    return {name: Timing(tuple(values)) for name, values in seconds.items()}


def ratio(timings: Mapping[str, Timing], ours: str, theirs: str) -> float:
    """Ratio of the medians, ours over theirs: below 1 is faster than theirs."""
    return timings[ours].median / timings[theirs].median


def as_row(timings: Mapping[str, Timing]) -> dict[str, float | int | str]:
    """Flat figures for a result's row: n, and the median and quartiles of each candidate in milliseconds."""
    row: dict[str, float | int | str] = {"n": min(timing.n for timing in timings.values())}
    for name, timing in timings.items():
        low, high = timing.quartiles
        row[f"{name}_median_ms"] = round(timing.median * 1e3, 5)
        row[f"{name}_quartiles_ms"] = f"{low * 1e3:.4g} to {high * 1e3:.4g}"
    return row


def machine() -> dict[str, str | int | float]:
    """Hardware, system and versions, as they stand on every result."""
    facts: dict[str, str | int | float] = {
        "cpu": _cpu_name(),
        "cores": os.cpu_count() or 0,
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
    }
    for package in ("polylogit", "torch", "torchvision", "numpy", "scipy", "scikit-learn"):
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "not installed"
    try:
        import torch
    except ImportError:
        return facts
    facts["torch_threads"] = torch.get_num_threads()
    facts["cpu_capability"] = torch.backends.cpu.get_cpu_capability()
    facts["gpu"] = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return facts


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_gib() -> float:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):  # no sysconf on this system
        return 0.0


def header() -> str:
    """The machine in one printed paragraph."""
    return "\n".join(f"{name:>16}: {value}" for name, value in machine().items())


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with what every benchmark takes: `--quick` (a smoke run, not a result)."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="few sizes and rounds, to see that it runs; writes no result"
    )
    return parser


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a Markdown table; a column for each key, in order of first appearance."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = ["| " + " | ".join(columns) + " |", "| " + " | ".join("---" for _ in columns) + " |"]
    lines += ["| " + " | ".join(_cell(row.get(column, "")) for column in columns) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def write_result(name: str, *, claim: str, rows: Sequence[Mapping[str, Any]], quick: bool) -> None:
    """Print the rows with the machine above them; where the run is not quick, keep them as JSON and as Markdown.

    Args:
        name: Stem of `benchmarks/results/<name>.json` and `.md`.
        claim: The sentence that the rows are evidence for or against.
        rows: Flat figures; every row says its own n, median and spread.
        quick: A smoke run: printed, never kept.
    """
    print(f"{claim}\n\n{header()}\n\n{table(rows)}")
    if quick:
        print("\n(quick run: nothing written)")
        return
    RESULTS.mkdir(exist_ok=True)
    taken = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    page = {"name": name, "claim": claim, "taken": taken, "machine": machine(), "rows": list(rows)}
    (RESULTS / f"{name}.json").write_text(json.dumps(page, indent=2) + "\n", encoding="utf-8")
    facts = "; ".join(f"{key} {value}" for key, value in machine().items())
    (RESULTS / f"{name}.md").write_text(
        f"# {name}\n\n{claim}\n\nTaken {taken}. {facts}.\n\n{table(rows)}\n", encoding="utf-8"
    )
