"""What `watch` sees in whole loops: steps, gradients, modes, labels; and that it never disturbs them."""

import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import nn

from polylogit.misuse import MisuseWarning, diagnose, watch

N, D, K = 32, 6, 4


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def batch():
    targets = torch.arange(N) % K
    return (2 * torch.randn(K, D))[targets] + 0.5 * torch.randn(N, D), targets


def mlp(*middle):
    return nn.Sequential(nn.Linear(D, 16), nn.ReLU(), *middle, nn.Linear(16, K))


@contextmanager
def quietly(model, loss, **options):
    """A watch whose findings are no warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MisuseWarning)
        with watch(model, loss, **options) as watching:
            yield watching


def sgd(model, lr=0.1):
    return torch.optim.SGD(model.parameters(), lr=lr)


def test_gradients_that_are_never_cleared():
    model, loss, (x, y) = mlp(), nn.CrossEntropyLoss(), batch()
    optimizer = sgd(model)
    with quietly(model, loss) as watching:
        for _ in range(15):
            loss(model(x), y).backward()
            optimizer.step()
    assert watching.findings.codes == ("missing-zero-grad",)


@pytest.mark.parametrize("when", ["first", "before backward", "after step", "to zero"])
def test_gradients_may_be_cleared_anywhere(when):
    model, loss, (x, y) = mlp(), nn.CrossEntropyLoss(), batch()
    optimizer = sgd(model)
    with watch(model, loss) as watching:
        for _ in range(15):
            if when in ("first", "to zero"):
                optimizer.zero_grad(set_to_none=when == "first")
            value = loss(model(x), y)
            if when == "before backward":
                model.zero_grad()
            value.backward()
            optimizer.step()
            if when == "after step":
                optimizer.zero_grad()
    assert not watching.findings


def test_a_loop_that_ends_without_any_step():
    model, loss, (x, y) = mlp(), nn.CrossEntropyLoss(), batch()
    with quietly(model, loss) as watching:
        for _ in range(25):
            loss(model(x), y).backward()
    assert watching.findings.codes == ("missing-step",)
    assert "25 backward passes" in watching.findings[0].seen


def test_a_gradient_scaler_may_skip_many_steps():
    """A scaler leaves steps out while gradients overflow: those are no missing steps."""
    model, loss, (x, y) = mlp(), nn.CrossEntropyLoss(), batch()
    optimizer = sgd(model)
    with watch(model, loss) as watching:
        for step in range(60):
            optimizer.zero_grad()
            (loss(model(x), y) * (torch.inf if step < 40 else 1.0)).backward()
            if all(bool(p.grad.isfinite().all()) for p in model.parameters()):
                optimizer.step()
    assert not watching.findings


def test_the_optimizer_of_another_model_in_the_usual_loop():
    model, loss, (x, y) = mlp(), nn.CrossEntropyLoss(), batch()
    optimizer = sgd(mlp())
    with quietly(model, loss) as watching:
        for _ in range(30):
            model.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()
    assert watching.findings.codes == ("parameters-unchanged",)


def test_a_head_that_was_replaced_after_the_optimizer_was_made():
    model, loss, (x, y) = mlp(), nn.CrossEntropyLoss(), batch()
    optimizer = sgd(model)
    model[2] = nn.Linear(16, K)
    with quietly(model, loss) as watching:
        for _ in range(12):
            optimizer.zero_grad()
            model[2].zero_grad()
            loss(model(x), y).backward()
            optimizer.step()
    assert watching.findings.codes == ("parameters-not-in-optimizer",)
    assert "2, the last layer" in watching.findings[0].seen


def test_an_optimizer_of_the_head_alone_is_sound():
    model, loss, (x, y) = mlp(), nn.CrossEntropyLoss(), batch()
    optimizer = sgd(model[2])
    with watch(model, loss) as watching:
        for _ in range(30):
            model.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()
    assert not watching.findings


@pytest.mark.parametrize("layer", [nn.Dropout(), nn.BatchNorm1d(16)])
def test_training_in_evaluation_mode(layer):
    model, loss, (x, y) = mlp(layer).eval(), nn.CrossEntropyLoss(), batch()
    optimizer = sgd(model)
    with quietly(model, loss) as watching:
        for _ in range(12):
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()
    assert watching.findings.codes == ("evaluation-mode",)
    assert type(layer).__name__ in watching.findings[0].seen


def test_a_frozen_batch_norm_in_a_model_that_trains_is_sound():
    model, loss, (x, y) = mlp(nn.BatchNorm1d(16)), nn.CrossEntropyLoss(), batch()
    model(x)  # statistics of an earlier training
    model[2].eval()
    optimizer = sgd(model)
    with watch(model, loss) as watching:
        for _ in range(12):
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()
    assert not watching.findings


@pytest.mark.parametrize("evaluates", [True, False])
def test_evaluation_in_training_mode(evaluates):
    model, loss, (x, y) = mlp(nn.Dropout()), nn.CrossEntropyLoss(), batch()
    optimizer = sgd(model)
    with quietly(model, loss) as watching:
        for _ in range(5):
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()
            model.train(not evaluates)
            with torch.no_grad():
                loss(model(x), y)
            model.train()
    assert watching.findings.codes == (() if evaluates else ("training-mode",))


def test_losses_that_become_nan():
    model, loss, (x, y) = mlp(), nn.CrossEntropyLoss(), batch()
    optimizer = sgd(model, lr=1e30)
    with quietly(model, loss) as watching:
        for _ in range(8):
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()
    assert watching.findings.codes == ("non-finite-loss",)


def test_a_class_that_is_never_predicted():
    model, (x, y) = mlp(), batch()
    loss = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 1.0, 1.0, 0.0]))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    with quietly(model, loss, patience=40) as watching:
        for _ in range(80):
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()
    assert watching.findings.codes == ("class-never-predicted",)
    assert "class 3" in watching.findings[0].seen


def test_rows_sorted_by_class():
    model, loss, (x, y) = mlp(), nn.CrossEntropyLoss(), batch()
    optimizer = sgd(model)
    with quietly(model, loss) as watching:
        for step in range(16):
            rows = y == step // 4
            optimizer.zero_grad()
            loss(model(x[rows]), y[rows]).backward()
            optimizer.step()
    assert watching.findings.codes == ("unshuffled-batches",)


def line_of(function, text):
    lines = Path(function.__code__.co_filename).read_text(encoding="utf-8").splitlines()
    first = function.__code__.co_firstlineno
    return next(number for number, line in enumerate(lines[first:], first + 1) if text in line)


def test_warnings_point_at_the_line_of_the_program():
    model, loss, (x, y) = nn.Sequential(mlp(), nn.Softmax(dim=1)), nn.CrossEntropyLoss(), batch()
    optimizer = sgd(model, lr=0.0)
    with warnings.catch_warnings(record=True) as caught, watch(model, loss):
        warnings.simplefilter("always")
        for _ in range(12):
            optimizer.zero_grad()
            loss(model(x), y).backward()  # here the first batch is diagnosed
            optimizer.step()  # here the tenth step has a learning rate of 0
    places = {str(w.message).split(": ")[1]: (w.filename, w.lineno) for w in caught}
    own = test_warnings_point_at_the_line_of_the_program
    assert places["softmax-twice"] == (__file__, line_of(own, "here the first batch"))
    assert places["learning-rate-zero"] == (__file__, line_of(own, "here the tenth step"))


def trained(model, loss, x, y, *, watched):
    """Parameters, losses and random numbers of a short training, watched or not."""
    optimizer, values = sgd(model), []
    with quietly(model, loss) if watched else warnings.catch_warnings():
        for _ in range(4):
            optimizer.zero_grad()
            value = loss(model(x), y)
            value.backward()
            optimizer.step()
            values.append(float(value.detach()))
    numbers = [float(torch.rand(1)), np.random.rand()]  # noqa: NPY002
    return [p.detach().clone() for p in model.parameters()], values, numbers


class Stateful(nn.Module):
    """A model with every kind of state: a queue, a list, a dictionary, a counter, generators, buffers."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(D, 16), nn.BatchNorm1d(16), nn.Dropout(), nn.Linear(16, K))
        self.queue, self.cache, self.calls = torch.zeros(8, K), {"last": 0.0}, 0
        self.generator = torch.Generator().manual_seed(3)

    def forward(self, x):
        self.calls += 1
        noise = torch.randn(x.shape, generator=self.generator) * 0.01
        scores = self.net(x + noise + 0.01 * np.random.rand())  # noqa: NPY002
        scores = scores + 0.1 * self.queue.mean(0) + self.cache["last"] + 0.001 * self.calls
        with torch.no_grad():
            self.queue[self.calls % 8] = scores[0]
            self.cache["last"] = float(scores.mean()) * 0.1
        return scores


class Moving(nn.Module):
    """A loss with a state of its own."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, scores, targets):
        value = F.cross_entropy(scores, targets)
        self.mean.mul_(0.9).add_(0.1 * value.detach())
        return value + 0.1 * self.mean


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), Moving()], ids=["plain", "with a state"])
def test_watching_changes_nothing_of_a_training(loss):
    x, y = batch()
    results = []
    for watched in (False, True):
        torch.manual_seed(1)
        np.random.seed(1)  # noqa: NPY002
        if isinstance(loss, Moving):
            loss.mean.zero_()
        results.append(trained(Stateful(), loss, x, y, watched=watched))
    # One random number more would change the third digit; the last one depends on where tensors are in memory.
    torch.testing.assert_close(results[0][:2], results[1][:2], rtol=1e-5, atol=1e-6)
    assert results[0][2] == results[1][2]


def test_a_hook_that_fails_ends_the_watch_and_not_the_training(monkeypatch):
    model, loss, (x, y) = mlp(), nn.CrossEntropyLoss(), batch()
    monkeypatch.setattr("polylogit.misuse.watching.findings_of_scores", lambda *_: 1 / 0)
    with warnings.catch_warnings(record=True) as caught, watch(model, loss) as watching:
        warnings.simplefilter("always")
        for _ in range(3):
            loss(2 * model(x), y).backward()
    assert ["watching has stopped, training goes on" in str(warning.message) for warning in caught] == [True]
    assert "ZeroDivisionError" in str(watching.findings)


def test_hooks_of_the_user_run_as_often_as_documented():
    model, loss, (x, y) = mlp(nn.Dropout()), nn.CrossEntropyLoss(), batch()
    counts = []
    model.register_forward_hook(lambda *_: counts.append(1))
    diagnose(model, loss, x, y)
    assert len(counts) <= 40
    counts.clear()
    with quietly(model, loss):
        for _ in range(5):
            loss(model(x), y).backward()
    assert len(counts) <= 45


def test_transforms_and_compilers_are_left_alone():
    model, loss, (x, y) = mlp(), nn.CrossEntropyLoss(), batch()
    parameters = dict(model.named_parameters())

    def one(values, row, target):
        return loss(torch.func.functional_call(model, values, (row[None],)), target[None])

    with watch(model, loss) as watching:
        per_row = torch.func.vmap(torch.func.grad(one), (None, 0, 0))(parameters, x, y)
    assert per_row["0.weight"].shape == (N, 16, D)
    assert "1 losses whose values could not be read" in str(watching.findings)

    step = torch.compile(lambda a, b: loss(model(a), b), backend="eager", fullgraph=True)
    with quietly(model, loss):
        step(x, y).backward()


def two_heads(outputs, targets):
    return F.cross_entropy(outputs["kind"], targets[0]) + F.cross_entropy(outputs["size"], targets[1])


class TwoHeads(nn.Module):
    def __init__(self, last):
        super().__init__()
        self.body, self.kind, self.size = nn.Linear(D, 16), nn.Linear(16, K), nn.Sequential(nn.Linear(16, 3), last)

    def forward(self, x):
        hidden = self.body(x).relu()
        return {"kind": self.kind(hidden), "size": self.size(hidden)}


@pytest.mark.parametrize("last", [nn.Identity(), nn.Softmax(dim=1)])
def test_several_outputs_and_a_tuple_of_targets(last):
    model, (x, y) = TwoHeads(last), batch()
    codes = () if isinstance(last, nn.Identity) else ("softmax-twice",)
    assert diagnose(model, two_heads, x, (y, y % 3)).codes == codes
    with quietly(model, two_heads) as watching:
        for _ in range(3):
            two_heads(model(x), (y, y % 3)).backward()
    assert watching.findings.codes == codes
    assert "3 losses" in str(watching.findings)
    with quietly(model, nn.CrossEntropyLoss()) as watching:
        outputs = model(x)
        (watching.loss(outputs["kind"], y) + watching.loss(outputs["size"], y % 3)).backward()
    assert watching.findings.codes == codes
    assert "2 batches diagnosed" in str(watching.findings)


class AuxiliaryHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.aux, self.head = nn.Linear(D, 16), nn.Linear(16, K), nn.Linear(16, K)

    def forward(self, x):
        hidden = self.body(x).relu()
        self.aux_scores = self.aux(hidden)
        return self.head(hidden)


class LinearProbe(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone, self.head = nn.Sequential(nn.Linear(D, 16), nn.ReLU(), nn.Linear(16, 8)), nn.Linear(8, K)

    def forward(self, x):
        return self.head(self.backbone(x).detach())


class StraightThrough(nn.Module):
    """A codebook behind a straight-through estimator gets no gradient from this loss."""

    def __init__(self):
        super().__init__()
        self.body, self.codes, self.head = nn.Linear(D, 8), nn.Embedding(5, 8), nn.Linear(8, K)

    def forward(self, x):
        hidden = self.body(x)
        code = self.codes(torch.cdist(hidden, self.codes.weight).argmin(1))
        return self.head(hidden + (code - hidden).detach())


@pytest.mark.parametrize("model", [AuxiliaryHead, LinearProbe, StraightThrough])
def test_parameters_without_a_gradient_on_purpose(model):
    assert not diagnose(model(), nn.CrossEntropyLoss(), *batch())
