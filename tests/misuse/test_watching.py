"""Watching a loop of one's own: hooks on, findings once, hooks off."""

import warnings

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from polylogit.misuse import MisuseWarning, watch


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(16, 5, generator=generator), torch.arange(16) % 4


def train(model, loss, data, steps, lr=0.1):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model(data[0]), data[1]).backward()
        optimizer.step()


def test_a_sound_loop_is_left_in_peace_and_left_clean(data):
    model, loss = nn.Linear(5, 4), nn.CrossEntropyLoss()
    with watch(model, loss, patience=5) as watching:
        train(model, loss, data, 20)
    assert not watching.findings
    assert not model._forward_pre_hooks
    assert not loss._forward_hooks


def test_a_finding_is_reported_once(data):
    model, loss = nn.Sequential(nn.Linear(5, 4), nn.Sigmoid()), nn.CrossEntropyLoss()
    with warnings.catch_warnings(record=True) as told, watch(model, loss) as watching:
        warnings.simplefilter("always")
        train(model, loss, data, 5)
    assert watching.findings.codes == ("sigmoid-outputs",)
    assert [warning.category for warning in told] == [MisuseWarning]


def test_a_plain_function_is_watched_through_the_context(data):
    model = nn.Sequential(nn.Linear(5, 4), nn.Softmax(dim=1))
    with pytest.warns(MisuseWarning, match="softmax-twice"), watch(model, F.cross_entropy) as watching:
        train(model, watching.loss, data, 2)


def test_an_optimizer_without_the_models_parameters_leaves_the_loss_at_log_k(data):
    model, loss = nn.Linear(5, 4), nn.CrossEntropyLoss()
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    with warnings.catch_warnings(record=True) as told, watch(model, loss, patience=10):
        warnings.simplefilter("always")
        train(model, loss, data, 12, lr=0.0)
    texts = [str(warning.message) for warning in told]
    assert len(texts) == 2
    assert "loss-at-log-k" in texts[0]
    assert "log 4 = 1.3863" in texts[0]
    assert "learning-rate-zero" in texts[1]


def test_an_optimizer_of_another_model_is_seen_far_from_log_k(data):
    model, loss, other = nn.Linear(5, 4), nn.CrossEntropyLoss(), nn.Linear(5, 4)
    optimizer = torch.optim.SGD(other.parameters(), lr=0.1)
    with warnings.catch_warnings(record=True) as told, watch(model, loss, patience=5) as watching:
        warnings.simplefilter("always")
        for _ in range(8):
            optimizer.zero_grad()
            loss(9 * model(data[0]), data[1]).backward()
            optimizer.step()
    assert watching.findings.codes == ("parameters-unchanged",)
    assert len(told) == 1


def test_losses_without_gradients_or_of_a_frozen_model_move_nothing_and_are_sound(data):
    model, loss = nn.Linear(5, 4), nn.CrossEntropyLoss()
    head = nn.Linear(4, 4)
    with watch(model, loss, patience=3) as watching, torch.no_grad():
        for _ in range(6):
            loss(3 * model(data[0]), data[1])
    model.requires_grad_(requires_grad=False)
    with watch(model, loss, patience=3) as watching_frozen:
        for _ in range(6):
            loss(3 * head(model(data[0])), data[1]).backward()
    assert not watching.findings
    assert not watching_frozen.findings


@pytest.mark.parametrize("hooked", [True, False])
@pytest.mark.parametrize(
    ("change", "loss", "code"),
    [
        (lambda z: z.softmax(1), nn.CrossEntropyLoss(), "softmax-twice"),
        (lambda z: z.log_softmax(1), nn.CrossEntropyLoss(), "log-probabilities-for-logits"),
        (lambda z: z.softmax(1), nn.NLLLoss(), "probabilities-for-log-probabilities"),
    ],
)
def test_what_a_loop_does_between_model_and_loss_is_seen(data, change, loss, code, hooked):
    model = nn.Linear(5, 4)
    watched = loss if hooked else loss.forward
    with pytest.warns(MisuseWarning, match=code), watch(model, watched) as watching:
        watching.loss(change(model(data[0])), data[1]).backward()
    assert watching.findings.codes == (code,)


def test_what_a_loop_corrects_between_model_and_loss_is_no_mistake(data):
    """Probabilities whose log is taken in the loop, positions laid as rows, one of several outputs."""
    inputs, targets = data
    with watch(nn.Sequential(nn.Linear(5, 4), nn.Softmax(dim=1)), nn.NLLLoss()) as watching:
        watching.loss(watching.model(inputs).log(), targets).backward()
    assert not watching.findings
    words = inputs.reshape(4, 4, 5)
    with watch(nn.Linear(5, 4), nn.CrossEntropyLoss()) as watching:
        watching.loss(watching.model(words).reshape(-1, 4), targets).backward()
    assert not watching.findings

    class Several(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(5, 4)

        def forward(self, rows):
            return {"scores": self.linear(rows), "rows": rows}

    with watch(Several(), nn.CrossEntropyLoss()) as watching:
        watching.loss(watching.model(inputs)["scores"], targets).backward()
    assert not watching.findings


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda targets: targets + 1, "labels-from-1"),
        (lambda targets: targets.float(), "one-hot-or-index"),
        (lambda targets: targets.unsqueeze(1), "one-hot-or-index"),
        (lambda targets: F.one_hot(targets, 4), "one-hot-or-index"),
    ],
)
@pytest.mark.parametrize("hooked", [True, False])
def test_targets_that_the_loss_fails_on_are_reported_before_it_fails(data, change, code, hooked):
    model, loss = nn.Linear(5, 4), nn.CrossEntropyLoss()
    with (
        pytest.warns(MisuseWarning, match=code),
        pytest.raises((IndexError, RuntimeError)),
        watch(model, loss if hooked else F.cross_entropy) as watching,
    ):
        watching.loss(model(data[0]), change(data[1]))


def test_a_loss_that_leaves_log_k_is_not_stuck_when_it_comes_back(data):
    model, loss = nn.Linear(5, 4), nn.CrossEntropyLoss()
    with watch(model, loss, patience=3) as watching:
        loss(model(data[0]), data[1])
        loss(torch.zeros(16, 4), data[1])
        loss(5 * torch.randn(16, 4, generator=torch.Generator().manual_seed(1)), data[1])
        for _ in range(10):
            loss(torch.zeros(16, 4), data[1])
    assert not watching.findings


def test_evaluation_and_compiled_models_are_watched_too(data):
    model = torch.compile(nn.Sequential(nn.Linear(5, 4), nn.Softmax(dim=1)), backend="eager")
    loss = nn.CrossEntropyLoss()
    with pytest.warns(MisuseWarning, match="softmax-twice"), watch(model, loss), torch.no_grad():
        loss(model(data[0]), data[1])


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is:FutureWarning")
def test_a_scripted_model_takes_no_hooks_and_its_scores_are_looked_at(data):
    model = torch.jit.script(nn.Sequential(nn.Linear(5, 4), nn.Softmax(dim=1)))
    loss = nn.CrossEntropyLoss()
    with pytest.warns(MisuseWarning, match="softmax-twice"), watch(model, loss):
        loss(model(data[0]), data[1])


def test_hooks_go_when_the_loop_fails(data):
    model, loss = nn.Linear(5, 4), nn.CrossEntropyLoss()
    with pytest.raises(RuntimeError, match="stop"), watch(model, loss):
        raise RuntimeError("stop")
    assert not model._forward_pre_hooks
