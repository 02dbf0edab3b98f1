"""Set-ups that the detector once missed, misnamed or reported wrongly."""

import warnings
from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import nn

from polylogit import losses
from polylogit.misuse import MisuseFinding, MisuseWarning, diagnose, watch

N, D, K = 64, 10, 4


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def batch():
    targets = torch.arange(N) % K
    return (2 * torch.randn(K, D))[targets] + 0.5 * torch.randn(N, D), targets


def mlp(*last, k=K):
    return nn.Sequential(nn.Linear(D, 32), nn.ReLU(), nn.Linear(32, k), *last)


class Then(nn.Module):
    """A network and a function of its output."""

    def __init__(self, change, network=None):
        super().__init__()
        self.network, self.change = network or mlp(), change

    def forward(self, inputs):
        return self.change(self.network(inputs))


def one_hot_of_argmax(scores):
    return F.one_hot(scores.argmax(1), K).float()


class CutInside(nn.Module):
    def __init__(self, cut):
        super().__init__()
        self.first, self.last, self.cut = nn.Linear(D, 8), nn.Linear(8, K), cut

    def forward(self, inputs):
        return self.last(self.cut(self.first(inputs).relu()))


def with_a_nan_parameter():
    model = mlp()
    model[2].bias.data[1] = torch.nan
    return model


MULTI_HOT = F.one_hot(torch.arange(N) % K, K).float()
WRONG = {
    "NaN inputs": (lambda: (mlp(), nn.CrossEntropyLoss(), batch()[0] * torch.nan, batch()[1]), "non-finite-inputs"),
    "NaN parameter": (lambda: (with_a_nan_parameter(), nn.CrossEntropyLoss(), *batch()), "non-finite-parameters"),
    "NaN scores": (lambda: (Then(lambda z: z.log()), nn.CrossEntropyLoss(), *batch()), "non-finite-scores"),
    "NaN targets": (lambda: (mlp(), nn.BCEWithLogitsLoss(), batch()[0], MULTI_HOT * torch.nan), "non-finite-targets"),
    "target's class masked": (
        lambda: (
            Then(lambda z: z.masked_fill(torch.arange(K) == 0, -torch.inf)),
            nn.CrossEntropyLoss(),
            *batch(),
        ),
        "non-finite-loss",
    ),
    "argmax": (lambda: (Then(one_hot_of_argmax), nn.CrossEntropyLoss(), *batch()), "cut-gradient"),
    "detached scores": (lambda: (Then(torch.detach), nn.CrossEntropyLoss(), *batch()), "cut-gradient"),
    "lists": (lambda: (Then(lambda z: torch.tensor(z.tolist())), nn.CrossEntropyLoss(), *batch()), "cut-gradient"),
    "detached in the middle": (lambda: (CutInside(torch.detach), nn.CrossEntropyLoss(), *batch()), "cut-gradient"),
    "softmax and BCE": (
        lambda: (mlp(nn.Softmax(dim=1)), nn.BCELoss(), batch()[0], MULTI_HOT),
        "softmax-with-binary-loss",
    ),
    "softmax and BCE of logits": (
        lambda: (mlp(nn.Softmax(dim=1)), nn.BCEWithLogitsLoss(), batch()[0], MULTI_HOT),
        "softmax-with-binary-loss",
    ),
    "tanh": (lambda: (mlp(nn.Tanh()), nn.CrossEntropyLoss(), *batch()), "bounded-scores"),
    "softplus": (lambda: (mlp(nn.Softplus()), nn.CrossEntropyLoss(), *batch()), "positive-scores"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_set_up_is_named_with_its_cause(name):
    build, code = WRONG[name]
    findings = diagnose(*build())
    assert findings.codes == (code,), str(findings)


def mixup_of_the_user(scores, pairs):
    return 0.3 * F.cross_entropy(scores, pairs[:, 0]) + 0.7 * F.cross_entropy(scores, pairs[:, 1])


def illegal_moves(scores):
    masked = torch.ones(N, K, dtype=torch.bool)
    masked[torch.arange(N), torch.arange(N) % K] = False
    masked[torch.arange(N), (torch.arange(N) + 1) % K] = False
    return scores.masked_fill(masked, -torch.inf)


def similarities(features):
    features = F.normalize(features, dim=1)
    return (features @ features.T / 0.07).masked_fill(torch.eye(N, dtype=torch.bool), -torch.inf)


class KeepsItsState(nn.Module):
    """A hidden state that lives on the module, as in recurrent networks."""

    def __init__(self):
        super().__init__()
        self.linear, self.hidden, self.seen = nn.Linear(D, K), None, []

    def forward(self, inputs):
        scores = self.linear(inputs)
        self.hidden = scores.detach()
        self.seen.append(len(inputs))
        return scores


SOUND = {
    "illegal moves": lambda: (Then(illegal_moves), nn.CrossEntropyLoss(), *batch()),
    "SimCLR": lambda: (Then(similarities), nn.CrossEntropyLoss(), batch()[0], (torch.arange(N) + N // 2) % N),
    "mixup by the user": lambda: (mlp(), mixup_of_the_user, batch()[0], torch.stack([batch()[1]] * 2, 1)),
    "frozen backbone": lambda: (
        nn.Sequential(nn.Linear(D, 8).requires_grad_(requires_grad=False), nn.ReLU(), nn.Linear(8, K)),
        nn.CrossEntropyLoss(),
        *batch(),
    ),
    "all frozen": lambda: (mlp().requires_grad_(requires_grad=False), nn.CrossEntropyLoss(), *batch()),
    "state on the module": lambda: (KeepsItsState(), nn.CrossEntropyLoss(), *batch()),
    "cosines with a temperature": lambda: (
        Then(lambda z: F.normalize(z, dim=1) / 0.1),
        nn.CrossEntropyLoss(),
        *batch(),
    ),
    "negative distances": lambda: (Then(lambda z: -z.square()), nn.CrossEntropyLoss(), *batch()),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_set_up_gives_no_finding(name):
    findings = diagnose(*SOUND[name]())
    assert not findings, str(findings)


def test_attributes_of_the_model_are_restored():
    model, (inputs, targets) = KeepsItsState(), batch()
    diagnose(model, nn.CrossEntropyLoss(), inputs, targets)
    assert model.hidden is None
    assert model.seen == []


def user_loss(scores, targets, scale=1.0):
    return scale * F.nll_loss(scores.log_softmax(1), targets)


@contextmanager
def watched(model, loss, code):
    """A watch that has to warn of a finding."""
    with pytest.warns(MisuseWarning, match=code), watch(model, loss) as watching:
        yield watching


CALLS = {
    "keywords": (nn.CrossEntropyLoss(), lambda m, f, x, y: f(input=m(x), target=y)),
    "sample_weight of a module": (
        losses.CrossEntropyWithLogits(),
        lambda m, f, x, y: f(m(x), y, torch.ones(N)),
    ),
    "function of torch": (F.cross_entropy, lambda m, f, x, y: f(m(x), y)),
    "function of torch by keywords": (F.cross_entropy, lambda m, f, x, y: f(target=y, input=m(x))),
    "function of polylogit": (losses.cross_entropy_with_logits, lambda m, f, x, y: f(m(x), y)),
    "sample_weight of a function": (
        losses.cross_entropy_with_logits,
        lambda m, f, x, y: f(m(x), y, sample_weight=torch.ones(N)),
    ),
    "function of the user": (user_loss, lambda m, f, x, y: f(m(x), y, scale=2.0)),
}


@pytest.mark.parametrize("name", CALLS)
def test_watch_sees_every_call_form(name):
    loss, call = CALLS[name]
    inputs, targets = batch()
    model = mlp(nn.Softmax(dim=1))
    with watched(model, loss, "softmax-twice") as watching:
        for _ in range(3):
            call(model, loss, inputs, targets).backward()
    assert watching.findings.codes == ("softmax-twice",)
    assert "3 losses of 1 function, 1 batch diagnosed" in str(watching.findings)


def test_watch_says_that_no_loss_was_seen():
    model = mlp()
    with pytest.warns(MisuseWarning, match="no call of the loss was seen"), watch(model, nn.CrossEntropyLoss()) as seen:
        model(batch()[0])
    assert "0 losses" in str(seen.findings)


def test_a_missing_step_in_the_usual_loop_is_named():
    model, loss, (inputs, targets) = mlp(), nn.CrossEntropyLoss(), batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watched(model, loss, "missing-step") as watching:
        for _ in range(40):
            optimizer.zero_grad()
            loss(model(inputs), targets).backward()
    assert watching.findings.codes == ("missing-step",)


def test_a_learning_rate_of_0_is_named():
    model, loss, (inputs, targets) = mlp(), nn.CrossEntropyLoss(), batch()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.0)
    with watched(model, loss, "learning-rate-zero") as watching:
        for _ in range(12):
            optimizer.zero_grad()
            loss(model(inputs), targets).backward()
            optimizer.step()
    assert watching.findings.codes == ("learning-rate-zero",)


def test_a_slow_start_is_sound():
    model, loss, (inputs, targets) = mlp(), nn.CrossEntropyLoss(), batch()
    nn.init.zeros_(model[2].weight)
    nn.init.zeros_(model[2].bias)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-5)
    with watch(model, loss) as watching:
        for _ in range(120):
            optimizer.zero_grad()
            loss(model(inputs), targets).backward()
            optimizer.step()
    assert not watching.findings


@pytest.mark.parametrize("parts", [1, 128])
def test_gradient_accumulation_and_steps_by_hand_are_sound(parts):
    model, loss, (inputs, targets) = mlp(), nn.CrossEntropyLoss(), batch()
    with warnings.catch_warnings(), watch(model, loss) as watching:
        warnings.simplefilter("error")
        for step in range(2 * parts + 30):
            (loss(model(inputs), targets) / parts).backward()
            if step % parts == parts - 1:
                with torch.no_grad():
                    for parameter in model.parameters():
                        parameter.sub_(0.1 * parameter.grad)
                        parameter.grad = None
    assert not watching.findings


def test_the_former_name_of_fix_still_works():
    finding = MisuseFinding("code", "seen", "why", "cost", "fix it", 0.9)
    with pytest.warns(DeprecationWarning, match="now called fix"):
        assert finding.mend == "fix it"
    assert str(finding).splitlines()[0] == "code: fix it (confidence 0.90)"
