"""Claim: a cnn on oriented gradients reaches the accuracy of the former recipe in at most a quarter of the time.

Candidates for the recipe of a data set, each fitted on 50,000 of its 60,000 training pictures and judged on the other
10,000: the test set is not read. One run each (n = 1): seeds differ by up to 0.004. Seconds are processor time of the
fit with one thread, which other work on the machine changes less than time on the wall.

    auto       as a recipe chooses: bfloat16 where the processor has instructions for it
    float32    the same in float32; with ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2
               MKL_ENABLE_INSTRUCTIONS=AVX2 before the command as on a processor without AVX-512. There the former
               recipes are timed for one epoch, times their epochs, and their accuracy is not measured.

Run: python benchmarks/frontier.py [--data mnist] [--precision float32] [--only NAME ...] [--quick]
     python benchmarks/frontier.py --few         (240, 800 and 8,000 pictures)
     python benchmarks/frontier.py --draw        (the picture from the results of all runs)
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from timing import RESULTS, arguments, machine, write_result

from polylogit.data.pictures.augmentation import Augmentation
from polylogit.data.pictures.encoder import PictureEncoder
from polylogit.data.pictures.sources import open_pictures
from polylogit.data.split import stratified_split
from polylogit.fitting.forward import network_logits
from polylogit.fitting.loop import fit_network
from polylogit.networks import build_network
from polylogit.recipes import read_recipe, recipe_from_entries
from polylogit.run.network_fit import loop_options

JUDGED = 1 / 6
"""10,000 of 60,000 training pictures."""

PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "frontier.png"
FORMER = "former recipe"
COUNTS = (240, 800, 8000)
GRADIENTS = (
    'model.kind="cnn"',
    "model.orientations=8",
    "model.kernel_sizes=3",
    "model.strides=1",
    "model.pools=1",
    'model.padding="valid"',
    "model.widths=[64, 128]",
    "model.hidden=[256]",
    'training.optimizer="muon"',
    "training.batch_size=512",
    "training.learning_rate=0.008",
)
WIDE = "model.widths=[64, 256]"
MIRRORED, MEAN = "augmentation.flip=true", 'model.views="mirror"'
CANDIDATES: Mapping[str, Mapping[str, Sequence[str]]] = {
    "fashion-mnist": {
        FORMER: (
            'model.kind="cnn"',
            "model.blocks=[0, 0, 1]",
            'model.views="mirror-cross"',
            "training.epochs=10",
            "training.batch_size=512",
            'training.optimizer="muon"',
            "training.learning_rate=0.005",
            "augmentation.flip=true",
            "augmentation.shift=2",
        ),
        "fashion-fast": (*GRADIENTS, "model.hidden=[128]", "training.epochs=3"),
        "hidden 256": (*GRADIENTS, "training.epochs=3"),
        "hidden 256, 6 epochs": (*GRADIENTS, "training.epochs=6"),
        "hidden 256, mirrored, 6 epochs": (*GRADIENTS, "training.epochs=6", MIRRORED),
        "hidden 256, mirrored, mean, 6 epochs": (*GRADIENTS, "training.epochs=6", MIRRORED, MEAN),
        "64-256, hidden 256, mirrored, mean, 6 epochs": (*GRADIENTS, WIDE, "training.epochs=6", MIRRORED, MEAN),
    },
    "mnist": {
        FORMER: ('model.kind="cnn"', "training.epochs=12", "augmentation.shift=2"),
        "hidden 256": (*GRADIENTS, "training.epochs=3"),
        "hidden 256, 6 epochs": (*GRADIENTS, "training.epochs=6"),
        "hidden 256, shifted, 6 epochs": (*GRADIENTS, "training.epochs=6", "augmentation.shift=2"),
    },
}


def fitted(
    data: str, settings: Sequence[str], *, precision: str, quick: bool, count: int | None = None
) -> dict[str, Any]:
    """Fit a candidate and judge it on pictures that it has not seen.

    Args:
        data: Name of the data set.
        settings: Of the recipe.
        precision: As a recipe names it.
        quick: Whether a thousand pictures and one epoch are enough.
        count: How many pictures to fit, drawn at random, to be judged on 4,000; None: all, on 10,000.

    Returns:
        A row of the result.
    """
    source = open_pictures(data)
    assert source.own_split is not None
    more = ["training.epochs=1"] if quick else []
    recipe = recipe_from_entries(read_recipe(None, [*settings, f'training.precision="{precision}"', *more]))
    training = source.own_split.train
    parts = stratified_split(source.targets[training], JUDGED, seed=0)
    chosen, judged = training[parts.train], training[parts.test]
    if count is not None:
        drawn = torch.randperm(len(chosen), generator=torch.Generator().manual_seed(0))
        chosen, judged = chosen[drawn[:count]], judged[:4000]
    chosen = chosen[: 1000 if quick else None]
    options = loop_options(recipe, len(chosen))
    started = time.process_time()
    encoder = PictureEncoder.fit(source.pixels[chosen])
    torch.manual_seed(recipe.seed)
    shape = dict(zip(("channels", "height", "width"), encoder.input_shape, strict=True))
    network = build_network("cnn", {**shape, "classes": 10, **recipe.model.model_dump(exclude={"kind"})})
    augmentation = Augmentation(**recipe.augmentation.model_dump())
    fit_network(
        network,
        source.pixels[chosen],
        source.targets[chosen],
        options=options,
        prepare=encoder.prepare,
        augment=augmentation if augmentation.changes_anything else None,
    )
    seconds = time.process_time() - started
    right = network_logits(network, source.pixels[judged], prepare=encoder.prepare).argmax(1) == source.targets[judged]
    return {
        "epochs": options.epochs,
        "validation_accuracy": round(float(right.float().mean()), 4),
        "cpu_seconds": round(seconds, 1),
    }


def timed_epochs(data: str, settings: Sequence[str], *, precision: str) -> dict[str, Any]:
    """The seconds of a candidate from one epoch of it; its accuracy is not known then."""
    epochs = recipe_from_entries(read_recipe(None, list(settings))).training.epochs
    row = fitted(data, [*settings, "training.epochs=1"], precision=precision, quick=False)
    return {"epochs": epochs, "validation_accuracy": "", "cpu_seconds": round(epochs * row["cpu_seconds"], 1)}


def few(data: str, *, quick: bool) -> None:
    """The second claim: `training.least_steps` makes a recipe of few steps work on few pictures."""
    rows = []
    for count in COUNTS[: 1 if quick else None]:
        candidates = {"cnn, defaults": ['model.kind="cnn"']}
        for steps in (100, 200, 400):
            candidates[f"fashion-fast, {steps} steps"] = [
                *CANDIDATES["fashion-mnist"]["fashion-fast"],
                f"training.least_steps={steps}",
            ]
        for name, settings in candidates.items():
            row = fitted(data, settings, precision="auto", quick=False, count=count)
            rows.append({"pictures": count, "candidate": name, "n": 1, **row})
            print(rows[-1], flush=True)
    write_result(
        f"frontier-few-{data}",
        claim="With training.least_steps a recipe of few steps works on few pictures; judged on 4,000 others.",
        rows=rows,
        quick=quick,
    )


def draw() -> None:
    """Accuracy against seconds of all results, a curve for the best in each time."""
    from matplotlib import pyplot as plt

    from polylogit.report.palette import COLOURS
    from polylogit.report.style import figure_style

    found = {name: sorted(RESULTS.glob(f"frontier-{name}*.json")) for name in CANDIDATES}
    found = {name: paths for name, paths in found.items() if paths}
    with figure_style():
        _, axes = plt.subplots(1, len(found), figsize=(7 * len(found), 3.8), layout="constrained", squeeze=False)
        for ax, (name, paths) in zip(axes[0], found.items(), strict=True):
            for path, colour in zip(paths, (COLOURS["accent"], COLOURS["warm"]), strict=False):
                page = json.loads(path.read_text(encoding="utf-8"))
                rows = [row for row in page["rows"] if row["validation_accuracy"]]
                rows.sort(key=lambda row: row["cpu_seconds"])
                seconds, accuracy = ([row[key] for row in rows] for key in ("cpu_seconds", "validation_accuracy"))
                label = page["machine"]["cpu_capability"] + (", float32" if "float32" in path.stem else ", bfloat16")
                ax.step(seconds, list(accumulate(accuracy, max)), where="post", color=colour, alpha=0.4, linewidth=1)
                ax.scatter(seconds, accuracy, color=colour, s=18, label=label)
                for row in rows:
                    ax.annotate(row["candidate"], (row["cpu_seconds"], row["validation_accuracy"]), fontsize=6,
                                xytext=(3, -8), textcoords="offset points")  # fmt: skip
            ax.set(
                title=name,
                xscale="log",
                xlabel="processor seconds of the fit, one thread",
                ylabel="accuracy on validation pictures",
            )
            ax.set_xlim(10, 1000)
            ax.set_xticks(
                [10, 20, 50, 100, 200, 500, 1000], ["10", "20", "50", "100", "200", "500", "1,000"], minor=False
            )
            ax.set_xticks([], minor=True)
            ax.legend(fontsize=7, loc="lower right")
    plt.savefig(PICTURE, dpi=110)


def main() -> None:
    """Fit the candidates in turn, or draw."""
    parser: argparse.ArgumentParser = arguments(__doc__)
    parser.add_argument("--data", default="fashion-mnist", choices=list(CANDIDATES))
    parser.add_argument("--precision", default="auto", choices=["auto", "float32"])
    parser.add_argument("--only", nargs="*", help="names of candidates")
    parser.add_argument("--draw", action="store_true", help="draw the results that are there")
    parser.add_argument("--few", action="store_true", help="the second claim: few pictures")
    asked = parser.parse_args()
    if asked.draw:
        draw()
        return
    torch.set_num_threads(1)
    if asked.few:
        few(asked.data, quick=asked.quick)
        return
    rows = []
    for name, settings in CANDIDATES[asked.data].items():
        if asked.only and name not in asked.only:
            continue
        if name == FORMER and asked.precision == "float32":
            row = timed_epochs(asked.data, settings, precision=asked.precision)
        else:
            row = fitted(asked.data, settings, precision=asked.precision, quick=asked.quick)
        rows.append({"candidate": name, "n": 1, **row})
        print(rows[-1], flush=True)
    suffix = "" if asked.precision == "auto" else f"-{asked.precision}-{machine()['cpu_capability'].lower()}"
    write_result(f"frontier-{asked.data}{suffix}", claim=__doc__.splitlines()[0], rows=rows, quick=asked.quick)


if __name__ == "__main__":
    main()
