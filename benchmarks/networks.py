"""Networks on Fashion-MNIST and MNIST: steps a second, seconds to the documents' accuracy, the recipes, memory.

Four claims, one a part; each is kept as a result of its own:

    steps      The source documents' networks through their loop, Lightning, Keras on torch, skorch and polylogit: in
               float32 ("same arithmetic") and as polylogit chooses itself. Milliseconds are those of a step.
    target     Seconds from raw files in memory to 0.9154 on the test set, the accuracy that the documents'
               convolutional network ends at, beside the seconds that its 30 epochs take (24 steps of it, scaled).
    recipes    `polylogit train` with the shipped recipes: accuracy and seconds.
    memory     The most memory that a process held: with the data alone, after polylogit's training, after the
               documents' loop.

The recipes were chosen on 10,000 training pictures that the candidates had not seen; the test sets are used here only.
Needs POLYLOGIT_DATA (or the network) and, for the peers, `pip install 'polylogit[bench]'`.
Run: python benchmarks/networks.py [--part steps] [--recipes mnist] [--seeds 5] [--quick]
"""

import argparse
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from network_peers import DOCUMENTS_BATCH, NETWORKS, documents_loop, loops
from timing import Timing, arguments, as_row, ratio, write_result

from polylogit.data.pictures.augmentation import Augmentation
from polylogit.data.pictures.encoder import PictureEncoder
from polylogit.data.pictures.sources import PictureSource, open_pictures
from polylogit.data.split import stratified_split
from polylogit.fitting.forward import network_logits
from polylogit.fitting.loop import fit_network
from polylogit.networks import build_network
from polylogit.recipes import read_recipe, recipe_from_entries
from polylogit.run import train
from polylogit.run.network_fit import loop_options
from polylogit.run.validation_split import usual_validation_share

TARGET = 0.9154
EPOCHS_OF_THE_DOCUMENTS = 30
STEPS = {"wide-dropout": 32, "cnn": 6}
STEPS_OF_SMALL_NETWORKS = 80
ROUNDS = 5
RECIPES = {"mnist": "mnist", "fashion-mnist": "fashion-mnist", "fashion-best": "fashion-mnist"}


def steps(source: PictureSource, *, quick: bool) -> None:
    """Part one: the same rows through every loop, turn by turn."""
    rows = []
    for name in NETWORKS:
        count = 2 if quick else STEPS.get(name, STEPS_OF_SMALL_NETWORKS)
        taken = slice(0, DOCUMENTS_BATCH * count)
        epochs = loops(name, source.pictures.pixels[taken], source.targets[taken])
        seconds: dict[str, list[float]] = {loop: [] for loop in epochs}
        for epoch in epochs.values():
            epoch()
        order, draw = list(epochs), random.Random(0)  # noqa: S311 - the order of measurements is no secret
        for _ in range(1 if quick else ROUNDS):
            draw.shuffle(order)
            for loop in order:
                seconds[loop].append(epochs[loop]() / count)
        timings = {loop: Timing(tuple(values)) for loop, values in seconds.items()}
        speedups = {
            f"{ours}_over_{peer}": round(1 / ratio(timings, f"polylogit_{ours}", peer), 2)
            for ours in ("float32", "auto")
            for peer in timings
            if not peer.startswith("polylogit")
        }
        rows.append({"network": name, "steps": count, **speedups, **as_row(timings)})
        print(rows[-1], flush=True)
    write_result(
        "networks-steps",
        claim="Steps a second on the documents' networks, as many times those of their own loop, Lightning, Keras "
        "(torch backend) and skorch.",
        rows=rows,
        quick=quick,
    )


def target(source: PictureSource, seeds: int, *, quick: bool) -> None:
    """Part two: seconds to the documents' accuracy."""
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
    """Part three: the main job as a user runs it."""
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
    """Part four: each candidate in a process of its own."""
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
    """One process of part four: does the work and prints its peak in MiB."""
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
    parser.add_argument("--part", choices=["steps", "target", "recipes", "memory"], help="one part alone")
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=list(RECIPES), help="of that part")
    parser.add_argument("--seeds", type=int, default=5, help="runs of the part target")
    parser.add_argument("--hold", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.hold is not None:
        hold(given.hold, quick=given.quick)
        return
    source = open_pictures("fashion-mnist")
    if given.part in (None, "steps"):
        steps(source, quick=given.quick)
    if given.part in (None, "target"):
        target(source, given.seeds, quick=given.quick)
    if given.part in (None, "recipes"):
        recipes(given.recipes, quick=given.quick)
    if given.part in (None, "memory"):
        memory(quick=given.quick)


if __name__ == "__main__":
    main()
