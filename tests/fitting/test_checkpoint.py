import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from polylogit.errors import ModelFileError, PolylogitWarning
from polylogit.fitting.checkpoint import Checkpoint
from polylogit.fitting.loop import fit_network
from polylogit.fitting.options import TrainingOptions

FIT = Path(__file__).parent / "killed_fit.py"
SOURCE = Path(__file__).parents[2] / "src"
OPTIONS = TrainingOptions(epochs=6, batch_size=8, learning_rate=0.01, averaging=0.9, schedule="one-cycle")


def rows():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(40, 1, 4, 4, generator=generator), torch.randint(3, (40,), generator=generator)


def network():
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(16, 3)]
    return nn.Sequential(*layers)


class CutError(Exception):
    """Stands for whatever ends a process."""


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "muon"])
@pytest.mark.parametrize("patience", [None, 4])
def test_a_cut_run_ends_as_the_whole_one_does(tmp_path, optimizer, patience):
    options = TrainingOptions(**{**vars(OPTIONS), "optimizer": optimizer, "patience": patience})
    whole = network()
    expected = fit_network(whole, *rows(), options=options, validation=rows())

    def cut(record):
        if record.epoch == 4:
            raise CutError

    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(CutError):
        fit_network(
            network(),
            *rows(),
            options=options,
            validation=rows(),
            on_epoch=cut,
            checkpoint=Checkpoint(path, "this run", resume=False, share=1e9),
        )
    resumed = network()
    result = fit_network(
        resumed,
        *rows(),
        options=options,
        validation=rows(),
        checkpoint=Checkpoint(path, "this run", resume=True, share=1e9),
    )
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert [record.train_loss for record in result.history] == [record.train_loss for record in expected.history]
    assert result.message == expected.message


@pytest.mark.slow  # tests/run/test_pictures.py kills the command once, in the quick tests
def test_a_fit_killed_at_any_moment_ends_with_the_same_bits(tmp_path):
    def run(folder, *kills):
        folder.mkdir()
        environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
        arguments = [sys.executable, FIT, folder, *map(str, kills)]
        done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=120, check=True)
        return done.stdout.splitlines()

    assert run(tmp_path / "whole") == ["0"]
    moments = ["0", "writing", "0.004"]
    assert run(tmp_path / "killed", *moments) == [str(-signal.SIGKILL)] * 3 + ["0"]
    assert not list((tmp_path / "killed").glob(".*.part"))
    whole, killed = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "killed"))
    assert whole.keys() == killed.keys()
    assert all(torch.equal(value, killed[name]) for name, value in whole.items())


def test_a_write_that_is_cut_leaves_the_checkpoint_before_it(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.safetensors"
    fit_network(network(), *rows(), options=OPTIONS, checkpoint=Checkpoint(path, "a", resume=False, share=1e9))
    before = path.read_bytes()
    checkpoint = Checkpoint(path, "a", resume=True)
    state = checkpoint.read()
    real = Path.write_bytes

    def half(self, content):
        real(self, content[: len(content) // 2])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.write(state)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    fit_network(network(), *rows(), options=OPTIONS, checkpoint=Checkpoint(path, "a", resume=False, share=1e9))
    with pytest.raises(ModelFileError, match="the checkpoint is of another run"):
        Checkpoint(path, "b", resume=True).read()
    assert Checkpoint(path, "b", resume=False).read() is None


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", b"\xff" * 64])
def test_a_damaged_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="no checkpoint of polylogit, or a damaged one"):
        Checkpoint(path, "a", resume=True).read()


def test_a_truncated_checkpoint_is_refused(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    fit_network(network(), *rows(), options=OPTIONS, checkpoint=Checkpoint(path, "a", resume=False, share=1e9))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ModelFileError, match="damaged"):
        Checkpoint(path, "a", resume=True).read()


def test_the_first_epoch_is_written_and_then_no_more_than_the_share_of_time(tmp_path, monkeypatch):
    checkpoint = Checkpoint(tmp_path / "checkpoint.safetensors", "a", resume=True, share=1e-9)
    fit_network(network(), *rows(), options=OPTIONS, checkpoint=checkpoint)
    assert checkpoint.read().epoch == 1


def test_a_full_disk_ends_no_fit(tmp_path, monkeypatch):
    """A device that is full when the first checkpoint is written: one warning, and the weights of a fit without."""
    path = tmp_path / "checkpoint.safetensors"
    tried = []

    def full(self, content):
        tried.append(self)
        raise OSError(errno.ENOSPC, "No space left on device")

    expected = fit_network(plain := network(), *rows(), options=OPTIONS)
    monkeypatch.setattr(Path, "write_bytes", full)
    fitted = network()
    with pytest.warns(PolylogitWarning, match=r"No space left on device\).*Training goes on without checkpoints"):
        result = fit_network(
            fitted, *rows(), options=OPTIONS, checkpoint=Checkpoint(path, "a", resume=False, share=1e9)
        )
    assert (result.epochs, len(tried)) == (expected.epochs, 1)
    states = zip(plain.state_dict().values(), fitted.state_dict().values(), strict=True)
    assert all(torch.equal(before, after) for before, after in states)
    assert list(tmp_path.iterdir()) == []
