"""A fit of a network by several processes is the fit by one, but for rounding; a fault of one is the error of all."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
from networks_of_processes import CASES, PLAIN, fitted

from polylogit.errors import PolylogitError
from polylogit.fitting.batch_shares import BatchPart, batch_parts
from polylogit.fitting.checkpoint import Checkpoint
from polylogit.fitting.whole_batch_layers import layers_of_whole_batch
from polylogit.system.processes import ONE_PROCESS, Processes

PROGRAM = Path(__file__).with_name("networks_of_processes.py")
ROUNDING = {"rtol": 1e-4, "atol": 1e-5}
BITS = {"rtol": 0, "atol": 0}


def check_same(outcome, expected, **tolerance):
    """Check that two fits ended alike, with weights and figures that differ within a tolerance."""
    assert outcome["ended"] == expected["ended"]
    numbers = ("weights", "losses", "accuracies")
    torch.testing.assert_close(*([found[name] for name in numbers] for found in (outcome, expected)), **tolerance)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where four processes have left what they found."""
    place = tmp_path_factory.mktemp("processes")
    running = [
        subprocess.Popen([sys.executable, str(PROGRAM), str(rank), str(place)], stderr=subprocess.PIPE, text=True)
        for rank in range(4)
    ]
    try:
        ended = [process.communicate(timeout=240)[1] for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0] * 4, "\n".join(ended)
    return place


@pytest.fixture(scope="module")
def found(folder):
    return [torch.load(folder / f"{rank}.found") for rank in range(4)]


@pytest.mark.parametrize("count", ["by two", "by four"])
@pytest.mark.parametrize("name", CASES)
def test_the_fit_is_that_of_one_process(found, name, count):
    alone = fitted(CASES[name])
    first, *others = (of_process[count][name] for of_process in found if count in of_process)
    assert len(others) == {"by two": 1, "by four": 3}[count]
    check_same(first, alone, **ROUNDING)
    for other in others:
        check_same(other, first, **BITS)


def test_processes_of_other_rounding_get_the_same_weights(found):
    first, second = (of_process["disturbed"] for of_process in found[:2])
    torch.testing.assert_close(first, second, **BITS)


def test_ctrl_c_in_one_process_ends_all_at_the_same_step(found):
    for of_process in found[:2]:
        assert of_process["interrupted"]["ended"] == "interrupted"
        assert of_process["interrupted"]["asked_to_stop"]
        check_same(of_process["interrupted"], found[0]["interrupted"], **BITS)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("diverged", "DivergenceError: the fit diverged: the loss became"),
        ("one row", "RecipeError: training.batch_size: batch normalisation needs two rows at a time"),
        ("memory", "RecipeError: process 1 of 2: training.batch_size: not enough memory."),
        ("picture", "DataError: process 1 of 2: "),
        ("callback", "PolylogitError: process 0 of 2: history.jsonl: no space left on the disk."),
    ],
)
def test_a_fault_of_one_is_the_error_of_all(found, fault, message):
    assert [of_process[fault].startswith(message) for of_process in found[:2]] == [True, True]


def test_one_process_resumes_what_two_have_begun(folder, found):
    del found  # two processes have left the checkpoint of their second epoch
    resumed = fitted(PLAIN, checkpoint=Checkpoint(folder / "kept", "run", resume=True))
    check_same(resumed, fitted(PLAIN), **ROUNDING)
    assert len(resumed["losses"]) == PLAIN.options["epochs"]


def test_every_row_of_a_batch_is_in_one_share():
    for count in (1, 2, 5, 12):
        for accumulation in (1, 2, 5):
            places = [
                place
                for rank in range(3)
                for part in batch_parts(count, accumulation, rank, 3)
                for place in range(part.own.start, part.own.stop)
            ]
            assert sorted(places) == list(range(count))


def test_nothing_is_changed_for_one_process():
    network = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3))
    with layers_of_whole_batch(network, ONE_PROCESS):
        assert all("forward" not in vars(module) for module in network.modules())


def _two():
    """Two processes, as far as what is changed in a network goes."""
    processes = Processes()
    processes.size = 2
    return processes


class NormalisedAndActivated(nn.BatchNorm2d):
    """A batch normalisation that contains its activation, as in libraries of pretrained networks."""

    def forward(self, maps):
        return super().forward(maps).relu()


def test_a_batch_normalisation_with_a_forward_pass_of_its_own_is_refused_in_training():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), NormalisedAndActivated(2))
    maps = torch.randn(4, 1, 5, 5)
    expected = network.eval()(maps)
    with layers_of_whole_batch(network, _two()):
        assert torch.equal(network(maps), expected)
        network.train()
        with pytest.raises(PolylogitError, match="layer 1 is a NormalisedAndActivated, a batch normalisation with"):
            network(maps)
    assert bool((network(maps) >= 0).all())


@pytest.mark.parametrize("layer", [nn.Dropout(0.5), nn.Dropout2d(0.5)])
def test_dropout_of_a_share_is_that_of_its_rows_in_the_whole_batch(layer):
    maps = torch.randn(6, 3, 2, 2)
    torch.manual_seed(1)
    expected = layer(maps)
    with layers_of_whole_batch(layer, _two()) as batch:
        shares = []
        for own in (slice(0, 4), slice(4, 6)):
            batch.part = BatchPart(first=0, rows=6, own=own)
            torch.manual_seed(1)
            shares.append(layer(maps[own]))
    assert torch.equal(torch.cat(shares), expected)
