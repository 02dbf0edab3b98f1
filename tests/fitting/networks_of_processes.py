"""One of four processes that fit networks together, first two of them and then all: run by `test_several_processes.py`.

Usage: python networks_of_processes.py RANK FOLDER
"""

import signal
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
import torch.distributed as dist
from PIL import Image

from polylogit.data.pictures.augmentation import Augmentation
from polylogit.data.pictures.stored import StoredPictures
from polylogit.errors import PolylogitError, RecipeError
from polylogit.fitting import loop
from polylogit.fitting.callbacks import TrainingCallback
from polylogit.fitting.checkpoint import Checkpoint
from polylogit.fitting.loop import fit_network
from polylogit.fitting.options import TrainingOptions
from polylogit.networks import CnnNetwork, MlpNetwork, ResidualNetwork
from polylogit.networks.members import MlpMembers
from polylogit.system.sparse_rows import SparseRows

ROWS, CLASSES = 23, 3
TABLE = {"features": 5, "classes": CLASSES}
PICTURES = {"channels": 1, "height": 8, "width": 8, "classes": CLASSES}


@dataclass(frozen=True)
class Case:
    """A fit: the network, its rows and its options."""

    network: type
    arguments: dict
    options: dict
    rows: str = "table"
    members: int = 1
    others: dict = field(default_factory=dict)


PLAIN = Case(MlpNetwork, {**TABLE, "hidden": (8,)}, {"batch_size": 6, "epochs": 4})
CASES = {
    "weights, dropout, early stopping": Case(
        MlpNetwork,
        {**TABLE, "hidden": (16, 8), "dropout": 0.3},
        {"batch_size": 7, "optimizer": "muon", "patience": 2, "epochs": 6, "learning_rate": 0.05, "averaging": 0.6},
        others={"class_weight": torch.tensor([1.0, 2.0, 0.5]), "sample_weight": 0.5 + torch.arange(ROWS) % 3},
    ),
    "members, accumulated": Case(
        MlpNetwork,
        {**TABLE, "hidden": (8,), "dropout": 0.25},
        {"batch_size": "all", "optimizer": "adamw", "accumulation": 3, "gradient_clip": 0.1, "label_smoothing": 0.1},
        members=2,
    ),
    "text, fewer rows than processes": Case(
        MlpNetwork, {**TABLE, "hidden": (8,)}, {"batch_size": 2, "optimizer": "adam", "epochs": 2}, rows="text"
    ),
    "pictures, augmented and normalised": Case(
        CnnNetwork,
        {**PICTURES, "widths": (4, 6), "kernel_sizes": 3, "strides": 1, "pools": 2, "dropout": 0.2, "hidden": (5,)},
        {"batch_size": 7, "optimizer": "sgd", "epochs": 3, "learning_rate": 0.05, "precision": "float32"},
        rows="pictures",
        others={"augment": Augmentation(flip=True, shift=1, cutout=3)},
    ),
    "residual, fewer rows than processes": Case(
        ResidualNetwork,
        {**PICTURES, "stem": 4, "widths": (4, 6)},
        {"batch_size": 3, "optimizer": "adamw", "epochs": 2, "precision": "float32"},
        rows="pictures",
    ),
}


def rows_of(case):
    """Inputs, targets and validation rows; the last batch of an epoch is a short one."""
    draw = torch.Generator().manual_seed(1)
    targets = torch.randint(CLASSES, (ROWS,), generator=draw)
    if case.rows == "pictures":
        inputs = torch.randint(256, (ROWS, 1, 8, 8), generator=draw, dtype=torch.uint8)
        return inputs, targets, (inputs[:3], targets[:3])
    inputs = torch.randn(ROWS, 5, generator=draw) + targets[:, None]
    if case.rows == "text":
        filled = torch.arange(5).repeat(ROWS).int()
        inputs = SparseRows(torch.arange(ROWS + 1) * 5, filled, inputs.flatten(), 5)
    return inputs, targets, (inputs[:9], targets[:9])


def fitted(case, group=None, **others):
    """The outcome of a fit: its weights, its losses and how it ended."""
    inputs, targets, validation = rows_of(case)
    torch.manual_seed(0)
    network = case.network(**case.arguments)
    if case.members > 1:
        network = MlpMembers(network, case.members)
    prepare = (lambda pixels: pixels / 255) if case.rows == "pictures" else None
    fit = fit_network(
        network,
        inputs,
        targets,
        options=TrainingOptions(seed=3, **case.options),
        validation=validation,
        prepare=prepare,
        check_misuse=False,
        process_group=group,
        **{**case.others, **others},
    )
    return {
        "weights": network.state_dict(),
        "losses": [(record.train_loss, record.validation_loss) for record in fit.history],
        "accuracies": [record.validation_accuracy for record in fit.history],
        "ended": fit.ended,
        "asked_to_stop": fit.asked_to_stop,
    }


class Disturbed(TrainingCallback):
    """Changes the weights a little after the first epoch, as the rounding of another processor would."""

    def __init__(self, weight):
        self.weight = weight

    def epoch_done(self, record):
        if record.epoch == 1:
            self.weight.data.add_(1e-3)


class Interrupted(TrainingCallback):
    """Ctrl-C after some rows."""

    def stepped(self, rows):
        if rows == 12:
            signal.raise_signal(signal.SIGINT)


class Failing(TrainingCallback):
    """Cannot be written to after the third epoch."""

    def epoch_done(self, record):
        if record.epoch == 3:
            raise PolylogitError("history.jsonl: no space left on the disk.")


def message_of(fit, *arguments, **options):
    """The kind and the message of the error of a fit."""
    try:
        fit(*arguments, **options)
    except PolylogitError as error:
        return f"{type(error).__name__}: {error}"
    return "none"


def disturbed(rank, group):
    """A fit of which the second process has other weights for an epoch."""
    inputs, targets, _ = rows_of(PLAIN)
    torch.manual_seed(0)
    network = MlpNetwork(**PLAIN.arguments)
    weight = next(network.parameters())
    callbacks = [Disturbed(weight)] if rank == 1 else []
    options = TrainingOptions(epochs=2, batch_size=6)
    fit_network(network, inputs, targets, options=options, callbacks=callbacks, check_misuse=False, process_group=group)
    return {"weights": network.state_dict()}


def short_of_memory(rank, group):
    """A fit for which the second process has no memory."""
    own = loop.check_batch_fits_memory

    def refused(*arguments, **options):
        raise RecipeError("training.batch_size: not enough memory.")

    if rank == 1:
        loop.check_batch_fits_memory = refused
    try:
        return message_of(fitted, PLAIN, group)
    finally:
        loop.check_batch_fits_memory = own


def broken_picture(folder, group):
    """A fit to pictures in files, of which one is broken and in the share of one process."""
    files = [folder / f"{place}.png" for place in range(8)]
    options = TrainingOptions(epochs=1, batch_size="all")
    pictures = StoredPictures(files, (1, 8, 8), workers=0)
    network = MlpNetwork(features=64, classes=2)
    targets = torch.arange(8) % 2
    return message_of(
        fit_network,
        network,
        pictures,
        targets,
        options=options,
        prepare=lambda pixels: pixels / 255,
        check_misuse=False,
        process_group=group,
    )


def write_pictures(folder):
    """Eight files, of which the last is no picture."""
    for place in range(7):
        Image.new("L", (8, 8), 30 * place).save(folder / f"{place}.png")
    (folder / "7.png").write_bytes(b"no picture")


def main():
    """Fit by two and by four, and keep what came of it."""
    rank, folder = int(sys.argv[1]), Path(sys.argv[2])
    store = dist.FileStore(str(folder / "store"), 4)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=4)
    if rank == 0:
        write_pictures(folder)
    dist.barrier()
    pair, found = dist.new_group([0, 1]), {}
    found["by four"] = {name: fitted(case, dist.group.WORLD) for name, case in CASES.items()}
    if rank < 2:
        found["by two"] = {name: fitted(case, pair) for name, case in CASES.items()}
        found["disturbed"] = disturbed(rank, pair)
        found["interrupted"] = fitted(PLAIN, pair, callbacks=[Interrupted()] if rank == 1 else [])
        found["diverged"] = message_of(fitted, replace(PLAIN, options={**PLAIN.options, "learning_rate": 1e30}), pair)
        pictures = CASES["pictures, augmented and normalised"]
        one_row = replace(pictures, options={**pictures.options, "accumulation": 2})  # of a last batch of two
        found["one row"] = message_of(fitted, one_row, pair)
        found["memory"] = short_of_memory(rank, pair)
        found["picture"] = broken_picture(folder, pair)
        own = {"callbacks": [Failing()], "checkpoint": Checkpoint(folder / "kept", "run", resume=False, share=1e9)}
        found["callback"] = message_of(fitted, PLAIN, pair, **(own if rank == 0 else {}))
    torch.save(found, folder / f"{rank}.found")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
