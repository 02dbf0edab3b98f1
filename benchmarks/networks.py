"""Networks on Fashion-MNIST and MNIST: steps a second, seconds to the documents' accuracy, the recipes, memory.

Five claims, one a part; each is kept as a result of its own:

    steps      The source documents' networks through their loop, Lightning, Keras on torch, skorch and polylogit: in
               float32 ("same arithmetic") and as polylogit chooses itself. Milliseconds are those of a step.
    limit      The documents' loop and polylogit beside the limit of the machine: what the matrix products and
               convolutions of a step take when they are called directly (network_limits.py says what is counted). The
               share is the limit's time in that of polylogit's step; the second limit has the optimiser's update too.
    target     Seconds from raw files in memory to 0.9154 on the test set, the accuracy that the documents'
               convolutional network ends at, beside the seconds that its 30 epochs take (24 steps of it, scaled).
    recipes    `polylogit train` with the shipped recipes: accuracy and seconds.
    memory     The most memory that a process held: with the data alone, after polylogit's training, after the
               documents' loop.

The recipes were chosen on 10,000 training pictures that the candidates had not seen; the test sets are used here only.
Needs POLYLOGIT_DATA (or the network) and, for the peers, `pip install 'polylogit[bench]'`.
Run: python benchmarks/networks.py [--part steps] [--recipes mnist] [--seeds 5] [--quick]
     OMP_NUM_THREADS=1 python benchmarks/networks.py --part limit --clock cpu --page networks-limit-PROCESSOR

`--clock cpu` counts the processor's time of all threads in the parts steps and limit, which other work on the machine
changes little. Take one thread then: several wait for each other on the processor's time. Instructions are limited, as
on an older processor, by ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2, which the page shows.
"""

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from network_limits import limits
from network_peers import DOCUMENTS_BATCH, NETWORKS, Clock, documents_loop, loops, our_network, polylogit_loop
from timing import RESULTS, Timing, arguments, as_row, machine, ratio, write_result

from polylogit.data.pictures.augmentation import Augmentation
from polylogit.data.pictures.encoder import PictureEncoder
from polylogit.data.pictures.sources import PictureSource, open_pictures
from polylogit.data.split import stratified_split
from polylogit.fitting.devices import uses_bfloat16
from polylogit.fitting.forward import network_logits
from polylogit.fitting.loop import fit_network
from polylogit.networks import build_network
from polylogit.recipes import read_recipe, recipe_from_entries
from polylogit.run import train
from polylogit.run.network_fit import loop_options
from polylogit.run.validation_split import usual_validation_share

TARGET = 0.9154
EPOCHS_OF_THE_DOCUMENTS = 30
STEPS = {"wide-dropout": 32, "cnn": 16}
STEPS_OF_SMALL_NETWORKS = 80
ROUNDS = 5
ROUNDS_OF_LIMIT = 15
CLOCKS: Mapping[str, Clock] = {"wall": time.perf_counter, "cpu": time.process_time}
RECIPES = {"mnist": "mnist", "fashion-mnist": "fashion-mnist", "fashion-best": "fashion-mnist"}


def in_turn(epochs: Mapping[str, Callable[[], float]], count: int, rounds: int) -> dict[str, Timing]:
    """Seconds of a step of each loop: an epoch each in an order that is drawn for each round, after a warm-up."""
    seconds: dict[str, list[float]] = {loop: [] for loop in epochs}
    for epoch in epochs.values():
        epoch()
    order, draw = list(epochs), random.Random(0)  # noqa: S311 - the order of measurements is no secret
    for _ in range(rounds):
        draw.shuffle(order)
        for loop in order:
            seconds[loop].append(epochs[loop]() / count)
    return {loop: Timing(tuple(values)) for loop, values in seconds.items()}


def steps(source: PictureSource, page: str, clock: str, *, quick: bool) -> None:
    """Part one: the same rows through every loop, turn by turn."""
    rows = []
    for name in NETWORKS:
        count = 2 if quick else STEPS.get(name, STEPS_OF_SMALL_NETWORKS)
        taken = slice(0, DOCUMENTS_BATCH * count)
        epochs = loops(name, source.pictures.pixels[taken], source.targets[taken], CLOCKS[clock])
        timings = in_turn(epochs, count, 1 if quick else ROUNDS)
        speedups = {
            f"{ours}_over_{peer}": round(1 / ratio(timings, f"polylogit_{ours}", peer), 2)
            for ours in ("float32", "auto")
            for peer in timings
            if not peer.startswith("polylogit")
        }
        rows.append({"network": name, "steps": count, **speedups, **as_row(timings)})
        print(rows[-1], flush=True)
    write_result(
        page,
        claim="Steps a second on the documents' networks, as many times those of their own loop, Lightning, Keras "
        f"(torch backend) and skorch; by the {_NAMES_OF_CLOCKS[clock]}.",
        rows=rows,
        quick=quick,
    )


def limit(source: PictureSource, page: str, clock: str, names: list[str], *, quick: bool) -> None:
    """Part two: the documents' loop and polylogit's beside the products of a step."""
    rows = []
    for name in names:
        count = 2 if quick else STEPS.get(name, STEPS_OF_SMALL_NETWORKS)
        taken = slice(0, DOCUMENTS_BATCH * count)
        pixels, targets = source.pictures.pixels[taken], source.targets[taken]
        able = torch.backends.cpu.get_cpu_capability() != "AVX2"  # where AVX2 is simulated torch still sees bfloat16
        bfloat16 = able and uses_bfloat16("auto", torch.device("cpu"), our_network(name), pictures=True)
        epochs = {"documents": documents_loop(name, pixels, targets, CLOCKS[clock])}
        dtypes = {"float32": torch.float32} | ({"auto": torch.bfloat16} if bfloat16 else {})
        for precision in dtypes:
            epochs[precision] = polylogit_loop(name, pixels, targets, precision, CLOCKS[clock])
        ways: dict[str, str] = {}
        for precision, dtype in dtypes.items():
            found = limits(name, dtype, CLOCKS[clock], count, quick=quick)
            ways[precision] = found.ways
            epochs |= {f"{precision}_products": found.products, f"{precision}_with_update": found.with_update}
        timings = in_turn(epochs, count, 1 if quick else ROUNDS_OF_LIMIT)
        shown = {}
        for precision in ("float32", "auto"):
            of = precision if precision in ways else "float32"
            shown |= {
                f"{precision}_ms": _median_and_quartiles(timings[of]),
                f"{precision}_products_ms": _median_and_quartiles(timings[f"{of}_products"]),
                f"{precision}_products_and_update_ms": _median_and_quartiles(timings[f"{of}_with_update"]),
                f"{precision}_share_of_products": round(ratio(timings, f"{of}_products", of), 2),
                f"{precision}_share_with_update": round(ratio(timings, f"{of}_with_update", of), 2),
            }
        rows.append(
            {
                "network": name,
                "n": timings["documents"].n,
                "steps": count,
                "documents_ms": _median_and_quartiles(timings["documents"]),
                **shown,
                "auto_is": "bfloat16" if bfloat16 else "float32",
                **{f"{precision}_products_by": way for precision, way in ways.items()},
                "taken": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            }
        )
        print(rows[-1], flush=True)
    known = {row["network"]: row for row in (*_rows_of_this_machine(page), *rows)}
    rows = [known[name] for name in NETWORKS if name in known]
    simulated = os.environ.get("ATEN_CPU_CAPABILITY")
    limited = (
        ""
        if simulated is None
        else (
            f" Instructions limited to simulate another processor: ATEN_CPU_CAPABILITY={simulated} "
            f"ONEDNN_MAX_CPU_ISA={os.environ.get('ONEDNN_MAX_CPU_ISA', 'unset')}."
        )
    )
    write_result(
        page,
        claim="A step of the documents' networks beside the limit of the machine, its matrix products and convolutions "
        f"alone: milliseconds of the {_NAMES_OF_CLOCKS[clock]}, median (quartiles).{limited}",
        rows=rows,
        quick=quick,
    )


def _rows_of_this_machine(page: str) -> list[dict[str, Any]]:
    """The rows of a page so far, if the machine and the versions are those of now."""
    path = RESULTS / f"{page}.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return [{"taken": kept["taken"]} | row for row in kept["rows"]] if kept.get("machine") == machine() else []


def _median_and_quartiles(timing: Timing) -> str:
    low, high = timing.quartiles
    return f"{timing.median * 1e3:.4g} ({low * 1e3:.4g} to {high * 1e3:.4g})"


_NAMES_OF_CLOCKS = {"wall": "clock on the wall", "cpu": "processor"}


def target(source: PictureSource, seeds: int, *, quick: bool) -> None:
    """Part three: seconds to the documents' accuracy."""
    assert source.own_split is not None
    pixels, targets = source.pictures.pixels, source.targets
    fitted, judged = source.own_split.train, source.own_split.test
    recipe = recipe_from_entries(read_recipe(Path("fashion-fast"), ["training.epochs=1"] if quick else []))
    share = DOCUMENTS_BATCH * (2 if quick else 24)
    documents = documents_loop("cnn", pixels[:share], targets[:share])
    documents()
    validation = (recipe.training.validation_fraction or usual_validation_share(len(fitted))) if not quick else 0.9
    kept = stratified_split(targets[fitted], validation, seed=0)  # as `polylogit train` keeps some for calibration
    fitted = fitted[kept.train]
    rows = []
    for seed in range(1 if quick else seeds):
        seconds_of_documents = documents() * 60_000 / share * EPOCHS_OF_THE_DOCUMENTS
        start = time.perf_counter()
        inputs = pixels[fitted]
        encoder = PictureEncoder.fit(inputs)
        torch.manual_seed(seed)
        shape = dict(zip(("channels", "height", "width"), encoder.input_shape, strict=True))
        network = build_network("cnn", {**shape, "classes": 10, **recipe.model.model_dump(exclude={"kind"})})
        augmentation = Augmentation(**recipe.augmentation.model_dump())
        fit_network(
            network,
            inputs,
            targets[fitted],
            options=loop_options(recipe.model_copy(update={"seed": seed}), len(fitted)),
            prepare=encoder.prepare,
            augment=augmentation if augmentation.changes_anything else None,
        )
        seconds = time.perf_counter() - start
        right = network_logits(network, pixels[judged], prepare=encoder.prepare).argmax(1) == targets[judged]
        accuracy = float(right.float().mean())
        rows.append(
            {
                "seed": seed,
                "test_accuracy": round(accuracy, 4),
                "arrived": accuracy >= TARGET,
                "seconds": round(seconds, 2),
                "judging_seconds": round(time.perf_counter() - start - seconds, 2),
                "documents_seconds_for_30_epochs": round(seconds_of_documents, 1),
                "ratio": round(seconds_of_documents / seconds, 1),
            }
        )
        print(rows[-1], flush=True)
    median = statistics.median(row["ratio"] for row in rows)
    low, high = min(row["ratio"] for row in rows), max(row["ratio"] for row in rows)
    arrived = sum(row["arrived"] for row in rows)
    write_result(
        "networks-target",
        claim=f"Seconds to {TARGET} on the test set of Fashion-MNIST: {arrived} of {len(rows)} seeds arrive, and the "
        f"documents' 30 epochs take {median:.0f} times as long (median; {low:.0f} to {high:.0f}).",
        rows=rows,
        quick=quick,
    )


def recipes(names: list[str], *, quick: bool) -> None:
    """Part four: the main job as a user runs it."""
    rows = []
    for name in names:
        entries = read_recipe(Path(name), ["training.epochs=1", "training.batch_size=4096"] if quick else [])
        with tempfile.TemporaryDirectory() as folder:
            run = train(RECIPES[name], recipe_from_entries(entries), out=Path(folder) / "model.safetensors")
        rows.append(
            {
                "data": RECIPES[name],
                "recipe": name,
                "seed": run.recipe.seed,
                "epochs": run.epochs,
                "accuracy": run.test.accuracy,
                "log_loss_uncalibrated": round(run.test_uncalibrated.log_loss, 4),
                "log_loss": round(run.test.log_loss, 4),
                "calibration_error_uncalibrated": round(run.test_uncalibrated.calibration_error, 4),
                "calibration_error": round(run.test.calibration_error, 4),
                "seconds": round(run.seconds, 1),
            }
        )
        print(rows[-1], flush=True)
    single = f"-{names[0]}" if len(names) == 1 else ""
    write_result(
        f"networks-recipes{single}",
        claim="What the shipped recipes reach on the test sets, one run each (n = 1, no spread), and in how many "
        "seconds from the files to the judged model.",
        rows=rows,
        quick=quick,
    )


def memory(*, quick: bool) -> None:
    """Part five: each candidate in a process of its own."""
    rows = []
    for what in ("data alone", "polylogit mlp", "polylogit cnn", "documents mlp-256"):
        command = [sys.executable, __file__, "--hold", what, *(["--quick"] if quick else [])]
        peak = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])
        rows.append({"process": what, "n": 1, "peak_mib": round(peak)})
        rows[-1]["beyond_data_mib"] = rows[-1]["peak_mib"] - rows[0]["peak_mib"]
    write_result(
        "networks-memory",
        claim="The most memory that training on Fashion-MNIST holds: the 70,000 pictures are 52 MiB as bytes and "
        "would be 209 MiB as float32, of which polylogit makes no copy.",
        rows=rows,
        quick=quick,
    )


def hold(what: str, *, quick: bool) -> None:
    """One process of part five: does the work and prints its peak in MiB."""
    source = open_pictures("fashion-mnist")
    kind, _, network = what.partition(" ")
    if kind == "polylogit":
        entries = {"model": {"kind": network}, "training": {"epochs": 1, "batch_size": 2048 if quick else 256}}
        with tempfile.TemporaryDirectory() as folder:
            del source  # the run reads its own
            train("fashion-mnist", recipe_from_entries(entries), out=Path(folder) / "model.safetensors")
    elif kind == "documents":
        assert source.own_split is not None
        rows = source.own_split.train
        documents_loop(network, source.pictures.pixels[rows], source.targets[rows])()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    """Run the parts that are asked for."""
    parser = arguments(__doc__)
    parser.add_argument("--part", choices=["steps", "limit", "target", "recipes", "memory"], help="one part alone")
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall", help="of the parts steps and limit")
    parser.add_argument("--page", help="name of the result of the part steps or limit; networks-PART when left out")
    parser.add_argument(
        "--networks",
        nargs="+",
        choices=NETWORKS,
        default=list(NETWORKS),
        help="of the part limit; the others' rows stay",
    )
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=list(RECIPES), help="of that part")
    parser.add_argument("--seeds", type=int, default=5, help="runs of the part target")
    parser.add_argument("--hold", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.hold is not None:
        hold(given.hold, quick=given.quick)
        return
    if given.page is not None and given.part not in {"steps", "limit"}:
        parser.error("--page names the result of --part steps or --part limit")
    source = open_pictures("fashion-mnist")
    if given.part in (None, "steps"):
        steps(source, given.page or "networks-steps", given.clock, quick=given.quick)
    if given.part in (None, "limit"):
        limit(source, given.page or "networks-limit", given.clock, given.networks, quick=given.quick)
    if given.part in (None, "target"):
        target(source, given.seeds, quick=given.quick)
    if given.part in (None, "recipes"):
        recipes(given.recipes, quick=given.quick)
    if given.part in (None, "memory"):
        memory(quick=given.quick)


if __name__ == "__main__":
    main()
