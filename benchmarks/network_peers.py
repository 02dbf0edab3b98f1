"""The same network, rows, batches and optimiser through other people's training loops.

Every loop here takes the source documents' network with their arithmetic: float32, Adam at 0.001, batches of 256 drawn
without replacement, the mean of cross-entropy. Each gives a function without arguments that works through the rows
once and returns the seconds that the steps took, between the loop's own hooks at the start and the end of an epoch:
building the trainer is not counted against a peer. Every loop reads the clock that is passed. A peer that is not
installed is left out, and the benchmark says so.
"""

import logging
import os
import time
import warnings
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from polylogit.fitting.callbacks import FitPlan, TrainingCallback
from polylogit.fitting.history import EpochRecord
from polylogit.fitting.loop import fit_network
from polylogit.fitting.options import TrainingOptions
from polylogit.networks import CnnNetwork, MlpNetwork

__all__ = ["DOCUMENTS_BATCH", "MLPS", "NETWORKS", "Clock", "documents_loop", "loops", "our_network", "polylogit_loop"]

Clock = Callable[[], float]
"""`time.perf_counter` or `time.process_time`."""

DOCUMENTS_BATCH = 256

MLPS: Mapping[str, tuple[tuple[int, ...], float]] = {
    "mlp-32": ((32,), 0.0),
    "mlp-256": ((256,), 0.0),
    "deep": ((256,) * 4, 0.0),
    "wide-dropout": ((4096,), 0.5),
}
"""Hidden widths and dropout of the documents' multilayer perceptrons."""

NETWORKS = (*MLPS, "cnn")


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


def documents_network(name: str) -> nn.Module:
    """A network as the documents write it, of torch's own layers."""
    if name == "cnn":
        return ReluFirst()
    hidden, dropout = MLPS[name]
    layers: list[nn.Module] = [nn.Flatten()]
    before = 784
    for width in hidden:
        layers += [nn.Linear(before, width), *([nn.Dropout(dropout)] if dropout else []), nn.ReLU()]
        before = width
    return nn.Sequential(*layers, nn.Linear(before, 10))


def our_network(name: str) -> nn.Module:
    """The same function as polylogit's recipes write it."""
    if name == "cnn":
        lecture = {"widths": (64, 64), "kernel_sizes": 5, "strides": 1, "pools": 2, "padding": "valid"}
        return CnnNetwork(1, 28, 28, 10, **lecture, batch_norm=False)
    hidden, dropout = MLPS[name]
    return MlpNetwork(784, 10, hidden=hidden, dropout=dropout)


def loops(
    name: str, pixels: Tensor, targets: Tensor, clock: Clock = time.perf_counter
) -> dict[str, Callable[[], float]]:
    """Each loop that can run here, by name, on the network of that name.

    Args:
        name: One of `NETWORKS`.
        pixels: uint8 pictures, 1 x 28 x 28.
        targets: Their classes.
        clock: Is read before the first step and after the last one.

    Returns:
        Functions that work through the rows once and return seconds.
    """
    built: dict[str, Callable[[], float]] = {
        "documents": documents_loop(name, pixels, targets, clock),
        "polylogit_float32": polylogit_loop(name, pixels, targets, "float32", clock),
        "polylogit_auto": polylogit_loop(name, pixels, targets, "auto", clock),
    }
    for peer, build in {"lightning": _lightning, "keras": _keras, "skorch": _skorch}.items():
        if find_spec(peer) is None:
            print(f"{peer} is not installed and is left out (pip install 'polylogit[bench]')")
        else:
            built[peer] = build(name, pixels, targets, clock)
    return built


def _unit(pixels: Tensor) -> Tensor:
    return pixels.float().div_(255)


def _loader(pixels: Tensor, targets: Tensor) -> DataLoader[tuple[Tensor, ...]]:
    rows = TensorDataset(_unit(pixels), nn.functional.one_hot(targets, 10).float())
    return DataLoader(rows, batch_size=DOCUMENTS_BATCH, shuffle=True)


def documents_loop(name: str, pixels: Tensor, targets: Tensor, clock: Clock = time.perf_counter) -> Callable[[], float]:
    """The loop that the documents write, over a float copy of the pictures and one-hot targets.

    Args:
        name: One of `NETWORKS`.
        pixels: uint8 pictures, 1 x 28 x 28.
        targets: Their classes.
        clock: Is read before the first step and after the last one.

    Returns:
        A function that works through the rows once and returns seconds.
    """
    network, loader = documents_network(name), _loader(pixels, targets)
    optimizer, loss_of = torch.optim.Adam(network.parameters()), nn.CrossEntropyLoss()

    def epoch() -> float:
        start = clock()
        for inputs, one_hot in loader:
            loss = loss_of(network(inputs), one_hot)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        return clock() - start

    return epoch


class _EpochClock(TrainingCallback):
    """The seconds from the first step to the end of the epoch."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.start = self.seconds = 0.0

    def begun(self, plan: FitPlan) -> None:
        """Before the first step."""
        self.start = self.clock()

    def epoch_done(self, record: EpochRecord) -> None:
        """After the last one."""
        self.seconds = self.clock() - self.start


def polylogit_loop(
    name: str, pixels: Tensor, targets: Tensor, precision: str, clock: Clock = time.perf_counter
) -> Callable[[], float]:
    """The loop of polylogit over the pictures as bytes.

    Args:
        name: One of `NETWORKS`.
        pixels: uint8 pictures, 1 x 28 x 28.
        targets: Their classes.
        precision: "float32", or "auto", polylogit's own choice.
        clock: Is read before the first step and after the last one.

    Returns:
        A function that works through the rows once and returns seconds.
    """
    network = our_network(name)
    options = TrainingOptions(
        epochs=1,
        batch_size=DOCUMENTS_BATCH,
        optimizer="adam",
        learning_rate=0.001,
        weight_decay=0.0,
        precision=precision,
    )

    def epoch() -> float:
        timed = _EpochClock(clock)
        fit_network(network, pixels, targets, options=options, prepare=_unit, callbacks=[timed])
        return timed.seconds

    return epoch


def _lightning(name: str, pixels: Tensor, targets: Tensor, clock: Clock) -> Callable[[], float]:
    import lightning

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = documents_network(name)
            self.loss_of = nn.CrossEntropyLoss()

        def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
            loss: Tensor = self.loss_of(self.network(batch[0]), batch[1])
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters())

    class EpochClock(lightning.Callback):
        seconds = 0.0

        def on_train_epoch_start(self, *_: object) -> None:
            self.start = clock()

        def on_train_epoch_end(self, *_: object) -> None:
            self.seconds = clock() - self.start

    module, loader = Module(), _loader(pixels, targets)

    def epoch() -> float:
        timed = EpochClock()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer = lightning.Trainer(
                accelerator="cpu",
                max_epochs=1,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                callbacks=[timed],
            )
            trainer.fit(module, loader)
        return timed.seconds

    return epoch


def _keras(name: str, pixels: Tensor, targets: Tensor, clock: Clock) -> Callable[[], float]:
    os.environ["KERAS_BACKEND"] = "torch"
    import keras

    class EpochClock(keras.callbacks.Callback):
        seconds = 0.0

        def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
            self.start = clock()

        def on_epoch_end(self, epoch: int, logs: object = None) -> None:
            self.seconds = clock() - self.start

    layers: list[Any] = [keras.Input(shape=(1, 28, 28))]
    if name == "cnn":
        for _ in range(2):
            layers.append(keras.layers.Conv2D(64, 5, activation="relu", data_format="channels_first"))
            layers.append(keras.layers.MaxPooling2D(2, data_format="channels_first"))
        layers.append(keras.layers.Flatten(data_format="channels_first"))
    else:
        hidden, dropout = MLPS[name]
        layers.append(keras.layers.Flatten())
        for width in hidden:
            layers.append(keras.layers.Dense(width))
            layers += [keras.layers.Dropout(dropout)] if dropout else []
            layers.append(keras.layers.Activation("relu"))
    model = keras.Sequential([*layers, keras.layers.Dense(10)])
    model.compile(keras.optimizers.Adam(0.001), keras.losses.CategoricalCrossentropy(from_logits=True))
    inputs, one_hot = _unit(pixels).numpy(), nn.functional.one_hot(targets, 10).float().numpy()

    def epoch() -> float:
        timed = EpochClock()
        model.fit(inputs, one_hot, batch_size=DOCUMENTS_BATCH, epochs=1, verbose=0, callbacks=[timed])
        return timed.seconds

    return epoch


def _skorch(name: str, pixels: Tensor, targets: Tensor, clock: Clock) -> Callable[[], float]:
    import skorch

    class EpochClock(skorch.callbacks.Callback):
        seconds = 0.0

        def on_epoch_begin(self, net: object, **_: object) -> None:
            self.start = clock()

        def on_epoch_end(self, net: object, **_: object) -> None:
            self.seconds = clock() - self.start

    timed = EpochClock()
    net = skorch.NeuralNetClassifier(
        documents_network(name),
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=0.001,
        batch_size=DOCUMENTS_BATCH,
        max_epochs=1,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
        callbacks=[("clock", timed)],
    )
    # skorch's own valid and train losses are averaged by callbacks that are part of every fit.
    inputs = _unit(pixels)

    def epoch() -> float:
        net.partial_fit(inputs, targets)
        return dict(net.callbacks_)["clock"].seconds

    return epoch
