import json
import resource

import pytest
import torch
from torch import nn

from polylogit.errors import PolylogitError
from polylogit.fitting.checkpoint import Checkpoint
from polylogit.fitting.history_file import HistoryFile
from polylogit.fitting.loop import fit_network
from polylogit.fitting.options import TrainingOptions

OPTIONS = TrainingOptions(epochs=6, batch_size=8)


def fit(path, *, resume, on_epoch=None, share=1e9):
    torch.manual_seed(0)
    return fit_network(
        nn.Linear(3, 3),
        torch.eye(3).repeat(8, 1),
        torch.arange(3).repeat(8),
        options=OPTIONS,
        on_epoch=on_epoch,
        callbacks=[HistoryFile(path / "history.jsonl")],
        checkpoint=Checkpoint(path / "checkpoint.safetensors", "a", resume=resume, share=share),
    )


def rows(path):
    return [json.loads(line) for line in (path / "history.jsonl").read_text().splitlines()]


def test_each_epoch_is_in_the_file_as_soon_as_it_is_over(tmp_path):
    seen = []
    result = fit(tmp_path, resume=False, on_epoch=lambda record: seen.append(len(rows(tmp_path))))
    assert seen == [1, 2, 3, 4, 5, 6]
    assert rows(tmp_path) == [vars(record) for record in result.history]


def test_a_fit_that_goes_on_reports_the_epochs_after_its_checkpoint_once(tmp_path):
    def cut(record):
        if record.epoch == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, resume=False, on_epoch=cut, share=1e-9)  # one checkpoint: that of epoch 1
    told = rows(tmp_path)
    assert [row["epoch"] for row in told] == [1, 2, 3, 4]
    result = fit(tmp_path, resume=True)
    assert [row["epoch"] for row in rows(tmp_path)] == [1, 2, 3, 4, 5, 6]
    assert rows(tmp_path)[0] == told[0]
    assert [row["train_loss"] for row in rows(tmp_path)[:4]] == [row["train_loss"] for row in told]
    assert rows(tmp_path) == [vars(record) for record in result.history]


def test_a_fit_that_starts_again_leaves_nothing_of_the_one_before(tmp_path):
    fit(tmp_path, resume=False)
    fit(tmp_path, resume=False)
    assert [row["epoch"] for row in rows(tmp_path)] == [1, 2, 3, 4, 5, 6]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    history = HistoryFile(tmp_path / "gone" / "history.jsonl")
    with pytest.raises(PolylogitError, match=r"history\.jsonl: cannot be written \(No such file"):
        history.append({"epoch": 1})


def test_a_disk_that_fills_up_within_a_line_leaves_whole_lines(tmp_path):
    history = HistoryFile(tmp_path / "history.jsonl")
    history.start([{"epoch": 1}])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, before[1]))
    try:
        with pytest.raises(PolylogitError, match=r"history.jsonl: cannot be written"):
            history.append({"epoch": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert rows(tmp_path) == [{"epoch": 1}]
