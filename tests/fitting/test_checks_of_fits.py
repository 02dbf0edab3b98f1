"""Targets, weights, modes and options of `fit_network`: fitted as they are, or an error that names the place."""

import re
import warnings
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import nn

from polylogit.errors import DataError, RecipeError
from polylogit.fitting.loop import fit_network
from polylogit.fitting.options import TrainingOptions
from polylogit.misuse import MisuseWarning

OPTIONS = TrainingOptions(epochs=3, batch_size=50, learning_rate=0.05)


@pytest.fixture
def rows():
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(200) % 3
    centres = 2 * torch.randn(3, 6, generator=generator)
    return centres[targets] + 0.5 * torch.randn(200, 6, generator=generator), targets


def options_of(**change):
    """Options without the type checker that the tests add to every constructor, as users have them."""
    options = object.__new__(TrainingOptions)
    for name, value in {**vars(OPTIONS), **change}.items():
        object.__setattr__(options, name, value)
    options.__post_init__()
    return options


def linear():
    torch.manual_seed(0)
    return nn.Linear(6, 3)


def test_soft_rows_are_trained_on(rows):
    inputs, targets = rows
    soft = 0.8 * F.one_hot(targets, 3) + 0.2 / 3
    network, by_smoothing = linear(), linear()
    fit = fit_network(network, inputs, soft, options=OPTIONS, validation=(inputs, soft))
    same = fit_network(by_smoothing, inputs, targets, options=replace(OPTIONS, label_smoothing=0.2))
    assert fit.history[-1].train_loss == pytest.approx(same.history[-1].train_loss, rel=1e-5)
    torch.testing.assert_close(network.weight, by_smoothing.weight, rtol=1e-4, atol=1e-5)
    expected = F.cross_entropy(network(inputs), soft).item()
    assert fit.history[-1].validation_loss == pytest.approx(expected, rel=1e-5)


def test_one_hot_integers_are_class_indices(rows):
    inputs, targets = rows
    ends = []
    for form in (targets, targets.to(torch.uint8), F.one_hot(targets, 3), F.one_hot(targets, 3).bool()):
        network = linear()
        fit_network(network, inputs, form, options=OPTIONS)
        ends.append(network.weight.detach())
    for end in ends[1:]:
        torch.testing.assert_close(end, ends[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (lambda y: y + 0.9, r"targets: expected class indices of an integer dtype, got float32\. Convert"),
        (lambda y: y == 1, "got bool"),
        (lambda y: y - 1, r"targets\[0\]: expected a class index from 0 to 2, got -1 \(67 of 200"),
        (lambda y: F.one_hot(y, 4).float(), r"expected shape \(200,\)"),
        (lambda y: 2.0 * F.one_hot(y, 3), "row 0"),
        (lambda y: F.one_hot(y, 3) * float("nan"), "row 0"),
    ],
)
def test_targets_of_another_form_are_an_error(rows, targets, message):
    inputs, indices = rows
    for name in ("targets", "validation targets"):
        wrong = targets(indices)
        given = (wrong, None) if name == "targets" else (indices, (inputs, wrong))
        with pytest.raises(DataError, match=message) as raised:
            fit_network(linear(), inputs, given[0], options=OPTIONS, validation=given[1])
        assert str(raised.value).startswith(name)


def test_targets_per_pixel_are_an_error_that_says_so():
    pictures, targets = torch.randn(60, 1, 4, 4), torch.randint(3, (60, 4, 4))
    with pytest.raises(DataError, match=r"expected logits of shape \(N, K\).*per pixel"):
        fit_network(nn.Conv2d(1, 3, 1), pictures, targets, options=OPTIONS)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"class_weight": -torch.ones(3)}, r"class_weight\[0\]: expected a finite weight of 0 or more, got -1"),
        ({"class_weight": torch.ones(4)}, r"class_weight: expected one weight per class, shape \(3,\)"),
        ({"sample_weight": torch.full((200,), torch.nan)}, r"sample_weight\[0\]"),
        ({"sample_weight": torch.zeros(200)}, "all weights are 0"),
    ],
)
def test_weights_are_checked(rows, weights, message):
    with pytest.raises(DataError, match=message):
        fit_network(linear(), *rows, options=OPTIONS, **weights)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": "adagrad"}, "training.optimizer: Input should be 'sgd'"),
        ({"epochs": 0}, "training.epochs: Input should be greater than or equal to 1, got 0"),
        ({"learning_rate": -1.0}, "training.learning_rate"),
        ({"learning_rate": float("nan")}, "training.learning_rate"),
        ({"batch_size": 2.5}, "training.batch_size"),
        ({"label_smoothing": 1.0}, "training.label_smoothing"),
        ({"accumulation": 0}, "training.accumulation"),
        ({"schedule": "linear"}, "training.schedule"),
    ],
)
def test_options_are_validated(change, message):
    with pytest.raises(RecipeError, match=message):
        options_of(**change)


@pytest.mark.parametrize("change", [{"batch_size": 1}, {"batch_size": 3, "accumulation": 2}])
def test_batch_normalisation_of_single_rows_is_refused(rows, change):
    net = nn.Sequential(nn.Flatten(), nn.LazyLinear(4), nn.BatchNorm1d(4))
    net(rows[0][:2].float())
    with pytest.raises(RecipeError, match=r"training.batch_size: batch normalisation needs two rows at a time, and "):
        fit_network(net, *rows, options=replace(OPTIONS, **change))


def test_every_wrong_option_is_named():
    with pytest.raises(RecipeError) as raised:
        options_of(epochs=0, momentum=2.0, batch_size="some")
    assert [line.split(":")[0] for line in str(raised.value).splitlines()] == [
        "training.epochs",
        "training.batch_size",
        "training.momentum",
    ]


@pytest.mark.parametrize("whole_in_evaluation_mode", [False, True])
def test_frozen_normalisation_stays_in_evaluation_mode(rows, whole_in_evaluation_mode):
    frozen = nn.BatchNorm1d(6).eval().requires_grad_(requires_grad=False)
    frozen.running_mean.fill_(7.0)
    trained = nn.BatchNorm1d(6)
    network = nn.Sequential(frozen, trained, nn.Linear(6, 3))
    if whole_in_evaluation_mode:
        network.eval()
    fit_network(network, *rows, options=OPTIONS, validation=rows)
    assert torch.equal(frozen.running_mean, torch.full((6,), 7.0))
    assert not torch.equal(trained.running_mean, torch.zeros(6))


def test_a_compiled_network_is_fitted_like_its_source(rows):
    plain, source = linear(), linear()
    options = replace(OPTIONS, averaging=0.5, patience=2)
    expected = fit_network(plain, *rows, options=options, validation=rows)
    compiled = torch.compile(source, backend="aot_eager")
    fit = fit_network(compiled, *rows, options=options, validation=rows)
    assert fit.history[-1].train_loss == pytest.approx(expected.history[-1].train_loss, rel=1e-5)
    torch.testing.assert_close(source.weight, plain.weight)


def test_random_state_and_memory_format_of_the_caller_are_restored():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(), nn.Flatten(), nn.Linear(16, 2))
    pictures, targets = torch.randn(20, 3, 4, 4), torch.arange(20) % 2
    state = torch.get_rng_state()
    fit_network(network, pictures, targets, options=replace(OPTIONS, batch_size=10), augment=torch.rand_like)
    assert torch.equal(torch.get_rng_state(), state)
    assert network[0].weight.is_contiguous()
    laid_out = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 2)).to(memory_format=torch.channels_last)
    fit_network(laid_out, pictures, targets, options=replace(OPTIONS, batch_size=10))
    assert laid_out[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_the_first_batch_is_checked_for_misuse(rows):
    with pytest.warns(MisuseWarning, match="softmax-twice"):
        fit = fit_network(nn.Sequential(linear(), nn.Softmax(dim=1)), *rows, options=OPTIONS)
    assert fit.misuse.codes == ("softmax-twice",)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sound = fit_network(linear(), *rows, options=OPTIONS).misuse
        assert sound == ()
        assert re.fullmatch(r"Nothing wrong was seen \(first batch, \d+ rows\)\.", str(sound))
        unasked = nn.Sequential(linear(), nn.Softmax(dim=1))
        assert fit_network(unasked, *rows, options=OPTIONS, check_misuse=False).misuse is None


def test_the_former_keyword_of_callbacks_still_works(rows):
    from polylogit.fitting.callbacks import TrainingCallback

    class Count(TrainingCallback):
        epochs = 0

        def epoch_done(self, record):
            self.epochs += 1

    count = Count()
    with pytest.warns(DeprecationWarning, match="now called callbacks"):
        fit_network(linear(), *rows, options=OPTIONS, observers=[count])
    assert count.epochs == 3
