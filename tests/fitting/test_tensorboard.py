import pytest
import torch
from torch import nn

from polylogit.errors import PolylogitError
from polylogit.fitting import tensorboard
from polylogit.fitting.callbacks import FitPlan
from polylogit.fitting.history import EpochRecord
from polylogit.fitting.loop import fit_network
from polylogit.fitting.options import TrainingOptions
from polylogit.fitting.tensorboard import TensorBoardFiles


def points(folder):
    """The points of every curve, read by TensorBoard itself."""
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    read = events.EventAccumulator(str(folder)).Reload()
    return {name: [(point.step, point.value) for point in read.Scalars(name)] for name in read.Tags()["scalars"]}


def test_the_events_are_the_history(tmp_path):
    rows = torch.eye(3).repeat(8, 1), torch.arange(3).repeat(8)
    options = TrainingOptions(epochs=3, batch_size=8)
    fit = fit_network(nn.Linear(3, 3), *rows, options=options, validation=rows, callbacks=[TensorBoardFiles(tmp_path)])
    found = points(tmp_path)
    for name, told in (
        ("loss/train", "train_loss"),
        ("loss/validation", "validation_loss"),
        ("accuracy/validation", "validation_accuracy"),
        ("learning rate", "learning_rate"),
        ("rows per second", "rows_per_second"),
    ):
        expected = [(record.epoch, pytest.approx(getattr(record, told), rel=1e-6)) for record in fit.history]
        assert found.pop(name) == expected
    assert not found


def test_epochs_that_are_run_again_are_not_there_twice(tmp_path):
    pytest.importorskip("tensorboard")
    record = EpochRecord(epoch=1, train_loss=1.0, learning_rate=0.1, rows_per_second=10.0, seconds=1.0)

    def run(history, epochs):
        files = TensorBoardFiles(tmp_path)
        files.begun(FitPlan(4, 8, 0, torch.device("cpu"), bfloat16=False, history=history))
        for epoch in epochs:
            files.epoch_done(EpochRecord(**{**vars(record), "epoch": epoch, "train_loss": 1.0 / epoch}))

    run((), (1, 2, 3))  # killed here, after a checkpoint of epoch 1
    run((record,), (2, 3, 4))
    assert [step for step, _ in points(tmp_path)["loss/train"]] == [1, 2, 3, 4]


def test_without_the_extra_the_command_that_installs_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: None)
    with pytest.raises(PolylogitError, match=r"pip install 'polylogit\[tensorboard\]'"):
        TensorBoardFiles(tmp_path)
    assert not list(tmp_path.iterdir())
