import signal
from dataclasses import replace

import pytest
import torch
from torch import nn

from polylogit.errors import DataError, DivergenceError
from polylogit.fitting.loop import fit_network
from polylogit.fitting.options import TrainingOptions

PLAIN = TrainingOptions(
    epochs=3, batch_size=8, optimizer="sgd", learning_rate=0.1, momentum=0.0, weight_decay=0.0, schedule="constant"
)


@pytest.fixture
def rows():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(40, 5, generator=generator)
    targets = (inputs @ torch.randn(5, 3, generator=generator)).argmax(1)
    return inputs, targets


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 3))


def fitted(rows, options, **more):
    net = network()
    result = fit_network(net, *rows, options=options, **more)
    return result, torch.cat([parameter.detach().flatten() for parameter in net.parameters()])


def test_full_batch_steps_are_those_of_the_loop_by_hand(rows):
    inputs, targets = rows
    by_hand = network()
    optimizer = torch.optim.SGD(by_hand.parameters(), lr=0.1)
    losses = []
    for _ in range(20):
        loss = nn.functional.cross_entropy(by_hand(inputs), targets)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    result, weights = fitted(rows, replace(PLAIN, epochs=20, batch_size="all"))
    assert [record.train_loss for record in result.history] == pytest.approx(losses, abs=1e-6)
    expected = torch.cat([parameter.detach().flatten() for parameter in by_hand.parameters()])
    torch.testing.assert_close(weights, expected)


def test_the_seed_decides_everything_and_the_callers_generator_is_left_alone(rows):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    net = nn.Sequential(nn.Dropout(0.5), nn.Linear(5, 3))
    start = {name: value.clone() for name, value in net.state_dict().items()}
    torch.set_rng_state(before)
    ends = []
    for seed in (1, 1, 2):
        net.load_state_dict(start)
        fit_network(net, *rows, options=replace(PLAIN, seed=seed))
        ends.append(net[1].weight.detach().clone())
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_objective_is_the_same_in_one_part_and_in_several(rows, smoothing):
    weighting = {"class_weight": torch.tensor([0.2, 1.0, 5.0]), "sample_weight": torch.linspace(0, 3, 40)}
    options = replace(PLAIN, batch_size=20, label_smoothing=smoothing)
    whole, weights = fitted(rows, options, **weighting)
    for parts in (2, 3, 20):
        cut, cut_weights = fitted(rows, replace(options, accumulation=parts), **weighting)
        assert [record.train_loss for record in cut.history] == pytest.approx(
            [record.train_loss for record in whole.history], rel=1e-5
        )
        torch.testing.assert_close(cut_weights, weights, rtol=1e-4, atol=1e-6)


def test_a_row_of_weight_two_is_a_row_that_stands_twice(rows):
    inputs, targets = rows
    options = replace(PLAIN, batch_size="all")
    twice = torch.arange(40).repeat_interleave(torch.tensor([2, 1] * 20))
    _, repeated = fitted((inputs[twice], targets[twice]), options)
    _, weighted = fitted(rows, options, sample_weight=torch.tensor([2.0, 1.0] * 20))
    torch.testing.assert_close(weighted, repeated)


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 4},
        {"batch_size": 10},
        {"optimizer": "adam"},
        {"optimizer": "muon"},
        {"learning_rate": 0.2},
        {"momentum": 0.5},
        {"weight_decay": 0.1},
        {"schedule": "cosine"},
        {"schedule": "one-cycle"},
        {"label_smoothing": 0.1},
        {"gradient_clip": 0.01},
        {"averaging": 0.5},
        {"precision": "bfloat16"},
        {"seed": 1},
    ],
    ids=str,
)
def test_every_option_changes_the_weights(rows, change):
    _, before = fitted(rows, PLAIN)
    _, after = fitted(rows, replace(PLAIN, **change))
    assert not torch.equal(before, after)


def test_the_warm_up_changes_the_weights(rows):
    options = replace(PLAIN, schedule="one-cycle")
    assert not torch.equal(fitted(rows, options)[1], fitted(rows, replace(options, warmup_fraction=0.6))[1])


def test_a_gradient_is_cut_to_the_norm_asked_for(rows):
    options = replace(PLAIN, epochs=1, batch_size="all", learning_rate=1.0)
    start = torch.cat([parameter.detach().flatten() for parameter in network().parameters()])
    _, clipped = fitted(rows, replace(options, gradient_clip=0.01))
    assert float((clipped - start).norm()) == pytest.approx(0.01, rel=1e-3)


def test_early_stopping_keeps_the_weights_of_the_best_epoch():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(60, 5, generator=generator)
    targets = torch.randint(3, (60,), generator=generator)
    validation = noise[40:], targets[40:]
    net = network()
    options = TrainingOptions(epochs=200, batch_size=8, optimizer="adam", learning_rate=0.01, patience=5)
    result = fit_network(net, noise[:40], targets[:40], options=options, validation=validation)
    losses = [record.validation_loss for record in result.history]
    assert result.ended == "early"
    assert result.epochs == losses.index(min(losses)) + 1 + 5
    kept = nn.functional.cross_entropy(net(validation[0]), validation[1])
    assert float(kept.detach()) == pytest.approx(min(losses), rel=1e-5)


def test_validation_rows_are_evaluated_with_the_averaged_weights(rows):
    net = network()
    options = replace(PLAIN, averaging=0.9)
    result = fit_network(net, *rows, options=options, validation=rows)
    loss = nn.functional.cross_entropy(net(rows[0]), rows[1])
    assert result.history[-1].validation_loss == pytest.approx(float(loss.detach()), rel=1e-5)


def test_pictures_are_trained_on_as_bytes_through_the_same_preparation():
    pixels = torch.zeros(64, 1, 4, 4, dtype=torch.uint8)
    targets = torch.arange(64) % 2
    pixels[targets == 1, :, :2] = 255
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
    options = TrainingOptions(epochs=10, batch_size=16, learning_rate=0.03, precision="float32")
    result = fit_network(
        net, pixels, targets, options=options, prepare=lambda batch: batch / 255, validation=(pixels, targets)
    )
    assert result.history[-1].validation_accuracy == 1.0


def test_augmentation_is_for_training_only(rows):
    seen = []

    def augment(batch):
        seen.append(len(batch))
        return batch * 0

    fit_network(network(), *rows, options=replace(PLAIN, epochs=1), validation=rows, augment=augment)
    assert sum(seen) == 40


def test_divergence_before_the_end_of_an_epoch_names_the_place(rows):
    inputs, targets = rows
    with pytest.raises(DivergenceError, match=r"in epoch 1, batch \d of 5, at learning rate 1e\+30\. Try"):
        fit_network(network(), inputs, targets, options=replace(PLAIN, learning_rate=1e30))


def test_an_infinite_input_is_named_in_place_of_the_learning_rate(rows):
    inputs, targets = rows
    inputs = inputs.clone()
    inputs[3, 2] = float("inf")
    with pytest.raises(DataError, match=r"inputs\[3, 2\]: expected finite numbers, got inf"):
        fit_network(network(), inputs, targets, options=PLAIN, check_misuse=False)
    with pytest.raises(DataError, match=r"inputs\[3, 2\]: expected finite numbers after preparation, got inf"):
        fit_network(network(), inputs, targets, options=PLAIN, prepare=lambda batch: batch * 2, check_misuse=False)


def test_divergence_later_keeps_the_last_good_weights(rows):
    net = network()
    good = []

    def poison(record):
        if record.epoch == 2:
            good.append({name: value.clone() for name, value in net.state_dict().items()})
            net[0].weight.data.fill_(float("nan"))

    result = fit_network(net, *rows, options=PLAIN, on_epoch=poison)
    assert result.ended == "diverged"
    assert result.epochs == 2
    assert "in epoch 3, batch 1 of 5" in result.message
    assert all(torch.equal(value, good[0][name]) for name, value in net.state_dict().items())


def test_an_interrupt_ends_with_the_weights_so_far(rows):
    net = network()

    def press_ctrl_c(record):
        if record.epoch == 2:
            signal.raise_signal(signal.SIGINT)

    result = fit_network(net, *rows, options=replace(PLAIN, epochs=50), on_epoch=press_ctrl_c)
    assert result.ended == "interrupted"
    assert result.epochs == 2
    assert "Interrupted in epoch 3 of 50" in result.message
    assert not net.training
