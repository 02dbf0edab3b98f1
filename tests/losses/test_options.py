"""When values are checked, the arguments of other libraries' losses, and the forms that weights are taken in."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch._subclasses import FakeTensorMode
from torch.testing import assert_close

from polylogit import losses
from polylogit.errors import ScoreError
from polylogit.losses import options
from polylogit.losses.weights import as_weight

LOGITS = torch.tensor([[2.0, 0.0, 1.0], [0.0, 3.0, 0.0]])
GOOD, BAD = torch.tensor([[0.5, 0.5, 0.0]] * 2), torch.tensor([[0.5, 0.5, 0.5]] * 2)


@pytest.fixture(autouse=True)
def no_batches_checked_yet(monkeypatch):
    monkeypatch.setattr(options, "_checked_batches", type(options._checked_batches)())


FUNCTIONS = [
    losses.cross_entropy_with_logits,
    losses.focal_cross_entropy_with_logits,
    lambda z, t, **rest: losses.cross_entropy_with_log_probabilities(z.log_softmax(1), t, **rest),
    lambda z, t, **rest: losses.cross_entropy_with_probabilities(z.softmax(1), t, **rest),
    lambda z, t, **rest: losses.binary_cross_entropy_with_logits(z, 9 * t * t, **rest),
]


@pytest.mark.parametrize("loss", FUNCTIONS)
def test_the_first_batches_are_checked(loss):
    good, bad = GOOD * 0 + 1 / 3, BAD
    with pytest.raises(ScoreError):
        loss(LOGITS, bad, validate="first")
    for _ in range(options.FIRST_BATCHES - 1):
        loss(LOGITS, good, validate="first")
    with pytest.raises(ScoreError):
        loss(LOGITS, bad, validate="first")
    loss(LOGITS, good, validate="first")
    loss(LOGITS, bad, validate="first")
    with pytest.raises(ScoreError):  # another number of classes is another network
        loss(LOGITS[:, :2], bad[:, :2] + 0.2, validate="first")
    for validate in (None, True):
        with pytest.raises(ScoreError):
            loss(LOGITS, bad, validate=validate)


def test_each_module_counts_its_own_batches():
    for _ in range(2):
        module = losses.CrossEntropyWithLogits(validate="first")
        with pytest.raises(ScoreError):
            module(LOGITS, BAD)
        for _ in range(options.FIRST_BATCHES):
            module(LOGITS, GOOD)
        module(LOGITS, BAD)


def test_off_a_cpu_nothing_is_read_after_the_first_batches(monkeypatch):
    """A meta tensor has no values, so a loss of it shows that none is read; the device of the scores is what counts."""
    scores, targets = LOGITS.to("meta"), GOOD.to("meta")
    for name in losses.__all__:
        if name.startswith("Linear") or not name.endswith(("Logits", "Probabilities")):
            continue
        assert getattr(losses, name)()(scores, targets).device.type == "meta"
    checked = []
    monkeypatch.setattr(options, "values_can_be_read", lambda *tensors: True)
    monkeypatch.setattr("polylogit.losses.likelihood.check_targets", lambda *_: checked.append(1))
    for _ in range(options.FIRST_BATCHES + 3):
        losses.cross_entropy_with_logits(scores, targets)
    assert len(checked) == options.FIRST_BATCHES


def test_another_value_of_validate_is_an_error():
    with pytest.raises(ScoreError, match="validate: expected True, False, \"first\" or None, got 'always'"):
        options.check_validate("always")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda f: f(LOGITS, GOOD, weight=torch.ones(3)),
            r'unexpected argument "weight".*class_weight=.*sample_weight=',
        ),
        (lambda f: f(LOGITS, GOOD, torch.ones(3)), "by name only, got 1 more by position.*class_weight="),
        (lambda f: f(LOGITS, GOOD, from_logits=True), "_with_logits, ..._with_probabilities"),
        (lambda f: f(LOGITS, GOOD, axis=-1), "movedim"),
        (lambda f: f(LOGITS, GOOD, size_average=True), "reduction="),
        (lambda f: f(LOGITS, GOOD, label_smothing=0.1), 'Did you mean "label_smoothing"'),
    ],
)
def test_arguments_of_other_libraries_are_answered_with_ours(call, message):
    for loss in (losses.cross_entropy_with_logits, losses.cross_entropy_with_probabilities):
        with pytest.raises(TypeError, match=message):
            call(loss)


@pytest.mark.parametrize("name", [name for name in losses.__all__ if name[0].isupper() and name != "Reduction"])
def test_modules_answer_them_too(name):
    option = "pos_weight=" if name.startswith("Binary") else "class_weight="
    for build in (lambda c: c(weight=torch.ones(3)), lambda c: c(torch.ones(3))):
        with pytest.raises(TypeError, match=f"{name}.*{option}"):
            build(getattr(losses, name))
    with pytest.raises(TypeError, match=r"pos_weight=\.\.\.$|sample_weight=\.\.\.$"):
        losses.binary_cross_entropy_with_logits(LOGITS, GOOD, weight=torch.ones(3))


def test_scores_with_classes_on_the_last_axis_are_answered_with_movedim():
    scores = torch.zeros(2, 5, 7)
    for targets in (torch.zeros(2, 5).long(), torch.zeros(2, 5, dtype=torch.int32)):
        with pytest.raises(ScoreError, match=r"movedim\(-1, 1\)"):
            losses.cross_entropy_with_logits(scores, targets)
    assert losses.cross_entropy_with_logits(scores.movedim(-1, 1), torch.zeros(2, 5).long()).item() > 0


@pytest.mark.parametrize(
    "form", [list, tuple, np.asarray, torch.tensor, lambda w: torch.tensor(w, dtype=torch.float64)]
)
def test_weights_in_any_form(form):
    numbers, rows = [0.5, 1.0, 2.0], [1.0, 3.0]
    expected = losses.cross_entropy_with_logits(LOGITS, GOOD, class_weight=torch.tensor(numbers))
    assert_close(losses.cross_entropy_with_logits(LOGITS, GOOD, class_weight=form(numbers)), expected)
    assert_close(losses.CrossEntropyWithLogits(class_weight=form(numbers))(LOGITS, GOOD), expected)
    expected = losses.cross_entropy_with_logits(LOGITS, GOOD, sample_weight=torch.tensor(rows))
    assert_close(losses.cross_entropy_with_logits(LOGITS, GOOD, sample_weight=form(rows)), expected)
    expected = losses.binary_cross_entropy_with_logits(LOGITS, GOOD, pos_weight=torch.tensor(numbers))
    assert_close(losses.binary_cross_entropy_with_logits(LOGITS, GOOD, pos_weight=form(numbers)), expected)
    targets = torch.tensor([0, 2])
    expected = losses.target_weights(targets, (2, 3), class_weight=torch.tensor(numbers))
    assert_close(losses.target_weights(targets, (2, 3), class_weight=form(numbers)).float(), expected)


@pytest.mark.parametrize("value", ["balanced", {0: 1.0}, ["a", "b"], 3.0])
def test_anything_else_is_an_error_that_says_how(value):
    with pytest.raises(ScoreError, match=r"class_weight: expected one number per class.*torch\.bincount"):
        as_weight(value, "class_weight")


BALANCED = """
import torch
from polylogit import losses
for call in (lambda: losses.CrossEntropyWithLogits(class_weight="balanced"),
             lambda: losses.cross_entropy_with_logits(torch.zeros(1, 2), torch.tensor([0]), class_weight="balanced"),
             lambda: losses.cross_entropy_with_logits(torch.zeros(1, 2), torch.tensor([0]), validate="always")):
    try:
        call()
    except losses.binary.ScoreError as error:
        print(error)
"""


def test_words_in_place_of_numbers_are_errors():
    """In a process of its own, because the types that tests run with reject them first."""
    command = [sys.executable, "-c", BALANCED]
    source = {"PYTHONPATH": str(Path(losses.__file__).parents[2])}
    printed = subprocess.check_output(command, env={**os.environ, **source}, text=True).splitlines()
    assert [line.partition(":")[0] for line in printed] == ["class_weight", "class_weight", "validate"]


def test_modules_on_meta_and_fake_tensors_and_with_many_classes():
    for build in (losses.CrossEntropyWithLogits, losses.FocalCrossEntropyWithLogits):
        assert "<(3,) on meta>" in repr(build(class_weight=torch.ones(3, device="meta")))
        with FakeTensorMode():
            assert "<(3,) on cpu>" in repr(build(class_weight=torch.ones(3)))
        with torch.device("meta"):
            assert "<(5000,) on meta>" in repr(build(class_weight=torch.ones(5000)))
    shown = repr(losses.CrossEntropyWithLogits(class_weight=torch.linspace(0, 2, 5000)))
    assert "class_weight=<(5000,), 0 to 2>" in shown
    assert "pos_weight=[1.0, 2.0]" in repr(losses.BinaryCrossEntropyWithLogits(pos_weight=[1, 2]))
