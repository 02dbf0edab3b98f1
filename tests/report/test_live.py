import io
import re

import pytest
import torch
from rich.console import Console
from torch import nn

from polylogit.fitting.callbacks import FitPlan, row_reporter
from polylogit.fitting.history import EpochRecord, IterationRecord
from polylogit.fitting.loop import fit_network
from polylogit.fitting.options import TrainingOptions
from polylogit.misuse import MisuseWarning
from polylogit.report import live
from polylogit.report.live import LiveFit

ROWS = torch.eye(3).repeat(8, 1), torch.arange(3).repeat(8)


def terminal():
    return Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)


def lines(console):
    """What stands in the terminal: each piece that was drawn, without the codes that move the cursor."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())
    return [line.strip() for line in re.split(r"[\r\n]+", text)]


@pytest.fixture
def drawn_at_once(monkeypatch):
    monkeypatch.setattr(live, "SECONDS_BETWEEN_DRAWINGS", 0.0)


def fit(console, epochs, **more):
    options = TrainingOptions(epochs=epochs, batch_size=8)
    with LiveFit(console, "pictures") as watching:
        return fit_network(nn.Linear(3, 3), *ROWS, options=options, validation=ROWS, callbacks=[watching], **more)


def test_every_epoch_has_a_row_and_the_bar_shows_speed_and_time_left(drawn_at_once):
    console = terminal()
    result = fit(console, 3)
    shown = lines(console)
    assert "24 pictures to fit, 24 to validate (cpu, float32)" in shown
    for record in result.history:
        start = (
            f"{record.epoch}/3 {record.train_loss:.4f} {record.validation_loss:.4f} {record.validation_accuracy:.4f}"
        )
        assert any(" ".join(line.split()).startswith(start) for line in shown)
    bars = [line for line in shown if "pictures/s" in line]
    assert bars
    assert all(re.match(r"epoch \d of 3 .* [\d,]+ pictures/s +[\d.]+ s left", line) for line in bars)
    assert shown[0].endswith("reading the data")
    assert any(line.endswith("evaluating") for line in shown)


def test_the_rows_that_are_read_are_shown_with_the_time_left():
    console = terminal()
    with LiveFit(console) as watching:
        report = row_reporter("reading", 3000, [watching])
        report(1000)
    shown = [line for line in lines(console) if "reading:" in line]
    assert re.search(r"reading: 1,000 of 3,000 rows, [\d.]+ s left", shown[-1])


def test_a_long_fit_shows_some_of_its_epochs_and_the_last():
    console = terminal()
    fit(console, 100)
    epochs = [int(line.split("/")[0]) for line in lines(console) if re.match(r"\d+/100 ", line)]
    assert epochs == [1, *range(3, 100, 3), 100]


def test_a_fit_that_goes_on_says_where():
    console = terminal()
    history = tuple(EpochRecord(epoch, 0.5, 0.1, 10.0, 1.0, 0.4, 0.9) for epoch in (1, 2))
    with LiveFit(console) as watching:
        watching.begun(FitPlan(5, 10, 4, torch.device("cpu"), bfloat16=True, history=history))
        watching.epoch_done(EpochRecord(3, 0.5, 0.1, 10.0, 75.0))
    shown = lines(console)
    assert "resuming after epoch 2 of 5" in shown
    assert any(line.startswith("3/5") and line.endswith("1 min 15 s") for line in shown)


def test_iterations_of_the_solver_are_shown():
    console = terminal()
    with LiveFit(console) as watching:
        watching.iteration_done(IterationRecord(iteration=7, objective=0.25, optimality_gap=1e-3, seconds=0.1))
    assert any("iteration 7: objective 0.250000, at most 1.0e-03 above" in line for line in lines(console))


def test_refits_are_counted():
    console = terminal()
    with LiveFit(console) as watching:
        watching.refit_done("cross-validation", 3, 25)
    assert any("cross-validation: 3 of 25 fits" in line for line in lines(console))


def test_findings_of_the_first_batch_are_shown():
    console = terminal()
    fit(console, 1)
    assert "Nothing wrong was seen (first batch, 24 rows)." in lines(console)
    console, network = terminal(), nn.Sequential(nn.Linear(3, 3), nn.Softmax(dim=1))
    with LiveFit(console) as watching, pytest.warns(MisuseWarning, match="softmax-twice"):
        fit_network(network, *ROWS, options=TrainingOptions(epochs=1, batch_size=8), callbacks=[watching])
    assert any(line.startswith("softmax-twice: Drop the softmax") for line in lines(console))


def test_the_pictures_that_are_read_are_counted_from_the_start():
    console = terminal()
    with LiveFit(console, "pictures") as watching:
        watching.pictures_read(64, 3000)
    assert any("read 64 of 3,000 pictures, " in line and line.endswith("left") for line in lines(console))
