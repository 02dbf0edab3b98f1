"""Training past the memory and past one process: seconds, peak memory, bytes between processes.

The tables are Parquet files of float32 features, drawn with a fixed seed and removed at the end; a column names the
training and the test rows. Every run is a command in a process of its own.

part "speed": the same training with the table in memory (`data.in_memory=always`) and in mapped files (`never`), turn
    by turn.
part "limit": the training of a table four times as large as the memory that a control group gives the process beyond
    what the training on 400 rows takes in such a group: anonymous memory, page cache and the kernel's own. Nothing of
    the table is in the page cache when a run starts. Where no control group can be made, the limit is not imposed, and
    the result says so.
part "processes": softmax regression on the same rows by one process and by two with a thread each, which hold half of
    them; the bytes that a process hands over to be added up in a fit, and beside them a table that extrapolates to 64
    machines from the measured seconds and bytes. Those rows are computed, not measured.

part "command": the whole `polylogit train` of a table on disk, kept in mapped files, by one process and by two that
    torchrun starts, a thread each: what the first process does alone beside the fit that both share.
part "networks": steps of two convolutional networks on Fashion-MNIST, by one process and by two with a thread each,
    turn by turn. Beside the seconds stands the processor time that all processes together took, which other work on the
    machine lengthens less: a process that waits for another takes none.

"memory" is the largest RssAnon of the process, which no file backs, beyond that of the training on 400 rows, and in the
part "processes" the largest resident memory of each process; "group_mib" what the kernel counted for the control group,
in all. "cpu_seconds" are those of the processor, of all processes together, which other work on the machine lengthens
less than the seconds.

    python benchmarks/scale.py [--quick] [--part speed limit processes command networks] [--rows N] [--columns N]
"""

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from memory_group import MemoryGroup, memory_group
from timing import arguments, write_result

ROWS_OF_A_GROUP = 50_000
PARTS = ["speed", "limit", "processes", "command", "networks"]
CLASSES, BLOCKS, REPEATS, ROUNDS = 5, 8, 3, 2
BATCH, STEPS = 512, 10
NETWORKS = {
    "cnn on pixels, AdamW": {},
    "the recipe fashion-mnist, Muon": {
        "orientations": 8,
        "widths": (64, 128),
        "kernel_sizes": 3,
        "strides": 1,
        "pools": 1,
        "padding": "valid",
        "hidden": (256,),
    },
}
BYTES_A_SECOND = 10e9 / 8
"""Of the network between machines that the computed rows assume."""

MIB = 2**20


def write_table(path: Path, rows: int, columns: int) -> None:
    """Three classes with logits linear in the features; every fifth row is a test row."""
    draw = np.random.default_rng(0)
    weight = 2 * draw.normal(size=(columns, 3)) / np.sqrt(columns)
    fields = [*((f"x{place}", pa.float32()) for place in range(columns)), ("part", pa.string()), ("kind", pa.string())]
    schema = pa.schema(fields)
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=["part", "kind"]) as writer:
        for start in range(0, rows, ROWS_OF_A_GROUP):
            count = min(ROWS_OF_A_GROUP, rows - start)
            features = draw.standard_normal(size=(count, columns), dtype=np.float32)
            kind = (features @ weight + draw.gumbel(size=(count, 3))).argmax(1)
            part = np.where(np.arange(start, start + count) % 5 == 4, "test", "train")
            names = [pa.array(part.tolist()), pa.array(np.array(["a", "b", "c"])[kind].tolist())]
            writer.write_table(pa.Table.from_arrays([*map(pa.array, features.T.copy()), *names], schema=schema))


def status(pid: int | str, name: str) -> int:
    """A number of bytes that the kernel reports of a process; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), 0)


def cpu_of_children() -> float:
    """Processor seconds of the commands that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def children(pid: int) -> list[int]:
    """The processes that a process has started and that still run."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    except OSError:
        return []


def train(
    table: Path, where: str, folder: Path, group: MemoryGroup | None = None, processes: int = 1
) -> dict[str, Any]:
    """One training: its seconds, its peaks and its figures, or the message of its error."""
    words = ["train", table.name, "--target", "kind", "--out", f"{where}.safetensors", "--json"]
    options = [f"data.in_memory={where}", "data.split=part", "training.C=1"]
    several = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m"] * (processes > 1)
    options = [word for option in options for word in ("--set", option)]
    command = [sys.executable, "-m", *several, "polylogit", *words, *options]
    enter = None if group is None else group.enter
    environment = {**os.environ, "POLYLOGIT_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    started, used, peaks = time.perf_counter(), cpu_of_children(), {}
    with (folder / "out").open("w+") as out, (folder / "err").open("w+") as err:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=err, env=environment, preexec_fn=enter)  # noqa: PLW1509 - no threads here
        while process.poll() is None:
            for pid in children(process.pid) if processes > 1 else [process.pid]:
                peaks[pid] = max(peaks.get(pid, 0), status(pid, "RssAnon"))
            time.sleep(0.02)
        seconds = time.perf_counter() - started
        for file in (out, err):
            file.seek(0)
        printed, said = out.read().strip().splitlines(), err.read().strip().splitlines()
    cpu = cpu_of_children() - used
    found = {
        "seconds": seconds,
        "cpu": cpu,
        "peak": max(peaks.values(), default=0),
        "peaks": sorted(peaks.values(), reverse=True)[:processes],
        "code": process.returncode,
        "group": 0 if group is None else group.peak,
    }
    if process.returncode:
        return found | {"said": said[-1] if said else ""}
    result = json.loads(printed[-1])
    return found | {"log_loss": result["test"]["log_loss"], "rows_per_process": result["rows_per_process"]}


def outcome(run: dict[str, Any]) -> str:
    """The test log loss of a training, or how it ended."""
    return f"exit {run['code']}: {run['said'][:80]}" if run["code"] else f"{run['log_loss']:.5f}"


def times_of(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The columns of a result that say how long some trainings took."""
    seconds = sorted(run["seconds"] for run in runs)
    return {
        "seconds_median": round(statistics.median(seconds), 1),
        "seconds_range": f"{seconds[0]:.1f} to {seconds[-1]:.1f}, n={len(seconds)}",
        "cpu_seconds": " and ".join(f"{run['cpu']:.1f}" for run in runs),
    }


def small_run(folder: Path, columns: int, group: MemoryGroup | None = None) -> dict[str, Any]:
    """A training on 400 rows of so many columns, beyond which memory is counted."""
    table = folder / "small.parquet"
    write_table(table, 400, columns)
    return train(table, "never", folder, group)


def forget(path: Path) -> None:
    """Drop the pages of a file from the page cache, so that who reads them is who they are counted for."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def speed(folder: Path, rows: int, columns: int, rounds: int) -> Iterator[dict[str, Any]]:
    """In memory and in files, turn by turn."""
    table = folder / "speed.parquet"
    write_table(table, rows, columns)
    anonymous = small_run(folder, columns)["peak"]
    runs: dict[str, list[dict[str, Any]]] = {"always": [], "never": []}
    for _ in range(rounds):
        for where, done in runs.items():
            done.append(train(table, where, folder))
    for where, done in runs.items():
        yield {
            "run": f"polylogit, data.in_memory={where}",
            "rows": f"{rows:,} x {columns}",
            "table_mib": round(table.stat().st_size / MIB),
            **times_of(done),
            "memory_mib": round((max(run["peak"] for run in done) - anonymous) / MIB),
            "test_log_loss": outcome(done[0]),
        }
    table.unlink()


def limited(folder: Path, rows: int, columns: int) -> Iterator[dict[str, Any]]:
    """A table of four times the memory that a run may take beyond a small one: as by default, and kept in memory."""
    table = folder / "limit.parquet"
    write_table(table, rows, columns)
    size = table.stat().st_size
    try:
        with memory_group() as group:
            small = small_run(folder, columns, group)
    except OSError as fault:
        small, reason = small_run(folder, columns), f"no limit, because no control group can be made: {fault}"
        limit = None
    else:
        limit = small["group"] + size // 4
        reason = f"at most {limit / MIB:.0f} MiB, {size // 4 / MIB:.0f} MiB beyond a small run"
    for where in ("auto", "always") if limit else ("never",):
        forget(table)
        with nullcontext(None) if limit is None else memory_group(limit) as group:
            run = train(table, where, folder, group)
        yield {
            "run": f"polylogit, data.in_memory={where}, {reason}",
            "rows": f"{rows:,} x {columns}",
            "table_mib": round(size / MIB),
            "seconds": round(run["seconds"], 1),
            "memory_mib": round((run["peak"] - small["peak"]) / MIB),
            "group_mib": round(run["group"] / MIB) or "",
            "test_log_loss": outcome(run),
        }
    table.unlink()


def processes_fit(rank: int, size: int, rows: int, columns: int, port: int) -> None:
    """The part of one process: it draws its rows, fits with the others and prints seconds, bytes and the gap."""
    import torch
    import torch.distributed

    from polylogit.solver.softmax_regression import fit_softmax_regression

    torch.set_num_threads(1)
    draw = torch.Generator().manual_seed(0)
    weight = 2 * torch.randn(columns, CLASSES, generator=draw) / columns**0.5
    numbers = range(BLOCKS)[rank::size]  # the same rows, whoever holds them
    X = torch.empty(len(numbers), rows // BLOCKS, columns)
    y = torch.empty(len(numbers), rows // BLOCKS, dtype=torch.int64)
    for some, targets, number in zip(X, y, numbers, strict=True):
        draw.manual_seed(1 + number)
        torch.randn(some.shape, generator=draw, out=some)
        noise = -(-torch.rand(len(some), CLASSES, generator=draw).log()).log()
        torch.argmax(some @ weight + noise, 1, out=targets)
    X, y = X.flatten(0, 1), y.flatten()
    group, sent = None, 0
    if size > 1:
        torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=size)
        group, plain = torch.distributed.group.WORLD, torch.distributed.all_reduce

        def counted(tensor: torch.Tensor, op: object, group: object) -> None:
            nonlocal sent
            sent += tensor.nbytes
            plain(tensor, op=op, group=group)

        torch.distributed.all_reduce = counted
    seconds, cpu = [], []
    for _ in range(REPEATS + 1):
        if size > 1:
            torch.distributed.barrier()
        sent, started, used = 0, time.perf_counter(), time.process_time()
        fit = fit_softmax_regression(X, y, classes=CLASSES, tolerance=1e-4, process_group=group)
        seconds.append(time.perf_counter() - started)
        cpu.append(time.process_time() - used)
    print(
        json.dumps(
            {
                "seconds": sorted(seconds[1:]),  # the first warms up
                "cpu": statistics.median(cpu[1:]),
                "bytes": sent,
                "objective": fit.objective,
                "gap": fit.optimality_gap,
                "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
        )
    )


def several(rows: int, columns: int) -> Iterator[dict[str, Any]]:
    """One process and two, and what follows for more."""
    measured = {}
    for size in (1, 2, 1, 2):  # in turn
        words = [str(rows), str(columns), str(20_000 + os.getpid() % 20_000)]
        started = [
            subprocess.Popen(
                [sys.executable, __file__, "--rank", str(rank), str(size), *words],
                stdout=subprocess.PIPE,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
            for rank in range(size)
        ]
        ended = [json.loads(process.communicate()[0].splitlines()[-1]) for process in started]
        before = measured.get(size)
        measured[size] = ended[0] | {
            "seconds": sorted(ended[0]["seconds"] + (before["seconds"] if before else [])),
            "cpu": [*(before["cpu"] if before else []), sum(one["cpu"] for one in ended)],
            "peaks": [one["peak"] for one in ended],
        }
    of_one = statistics.median(measured[1]["seconds"])
    for size, found in measured.items():
        median = statistics.median(found["seconds"])
        yield {
            "run": f"fit_softmax_regression, {size} process{'es' * (size > 1)} of 1 thread",
            "rows": f"{rows:,} x {columns}, {CLASSES} classes",
            "table_mib": round(rows * columns * 4 / MIB),
            "seconds_median": round(median, 2),
            "seconds_range": f"{found['seconds'][0]:.2f} to {found['seconds'][-1]:.2f}, n={len(found['seconds'])}",
            "cpu_seconds": " and ".join(f"{cpu:.2f}" for cpu in found["cpu"]),
            "memory_mib": " and ".join(str(round(peak / MIB)) for peak in found["peaks"]),
            "bytes_added_up": found["bytes"],
            "efficiency": round(of_one / median / size, 3),
            "gap": f"{found['gap']:.1e}",
            "objective": f"{found['objective']:.9f}",
        }
    overhead = max(0.0, statistics.median(measured[2]["seconds"]) - of_one / 2)
    for machines in (4, 16, 64):  # a ring sends each byte twice; the overhead of a sum grows with its rounds
        seconds = of_one / machines + 2 * measured[2]["bytes"] / BYTES_A_SECOND + overhead * math.log2(machines)
        yield {
            "run": f"computed: {machines} machines at {BYTES_A_SECOND * 8 / 1e9:.0f} Gbit/s",
            "rows": f"{rows:,} x {columns}, {CLASSES} classes",
            "seconds_median": round(seconds, 3),
            "efficiency": round(of_one / seconds / machines, 3),
        }


def commands(folder: Path, rows: int, columns: int, rounds: int) -> Iterator[dict[str, Any]]:
    """The whole command by one process and by two, turn by turn."""
    table = folder / "command.parquet"
    write_table(table, rows, columns)
    anonymous = small_run(folder, columns)["peak"]
    runs: dict[int, list[dict[str, Any]]] = {1: [], 2: []}
    for _ in range(rounds):
        for size, done in runs.items():
            done.append(train(table, "never", folder, processes=size))
    for size, done in runs.items():
        yield {
            "run": f"polylogit train, {size} process{'es' * (size > 1)} of 1 thread",
            "rows": f"{rows:,} x {columns}",
            "rows_per_process": " and ".join(f"{count:,}" for count in done[0].get("rows_per_process") or [rows]),
            "table_mib": round(table.stat().st_size / MIB),
            **times_of(done),
            "memory_mib": " and ".join(str(round((peak - anonymous) / MIB)) for peak in done[0]["peaks"]),
            "test_log_loss": outcome(done[0]),
        }
    table.unlink()


def network_steps(rank: int, size: int, port: int) -> None:
    """The part of one process: it fits each network for some epochs and prints the seconds of a step in each."""
    import torch
    import torch.distributed

    from polylogit.data.pictures.encoder import PictureEncoder
    from polylogit.data.pictures.sources import open_pictures
    from polylogit.fitting.loop import fit_network
    from polylogit.fitting.options import TrainingOptions
    from polylogit.networks import CnnNetwork

    torch.set_num_threads(1)
    group = None
    if size > 1:
        torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=size)
        group = torch.distributed.group.WORLD
    source = open_pictures("fashion-mnist")
    pixels, targets = source.pictures.pixels[: BATCH * STEPS], source.targets[: BATCH * STEPS]
    encoder = PictureEncoder.fit(pixels)
    found = {}
    for name, options in NETWORKS.items():
        times = [(time.perf_counter(), time.process_time())]
        optimizer = "muon" if "Muon" in name else "adamw"
        fit_network(
            CnnNetwork(1, 28, 28, 10, **options),
            pixels,
            targets,
            options=TrainingOptions(epochs=REPEATS + 1, batch_size=BATCH, optimizer=optimizer),
            prepare=encoder.prepare,
            check_misuse=False,
            process_group=group,
            on_epoch=lambda _, times=times: times.append((time.perf_counter(), time.process_time())),
        )
        pairs = list(pairwise(times[1:]))  # the first epoch warms up
        found[name] = {
            kind: [(after[place] - before[place]) / STEPS for before, after in pairs]
            for place, kind in enumerate(("seconds", "processor"))
        }
    print(json.dumps(found))


def networks(rounds: int) -> Iterator[dict[str, Any]]:
    """Steps of networks by one process and by two."""
    seconds: dict[tuple[str, int], list[float]] = {}
    processor: dict[tuple[str, int], list[float]] = {}
    for _ in range(rounds):
        for size in (1, 2):
            port = str(20_000 + os.getpid() % 20_000)
            started = [
                subprocess.Popen(
                    [sys.executable, __file__, "--network-rank", str(rank), str(size), port],
                    stdout=subprocess.PIPE,
                    env={**os.environ, "OMP_NUM_THREADS": "1"},
                )
                for rank in range(size)
            ]
            ended = [json.loads(process.communicate()[0].splitlines()[-1]) for process in started]
            for name in NETWORKS:
                seconds.setdefault((name, size), []).extend(ended[0][name]["seconds"])
                together = zip(*(one[name]["processor"] for one in ended), strict=True)
                processor.setdefault((name, size), []).extend(map(sum, together))
    for (name, size), taken in seconds.items():
        wall, cpu = statistics.median(taken), statistics.median(processor[name, size])
        yield {
            "run": f"{name}, {size} process{'es' * (size > 1)} of 1 thread",
            "rows": f"batches of {BATCH}",
            "step_ms_median": round(1000 * wall, 1),
            "step_ms_range": f"{1000 * min(taken):.0f} to {1000 * max(taken):.0f}, n={len(taken)}",
            "processor_ms": round(1000 * cpu, 1),
            "processor_ms_range": f"{1000 * min(processor[name, size]):.0f} to {1000 * max(processor[name, size]):.0f}",
            "efficiency": round(statistics.median(seconds[name, 1]) / wall / size, 3),
            "processor_efficiency": round(statistics.median(processor[name, 1]) / cpu, 3),
            "load": round(os.getloadavg()[0], 1),
        }


def main() -> None:
    """Measure, print and write the result."""
    parser = arguments(__doc__)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the parts speed and processes")
    parser.add_argument("--columns", type=int, default=40)
    parser.add_argument("--rank", nargs=5, type=int, help=argparse.SUPPRESS)
    parser.add_argument("--network-rank", nargs=3, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.network_rank:
        network_steps(*options.network_rank)
        return
    if options.rank:
        processes_fit(*options.rank)
        return
    rows = []
    with tempfile.TemporaryDirectory(dir=os.environ.get("POLYLOGIT_CACHE")) as name:
        if "speed" in options.part:
            size = (20_000, 40) if options.quick else (options.rows, options.columns)
            rows += list(speed(Path(name), *size, rounds=1 if options.quick else 2))
        if "limit" in options.part:
            rows += list(limited(Path(name), *((200_000, 1000) if options.quick else (500_000, 1000))))
        if "command" in options.part:
            size = (20_000, 40) if options.quick else (options.rows, options.columns)
            rows += list(commands(Path(name), *size, rounds=1 if options.quick else 2))
    if "processes" in options.part:
        rows += list(several(*((40_000, 40) if options.quick else (options.rows, options.columns))))
    if "networks" in options.part:
        rows += list(networks(1 if options.quick else ROUNDS))
    write_result(
        "scale" if len(options.part) == len(PARTS) else f"scale-{options.part[0]}",
        claim="A table four times as large as the memory that a process may allocate is trained on; out of core takes "
        "at most 1.5 times as long as in memory where the file cache holds the table; two processes are at least 0.85 "
        "as efficient as one, and at least 0.8 at the steps of networks.",
        rows=rows,
        quick=options.quick,
    )


if __name__ == "__main__":
    main()
