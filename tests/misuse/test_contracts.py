"""What kind of score a loss takes: by name, by wrapper, by numbers."""

import functools

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from polylogit import losses
from polylogit.misuse.contracts import kind_of, softmax_inside_twice

SCORES, INDICES = torch.zeros(6, 4), torch.arange(6) % 4


class Own(nn.Module):
    def forward(self, scores, targets):
        return F.nll_loss(scores.log_softmax(1), targets)


@pytest.mark.parametrize(
    ("loss", "kind"),
    [
        (nn.CrossEntropyLoss(), "logits"),
        (functools.partial(F.nll_loss, reduction="sum"), "log_probabilities"),
        (torch.compile(nn.NLLLoss(), backend="eager"), "log_probabilities"),
        (losses.CrossEntropyWithProbabilities(), "probabilities"),
        (Own(), "logits"),
        (lambda s, y: F.cross_entropy(s, y, reduction="none"), "logits"),
        (lambda s, y: -(F.one_hot(y, 4) * s).sum(1).mean(), "log_probabilities"),
        (lambda s, y: -(F.one_hot(y, 4) * s.log()).sum(1).mean(), "probabilities"),
        (nn.MultiMarginLoss(), None),
        (lambda s, y: s.square().mean(), None),
        (lambda s, y: s.undefined, None),
    ],
)
def test_losses_over_classes(loss, kind):
    if kind is None and not isinstance(loss, nn.Module):
        loss = refusing(loss)
    assert kind_of(loss, SCORES, INDICES) == kind


def refusing(loss):
    def call(scores, targets):
        try:
            return loss(scores, targets)
        except AttributeError as error:
            raise TypeError(str(error)) from error

    return call


@pytest.mark.parametrize(
    ("loss", "kind"),
    [
        (nn.BCEWithLogitsLoss(), "binary_logits"),
        (nn.BCELoss(), "binary_probabilities"),
        (lambda s, y: (F.softplus(s) - y * s).mean(), "binary_logits"),
        (lambda s, y: -(y * s.log() + (1 - y) * (1 - s).log()).mean(), "binary_probabilities"),
        (lambda s, y: (s - y).square().mean(), None),
    ],
)
def test_losses_of_one_score(loss, kind):
    assert kind_of(loss, torch.zeros(6, 1), (INDICES % 2).float()[:, None]) == kind


def test_a_softmax_too_many_inside_the_loss():
    assert softmax_inside_twice(lambda s, y: F.cross_entropy(s.softmax(1), y), SCORES, INDICES) == pytest.approx(
        0.743668
    )
    assert softmax_inside_twice(F.cross_entropy, SCORES, INDICES) is None
    assert softmax_inside_twice(nn.CrossEntropyLoss(label_smoothing=0.2), SCORES, INDICES) is None
