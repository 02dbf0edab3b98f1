"""Networks on Fashion-MNIST and MNIST: steps a second, seconds to the documents' accuracy, and what the recipes reach.

Three claims, one a part; each is kept as a result of its own:

    steps      The source documents' networks: an epoch of their loop (a DataLoader over a float copy of the
               pictures, one-hot targets, Adam) beside the same rows through polylogit's loop, in float32 and as it
               chooses itself.
    target     Seconds from raw files in memory to 0.9154 on the test set, the accuracy that the documents'
               convolutional network ends at, beside the seconds that its 30 epochs take (a tenth of one, measured).
    recipes    `polylogit train` with the shipped recipes: accuracy and seconds.

The recipes were chosen on 10,000 training pictures that the candidates had not seen; the test sets are used here only.
Needs POLYLOGIT_DATA (or the network). Run: python benchmarks/networks.py [--part steps] [--seeds 5] [--quick]
"""

import statistics
import tempfile
import time
from pathlib import Path

import torch
from timing import arguments, as_row, ratio, side_by_side, write_result
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from polylogit.data.picture_sources import PictureSource, open_pictures
from polylogit.data.pictures import PictureEncoder
from polylogit.fitting.forward import network_logits
from polylogit.fitting.loop import fit_network
from polylogit.fitting.options import TrainingOptions
from polylogit.networks import CnnNetwork, MlpNetwork
from polylogit.recipe import Recipe, read_recipe
from polylogit.run import train

TARGET = 0.9154
EPOCHS_OF_THE_DOCUMENTS = 30
STEPS = 24
NETWORKS = {
    "mlp-32": lambda: MlpNetwork(784, 10, hidden=(32,)),
    "mlp-256": lambda: MlpNetwork(784, 10, hidden=(256,)),
    "deep": lambda: MlpNetwork(784, 10, hidden=(256,) * 4),
    "wide-dropout": lambda: MlpNetwork(784, 10, hidden=(4096,), dropout=0.5),
    "cnn": lambda: CnnNetwork(
        1, 28, 28, 10, widths=(64, 64), kernel_sizes=5, strides=1, pools=2, padding="valid", batch_norm=False
    ),
}


class ReluFirst(nn.Module):
    """The documents' convolutional network as they write it: ReLU before the pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(1, 64, 5), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(64, 64, 5), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(1024, 10)),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.layers(inputs)
        return logits


def documents_loop(network: nn.Module, pixels: Tensor, targets: Tensor) -> None:
    """An epoch of the loop that the documents write."""
    rows = TensorDataset(pixels.float() / 255, nn.functional.one_hot(targets, 10).float())
    optimizer, loss_of = torch.optim.Adam(network.parameters()), nn.CrossEntropyLoss()
    for inputs, one_hot in DataLoader(rows, batch_size=256, shuffle=True):
        loss = loss_of(network(inputs), one_hot)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def our_loop(network: nn.Module, pixels: Tensor, targets: Tensor, precision: str) -> None:
    """The same epoch through `fit_network`."""
    options = TrainingOptions(
        epochs=1, batch_size=256, optimizer="adam", learning_rate=0.001, weight_decay=0.0, precision=precision
    )
    fit_network(network, pixels, targets, options=options, prepare=lambda batch: batch.float() / 255)


def steps(source: PictureSource, *, quick: bool) -> None:
    """Part one: the same rows through both loops."""
    pixels, targets = source.pictures.pixels[: 256 * STEPS], source.targets[: 256 * STEPS]
    rows = []
    for name, build in NETWORKS.items():
        theirs, ours, fast = (ReluFirst() if name == "cnn" else build()), build(), build()
        timings = side_by_side(
            {
                "documents": lambda theirs=theirs: documents_loop(theirs, pixels, targets),
                "float32": lambda ours=ours: our_loop(ours, pixels, targets, "float32"),
                "auto": lambda fast=fast: our_loop(fast, pixels, targets, "auto"),
            },
            rounds=1 if quick else 7,
            warmup=0 if quick else 1,
            sample_seconds=0.0,
        )
        speedups = {f"{kind}_speedup": 1 / ratio(timings, kind, "documents") for kind in ("float32", "auto")}
        rows.append({"network": name, "steps": STEPS, **speedups, **as_row(timings)})
    write_result(
        "networks-steps",
        claim="Steps a second on the documents' networks, as many times those of their own loop.",
        rows=rows,
        quick=quick,
    )


def target(source: PictureSource, seeds: int, *, quick: bool) -> None:
    """Part two: seconds to the documents' accuracy."""
    assert source.own_split is not None
    pixels, targets = source.pictures.pixels, source.targets
    fitted, judged = source.own_split.train, source.own_split.test
    recipe = Recipe.from_entries(read_recipe(Path("fashion-fast")))
    options = TrainingOptions(
        epochs=recipe.training.epochs,
        batch_size=recipe.training.batch_size,
        optimizer=recipe.training.optimizer,
        learning_rate=recipe.training.learning_rate,
        schedule=recipe.training.schedule,
        label_smoothing=recipe.training.label_smoothing,
    )
    share = 256 * (2 if quick else STEPS)
    theirs = ReluFirst()
    rows = []
    for seed in range(1 if quick else seeds):
        start = time.perf_counter()
        documents_loop(theirs, pixels[:share], targets[:share])
        documents = (time.perf_counter() - start) * 60_000 / share * EPOCHS_OF_THE_DOCUMENTS
        start = time.perf_counter()
        encoder = PictureEncoder.fit(pixels[fitted])
        torch.manual_seed(seed)
        network = CnnNetwork(1, 28, 28, 10, **recipe.model.model_dump(exclude={"kind"}))
        options_of_seed = TrainingOptions(**{**vars(options), "seed": seed, "epochs": 1 if quick else options.epochs})
        end = share if quick else 60_000
        fit_network(network, pixels[:end], targets[:end], options=options_of_seed, prepare=encoder.prepare)
        seconds = time.perf_counter() - start
        right = network_logits(network, pixels[judged], prepare=encoder.prepare).argmax(1) == targets[judged]
        accuracy = float(right.float().mean())
        rows.append(
            {
                "seed": seed,
                "test_accuracy": accuracy,
                "arrived": accuracy >= TARGET,
                "seconds": seconds,
                "documents_seconds_for_30_epochs": documents,
                "ratio": documents / seconds,
            }
        )
        print(rows[-1], flush=True)
    median = statistics.median(row["ratio"] for row in rows)
    arrived = sum(row["arrived"] for row in rows)
    write_result(
        "networks-target",
        claim=f"Seconds to {TARGET} on the test set of Fashion-MNIST: {arrived} of {len(rows)} seeds arrive, and the "
        f"documents' 30 epochs take {median:.0f} times as long (median).",
        rows=rows,
        quick=quick,
    )


def recipes(*, quick: bool) -> None:
    """Part three: the main job as a user runs it."""
    rows = []
    for data, name in (("mnist", "mnist"), ("fashion-mnist", "fashion-mnist"), ("fashion-mnist", "fashion-best")):
        entries = read_recipe(Path(name), ["training.epochs=1"] if quick else [])
        with tempfile.TemporaryDirectory() as folder:
            run = train(data, Recipe.from_entries(entries), out=Path(folder) / "model.safetensors")
        figures = {"accuracy": run.test.accuracy, "log_loss": run.test.log_loss, "seconds": run.seconds}
        rows.append({"data": data, "recipe": name, "seed": run.recipe.seed, "epochs": run.epochs, **figures})
        print(rows[-1], flush=True)
    write_result("networks-recipes", claim="What the shipped recipes reach on the test sets.", rows=rows, quick=quick)


def main() -> None:
    """Run the parts that are asked for."""
    parser = arguments(__doc__)
    parser.add_argument("--part", choices=["steps", "target", "recipes"], help="one part alone")
    parser.add_argument("--seeds", type=int, default=5, help="runs of the part target")
    given = parser.parse_args()
    source = open_pictures("fashion-mnist")
    if given.part in (None, "steps"):
        steps(source, quick=given.quick)
    if given.part in (None, "target"):
        target(source, given.seeds, quick=given.quick)
    if given.part in (None, "recipes"):
        recipes(quick=given.quick)


if __name__ == "__main__":
    main()
