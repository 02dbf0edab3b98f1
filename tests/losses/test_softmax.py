"""The multi-class losses against PyTorch, against float64 arithmetic written out here, and at their edges."""

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch.testing import assert_close

from polylogit import losses
from polylogit.errors import ScoreError

SCORES = {
    "logits": (losses.cross_entropy_with_logits, lambda logits: logits),
    "log_probabilities": (losses.cross_entropy_with_log_probabilities, lambda logits: logits.log_softmax(1)),
    "probabilities": (losses.cross_entropy_with_probabilities, lambda logits: logits.softmax(1)),
}


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(7)


@pytest.fixture(params=SCORES)
def kind(request):
    """(loss, logits -> its kind of score): all three have to give one number."""
    return SCORES[request.param]


def draw(generator, shape=(6, 5), *, dtype=torch.float64):
    logits = torch.randn(shape, generator=generator, dtype=dtype) * 3
    targets = torch.randint(shape[1], (shape[0], *shape[2:]), generator=generator)
    return logits, targets


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize(("weighted", "label_smoothing"), [(False, 0.0), (True, 0.0), (False, 0.2), (True, 0.2)])
@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3), (4, 5, 2, 3)])
def test_every_kind_of_score_gives_pytorchs_number(kind, reduction, weighted, label_smoothing, shape):
    loss, convert = kind
    generator = torch.Generator().manual_seed(7)
    logits, targets = draw(generator, shape)
    targets[1] = -100
    weight = torch.rand(5, generator=generator, dtype=torch.float64) if weighted else None
    expected = F.cross_entropy(logits, targets, weight=weight, reduction=reduction, label_smoothing=label_smoothing)
    options = {"class_weight": weight, "reduction": reduction, "label_smoothing": label_smoothing}
    assert_close(loss(convert(logits), targets, **options), expected)


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.int32, torch.uint8, torch.uint16, torch.uint64])
def test_any_integer_dtype_is_a_class_index(kind, generator, dtype):
    loss, convert = kind
    logits, targets = draw(generator)
    assert_close(loss(convert(logits), targets.to(dtype)), F.cross_entropy(logits, targets))


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.int8, torch.float32, torch.float64, torch.bfloat16])
def test_one_hot_of_any_dtype_equals_class_index(kind, generator, dtype):
    loss, convert = kind
    logits, targets = draw(generator, (6, 5, 2))
    one_hot = F.one_hot(targets, 5).movedim(-1, 1).to(dtype)
    weight = torch.rand(5, generator=generator, dtype=torch.float64)
    for reduction in ("none", "sum", "mean"):
        options = {"class_weight": weight, "reduction": reduction}
        assert_close(loss(convert(logits), one_hot, **options), loss(convert(logits), targets, **options))


def test_one_example_without_a_batch_axis():
    logits = torch.tensor([1.0, 2.0, 3.0])
    assert_close(losses.cross_entropy_with_logits(logits, torch.tensor(2)), torch.tensor(0.40760596))
    assert_close(losses.cross_entropy_with_logits(logits, torch.tensor([0.0, 0.0, 1.0])), torch.tensor(0.40760596))


def test_sample_weight_is_repetition(kind, generator):
    loss, convert = kind
    logits, targets = draw(generator, (5, 4))
    repeats = torch.tensor([0, 1, 3, 2, 1])
    repeated = loss(convert(logits.repeat_interleave(repeats, 0)), targets.repeat_interleave(repeats))
    assert_close(loss(convert(logits), targets, sample_weight=repeats.double()), repeated)


def test_the_mean_of_nothing_is_zero_with_a_zero_gradient(kind, generator):
    loss, convert = kind
    logits, targets = draw(generator)
    for options in ({"targets": torch.full_like(targets, -100)}, {"targets": targets, "sample_weight": torch.zeros(6)}):
        leaf = logits.clone().requires_grad_()
        value = loss(convert(leaf), **options)
        value.backward()
        assert value.item() == 0
        assert torch.count_nonzero(leaf.grad) == 0
    assert losses.cross_entropy_with_logits(torch.empty(0, 3), torch.empty(0, dtype=torch.long)).item() == 0


@pytest.mark.parametrize("size", [1e4, 1e30])
def test_huge_logits_stay_exact(size):
    logits = torch.tensor([[size, -size, 0.0]], requires_grad=True)
    assert losses.cross_entropy_with_logits(logits, torch.tensor([0])).item() == 0
    value = losses.cross_entropy_with_logits(logits, torch.tensor([1]))
    value.backward()
    assert_close(value.detach(), torch.tensor(2 * size))
    assert_close(logits.grad, torch.tensor([[1.0, -1.0, 0.0]]))


@pytest.mark.parametrize("as_rows", [False, True])
def test_an_impossible_class_costs_nothing_until_it_happens(kind, as_rows):
    loss, convert = kind
    logits = torch.tensor([[0.0, -math.inf, 0.0]], dtype=torch.float64, requires_grad=True)

    def target(index):
        return F.one_hot(torch.tensor([index]), 3).double() if as_rows else torch.tensor([index])

    value = loss(convert(logits), target(0))
    value.backward()
    assert_close(value.detach(), torch.tensor(math.log(2), dtype=torch.float64))
    assert_close(logits.grad, torch.tensor([[-0.5, 0.0, 0.5]], dtype=torch.float64))
    assert loss(convert(logits), target(1)).item() == math.inf


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_scores_are_summed_in_float32(kind, generator, dtype):
    loss, convert = kind
    scores = convert(draw(generator, (4096, 3), dtype=torch.float32)[0]).to(dtype)
    targets = torch.randint(3, (4096,), generator=generator)
    value = loss(scores, targets, validate=False)
    assert value.dtype is torch.float32
    assert_close(value.double(), loss(scores.double(), targets, validate=False), rtol=1e-6, atol=0)


def test_nan_and_infinite_logits_are_not_hidden():
    for bad in (math.nan, math.inf):
        logits = torch.tensor([[0.0, bad], [0.0, 1.0]])
        assert losses.cross_entropy_with_logits(logits, torch.tensor([0, 1])).isnan()
        assert losses.cross_entropy_with_logits(logits, torch.tensor([0, 1]), reduction="none").isnan().tolist() == [
            True,
            False,
        ]


@pytest.mark.parametrize("function", [loss for loss, _ in SCORES.values()])
def test_gradients_and_their_gradients(function, generator):
    convert = next(convert for loss, convert in SCORES.values() if loss is function)
    logits, targets = draw(generator, (3, 4))
    scores = convert(logits).detach().requires_grad_()
    rows = torch.rand(3, 4, generator=generator, dtype=torch.float64).softmax(1)
    weight = torch.rand(4, generator=generator, dtype=torch.float64)
    for target in (targets, rows):
        for reduction in ("none", "mean"):
            for smoothing in (0.0, 0.1):

                def value(scores, target=target, reduction=reduction, smoothing=smoothing):
                    return function(
                        scores,
                        target,
                        class_weight=weight,
                        sample_weight=torch.tensor([1.0, 0.5, 2.0]),
                        label_smoothing=smoothing,
                        reduction=reduction,
                    )

                assert torch.autograd.gradcheck(value, scores)
                assert torch.autograd.gradgradcheck(value, scores)


@pytest.mark.parametrize(
    ("logits", "targets", "message"),
    [
        (torch.zeros(3, 3), torch.tensor([1, 2, 3]), "targets, row 2: expected a class index from 0 to 2 .* got 3"),
        (torch.zeros(3, 3), torch.tensor([1, 2, 3]), "The labels run from 1: subtract 1"),
        (torch.zeros(3, 3), torch.tensor([0, -1, 2]), "row 1: .*got -1.*ignore_index=-1"),
        (torch.zeros(2, 3), torch.tensor([[1], [2]]), r"got shape \(2, 1\).*squeeze\(1\)"),
        (torch.zeros(2, 3), torch.tensor([1.0, 2.0]), r"integer dtype.*float32.*targets\.long\(\)"),
        (torch.zeros(2, 3), torch.tensor([0, 1, 2]), "2 rows of scores and 3 rows of targets"),
        (torch.zeros(2, 3), torch.zeros(2, 4), "num_classes=3"),
        (torch.zeros(2, 3), torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.5, 0.5]]), "row 1: .*sum of 2"),
        (torch.zeros(2, 3), torch.tensor([[0.5, 0.5, 0.0], [-0.5, 1.0, 0.5]]), "row 1, class 0: .*got -0.5"),
        (torch.zeros(2, 3), torch.tensor([[0.5, 0.5, 0.0], [math.nan, 1.0, 0.5]]), "row 1, class 0: .*got nan"),
        (torch.zeros(2, 3, 2), torch.tensor([[0, 1], [2, 3]]), r"row 1, position \(1\): .*got 3"),
        (torch.zeros(2, 3, dtype=torch.long), torch.tensor([0, 1]), "logits: expected floating point"),
        (torch.zeros(()), torch.tensor(0), "axis of classes"),
    ],
)
def test_bad_targets_are_named(logits, targets, message):
    for reduction in ("none", "mean"):
        with pytest.raises(ScoreError, match=message):
            losses.cross_entropy_with_logits(logits, targets, reduction=reduction)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_smoothing": 1.5}, "label_smoothing: expected a share"),
        ({"class_weight": torch.ones(4)}, r"class_weight: expected .* shape \(3,\)"),
        ({"sample_weight": torch.ones(3)}, r"sample_weight: expected .* shape \(2,\)"),
        ({"sample_weight": torch.tensor([1.0, -1.0])}, "sample_weight, row 1: .*got -1"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ScoreError, match=message):
        losses.cross_entropy_with_logits(torch.zeros(2, 3), torch.tensor([0, 1]), **options)


def test_scores_of_the_wrong_kind_are_refused():
    targets = torch.tensor([0, 1])
    with pytest.raises(ScoreError, match=r"probabilities, row 0: .*Softmax gives rows that sum to 1; sigmoid does not"):
        losses.cross_entropy_with_probabilities(torch.tensor([[0.9, 0.8], [0.5, 0.5]]), targets)
    with pytest.raises(ScoreError, match=r"probabilities, row 1, class 0: .*got -3.*logits need softmax"):
        losses.cross_entropy_with_probabilities(torch.tensor([[0.5, 0.5], [-3.0, 4.0]]), targets)
    with pytest.raises(ScoreError, match=r"log_probabilities: .*a loss of -\d.*cross_entropy_with_logits"):
        losses.cross_entropy_with_log_probabilities(torch.tensor([[-1.0, -0.5], [-3.0, 4.0]]), targets)


def test_class_weights_are_in_the_mean_for_one_hot_rows_too():
    """PyTorch divides the loss of soft rows by N, and of class indices by the sum of weights; here one rule holds."""
    logits, weight = torch.tensor([[1.0, 0.0], [0.0, 3.0]]), torch.tensor([1.0, 9.0])
    expected = F.cross_entropy(logits, torch.tensor([0, 1]), weight=weight)
    assert_close(losses.cross_entropy_with_logits(logits, torch.eye(2), class_weight=weight), expected)


def test_parts_of_a_batch_give_the_objective_of_the_whole(kind, generator):
    loss, convert = kind
    logits, targets = draw(generator, (20, 5))
    targets[3:5] = -100
    options = {"class_weight": torch.rand(5, generator=generator), "sample_weight": torch.rand(20, generator=generator)}
    whole = loss(convert(logits), targets, label_smoothing=0.1, **options)
    total = weight = torch.zeros(())
    for part in (slice(0, 3), slice(3, 5), slice(5, 20)):
        kept = {**options, "sample_weight": options["sample_weight"][part]}
        total = total + loss(convert(logits[part]), targets[part], label_smoothing=0.1, reduction="sum", **kept)
        weight = weight + losses.target_weights(targets[part], logits[part].shape, **kept).sum()
    assert_close(losses.weighted_mean(total, weight), whole)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3)])
def test_soft_rows_give_pytorchs_number(kind, generator, reduction, shape):
    loss, convert = kind
    logits = torch.randn(shape, generator=generator, dtype=torch.float64)
    rows = torch.rand(shape, generator=generator, dtype=torch.float64).softmax(1).requires_grad_()
    options = {"reduction": reduction, "label_smoothing": 0.1}
    value, expected = loss(convert(logits), rows, **options), F.cross_entropy(logits, rows, **options)
    assert_close(value, expected)
    assert_close(torch.autograd.grad(value, rows), torch.autograd.grad(expected, rows))
