from dataclasses import replace

import pytest
import torch
from torch import nn

from polylogit.errors import DataError, RecipeError
from polylogit.fitting.loop import fit_network
from polylogit.fitting.options import TrainingOptions
from polylogit.fitting.training_rows import TrainingRows, batch_bounds

PLAIN = TrainingOptions(epochs=1, batch_size=8, optimizer="sgd", learning_rate=0.1)


@pytest.fixture
def rows():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(40, 5, generator=generator), torch.randint(3, (40,), generator=generator)


def network():
    return nn.Linear(5, 3)


def test_a_batch_is_its_rows_augmented_then_prepared():
    rows = TrainingRows(torch.arange(6), torch.zeros(6).long(), None, None, lambda x: x + 0.5, lambda x: x * 10)
    batches = [rows.prepare_batch(batch).tolist() for batch in rows.batches([torch.tensor([4, 1]), slice(0, 2)])]
    assert batches == [[40.5, 10.5], [0.5, 10.5]]


def test_every_row_is_in_one_batch():
    for count in range(1, 20):
        for size in (1, 3, 7, "all"):
            if size == "all" or size <= count:
                bounds = batch_bounds(count, size)
                assert [row for first, last in bounds for row in range(first, last)] == list(range(count))


def test_a_last_batch_of_one_row_joins_the_one_before_it(rows):
    inputs, targets = rows
    net = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    result = fit_network(net, inputs[:33], targets[:33], options=PLAIN)
    assert result.ended == "finished"


@pytest.mark.parametrize(
    ("change", "more", "fault", "message"),
    [
        ({"batch_size": 41}, {}, RecipeError, "41 rows in a batch, but there are 40"),
        ({"patience": 2}, {}, RecipeError, "early stopping needs validation rows"),
        (
            {},
            {"sample_weight": torch.ones(39)},
            DataError,
            r"sample_weight: expected one weight per row, shape \(40,\), got \(39,\)",
        ),
        ({}, {"sample_weight": torch.zeros(40)}, DataError, "all weights are 0"),
    ],
)
def test_what_does_not_fit_together_is_refused(rows, change, more, fault, message):
    with pytest.raises(fault, match=message):
        fit_network(network(), *rows, options=replace(PLAIN, **change), **more)


def test_a_target_outside_the_classes_is_named(rows):
    inputs, targets = rows
    targets = targets.clone()
    targets[6] = 3
    with pytest.raises(DataError, match=r"^targets\[6\]: expected a class index from 0 to 2, got 3"):
        fit_network(network(), inputs, targets, options=PLAIN)
    with pytest.raises(DataError, match=r"^validation targets\[6\]"):
        fit_network(network(), *rows, options=PLAIN, validation=(inputs, targets))
