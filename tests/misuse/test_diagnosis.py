"""Each classic mistake is found, with every face of a loss; what is sound is left in peace."""

import copy
import functools
import math
import re

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from polylogit import losses
from polylogit.misuse import diagnose

N, D, K = 24, 6, 3


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def batch(n=N, k=K):
    return torch.randn(n, D), torch.arange(n) % k


def ending_with(*last, k=K):
    return nn.Sequential(nn.Linear(D, 16), nn.ReLU(), nn.Linear(16, k), *last)


LOGIT_LOSSES = {
    "module": nn.CrossEntropyLoss(),
    "weighted": nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 3.0]), label_smoothing=0.1),
    "sum": nn.CrossEntropyLoss(reduction="sum"),
    "function": F.cross_entropy,
    "partial": functools.partial(F.cross_entropy, label_smoothing=0.1),
    "ours": losses.cross_entropy_with_logits,
    "our module": losses.CrossEntropyWithLogits(),
    "focal": losses.focal_cross_entropy_with_logits,
    "hand-written": lambda z, y: (z.logsumexp(1) - z.gather(1, y[:, None])[:, 0]).mean(),
}


@pytest.mark.parametrize("loss", LOGIT_LOSSES.values(), ids=LOGIT_LOSSES)
@pytest.mark.parametrize(
    ("last", "code"),
    [
        (nn.Softmax(dim=1), "softmax-twice"),
        (nn.LogSoftmax(dim=1), "log-probabilities-for-logits"),
        (nn.Sigmoid(), "sigmoid-outputs"),
        (nn.ReLU(), "final-relu"),
        (nn.Softmax(dim=0), "softmax-over-rows"),
    ],
    ids=lambda value: getattr(value, "__class__", type(value)).__name__ if isinstance(value, nn.Module) else value,
)
def test_a_last_activation_before_a_loss_that_takes_logits(loss, last, code):
    findings = diagnose(ending_with(last), loss, *batch())
    assert findings.codes == (code,)
    assert findings[0].confidence > 0.9
    assert diagnose(ending_with(), loss, *batch()).codes == ()


@pytest.mark.parametrize("loss", [nn.NLLLoss(), F.nll_loss, lambda s, y: -s.gather(1, y[:, None]).mean()])
@pytest.mark.parametrize(
    ("last", "codes"),
    [
        ([nn.Softmax(dim=1)], ("probabilities-for-log-probabilities",)),
        ([], ("logits-for-log-probabilities",)),
        ([nn.LogSoftmax(dim=1)], ()),
    ],
)
def test_losses_that_take_log_probabilities(loss, last, codes):
    assert diagnose(ending_with(*last), loss, *batch()).codes == codes


def by_hand(p, y):
    return -p.gather(1, y[:, None]).log().mean()


@pytest.mark.parametrize("loss", [losses.cross_entropy_with_probabilities, by_hand])
@pytest.mark.parametrize(
    ("last", "codes"),
    [
        ([nn.Softmax(dim=1)], ()),
        ([], ("logits-for-probabilities",)),
        ([nn.Sigmoid()], ("sigmoid-outputs",)),
        ([nn.LogSoftmax(dim=1)], ("log-probabilities-for-probabilities",)),
    ],
)
def test_losses_that_take_probabilities(loss, last, codes):
    assert diagnose(ending_with(*last), loss, *batch()).codes == codes


@pytest.mark.parametrize(
    ("loss", "last", "codes"),
    [
        (nn.BCEWithLogitsLoss(), [nn.Sigmoid()], ("sigmoid-twice",)),
        (losses.binary_cross_entropy_with_logits, [nn.Sigmoid()], ("sigmoid-twice",)),
        (nn.BCEWithLogitsLoss(), [], ()),
        (nn.BCELoss(), [nn.Sigmoid()], ()),
        (nn.BCELoss(), [], ("logits-for-probabilities",)),
        (losses.binary_cross_entropy_with_probabilities, [], ("logits-for-probabilities",)),
        (lambda s, y: F.binary_cross_entropy_with_logits(s, y).clone(), [nn.Sigmoid()], ("sigmoid-twice",)),
        (lambda s, y: F.binary_cross_entropy(s, y).clone(), [nn.Sigmoid()], ()),
    ],
)
def test_binary_losses(loss, last, codes):
    inputs, targets = batch(k=2)
    assert diagnose(ending_with(*last, k=1), loss, inputs, targets[:, None].float()).codes == codes


def test_a_loss_that_takes_softmax_twice_by_itself():
    model, (inputs, targets) = ending_with(), batch()
    findings = diagnose(model, lambda z, y: F.cross_entropy(z.softmax(1), y), inputs, targets)
    assert findings.codes == ("softmax-twice",)
    assert f"{math.log(1 + 2 / math.e):.4f}" in findings[0].cost
    assert diagnose(model, lambda z, y: F.nll_loss(z.softmax(1).log(), y), inputs, targets).codes == ()


def test_a_loss_that_takes_softmax_and_forgets_the_log():
    findings = diagnose(ending_with(), lambda z, y: F.nll_loss(z.softmax(1), y), *batch())
    assert findings.codes == ("probabilities-for-log-probabilities",)
    assert f"{-1 / K:.4f}" in findings[0].seen
    assert not diagnose(ending_with(), lambda z, y: (1 - z.softmax(1)[range(N), y]).mean(), *batch())


def test_logits_that_lie_from_0_to_1_by_chance():
    model, (inputs, targets) = ending_with(k=1), batch(k=2)
    nn.init.constant_(model[-1].bias, 0.5)
    nn.init.normal_(model[-1].weight, std=0.01)
    scores = model(inputs)
    assert 0 < scores.min() < scores.max() < 1
    assert diagnose(model, nn.BCELoss(), inputs, targets[:, None].float()).codes == ("logits-for-probabilities",)
    model.append(nn.Sigmoid())
    assert not diagnose(model, nn.BCELoss(), inputs, targets[:, None].float())


@pytest.mark.parametrize(
    ("loss", "targets", "words"),
    [
        (nn.NLLLoss(), F.one_hot(torch.arange(N) % K, K).float(), "torch.float32"),
        (nn.CrossEntropyLoss(), (torch.arange(N) % K).int(), "torch.int32"),
    ],
)
def test_what_a_loss_refuses_is_reported_where_nothing_else_explains_it(loss, targets, words):
    last = [nn.LogSoftmax(dim=1)] if isinstance(loss, nn.NLLLoss) else []
    findings = diagnose(ending_with(*last), loss, torch.randn(N, D), targets)
    assert findings.codes == ("loss-refuses",)
    assert words in findings[0].why


def test_a_softmax_over_positions():
    class Positions(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(D, K)

        def forward(self, inputs):
            return self.linear(inputs).movedim(-1, 1).softmax(-1)

    targets = torch.arange(N * 5).reshape(N, 5) % K
    findings = diagnose(Positions(), nn.CrossEntropyLoss(), torch.randn(N, 5, D), targets)
    assert findings.codes == ("softmax-over-positions",)
    assert "axis 2" in findings[0].seen


@pytest.mark.parametrize(
    ("targets", "code", "fix"),
    [
        (torch.arange(N) % K + 1, "labels-from-1", "targets - 1"),
        (torch.arange(N) % (K + 2), "labels-out-of-range", "5 outputs"),
        (torch.arange(N) % K - 1, "labels-out-of-range", "ignore_index=-1"),
        ((torch.arange(N) % K).float(), "one-hot-or-index", "targets.long"),
        ((torch.arange(N) % K)[:, None], "one-hot-or-index", r"squeeze\(1\)"),
        (F.one_hot(torch.arange(N) % K, K), "one-hot-or-index", "argmax"),
        (F.one_hot(torch.arange(N) % K, K + 1).float(), "one-hot-or-index", "num_classes=3"),
        (torch.ones(N, K), "rows-are-no-distributions", "binary cross-entropy"),
        (F.one_hot(torch.arange(N) % K, K).T.float(), "shuffled-rows", "targets.T"),
        (torch.arange(N // 2) % K, "shuffled-rows", "axis 0"),
    ],
)
def test_targets_of_the_wrong_kind(targets, code, fix):
    findings = diagnose(ending_with(), nn.CrossEntropyLoss(), torch.randn(N, D), targets)
    assert findings.codes == (code,)
    assert re.search(fix, findings[0].fix)


def test_labels_beyond_the_rows_looked_at_are_seen():
    inputs, targets = batch(n=1000)
    targets[-1] = K
    assert diagnose(ending_with(), nn.CrossEntropyLoss(), inputs, targets).codes == ("labels-out-of-range",)


@pytest.mark.parametrize(
    ("targets", "code"),
    [
        (torch.ones(N, 1) * 2, "labels-out-of-range"),
        ((torch.arange(N) % 2 + 1)[:, None].float(), "labels-from-1"),
        ((torch.arange(N) % 2).float(), "shuffled-rows"),
    ],
)
def test_binary_targets_of_the_wrong_kind(targets, code):
    assert diagnose(ending_with(k=1), nn.BCEWithLogitsLoss(), torch.randn(N, D), targets).codes == (code,)


def test_one_logit_a_row_in_a_softmax_loss():
    assert diagnose(ending_with(k=1), nn.CrossEntropyLoss(), torch.randn(N, D), torch.zeros(N).long()).codes == (
        "softmax-of-one-class",
    )


def test_classes_on_the_last_axis():
    targets = torch.zeros(N, 5).long()
    model = nn.Linear(D, K)
    assert diagnose(model, nn.CrossEntropyLoss(), torch.randn(N, 5, D), targets).codes == ("class-axis",)


class Viewed(nn.Module):
    """Lays positions before rows, then views them back as rows: the classic mix-up of view and permute."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(D, K)

    def forward(self, inputs):
        return self.linear(inputs).transpose(0, 1).reshape(-1, K)


def test_rows_shuffled_by_a_view():
    inputs, targets = torch.randn(4, 5, D), torch.arange(20) % K
    findings = diagnose(Viewed(), nn.CrossEntropyLoss(), inputs, targets)
    assert findings.codes == ("shuffled-rows",)
    assert "changing row 2 of the inputs" in findings[0].seen
    sound = nn.Sequential(nn.Linear(D, K), nn.Flatten(0, 1))
    assert diagnose(sound, nn.CrossEntropyLoss(), inputs, targets).codes == ()


def test_rows_shuffled_so_that_the_middle_one_stays():
    class Turned(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(D, K)

        def forward(self, inputs):
            return self.linear(inputs).T.reshape(-1, K)

    inputs, targets = batch(n=150)
    assert diagnose(Turned(), nn.CrossEntropyLoss(), inputs, targets).codes == ("shuffled-rows",)


class Dead(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.last = nn.Linear(D, 8), nn.Linear(8, K)
        nn.init.constant_(self.hidden.bias, -100.0)
        nn.init.zeros_(self.last.bias)

    def forward(self, inputs):
        return self.last(self.hidden(inputs).relu())


def test_a_dead_layer_is_distinguished_from_a_start_at_zero():
    inputs, targets = batch()
    findings = diagnose(Dead(), nn.CrossEntropyLoss(), inputs, targets)
    assert set(findings.codes) == {"constant-scores", "loss-at-log-k"}
    start = nn.Linear(D, K)
    nn.init.zeros_(start.weight)
    nn.init.zeros_(start.bias)
    assert diagnose(start, nn.CrossEntropyLoss(), inputs, targets).codes == ()


def test_nothing_of_the_model_or_the_run_is_touched():
    model = nn.Sequential(nn.Linear(D, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, K), nn.Softmax(dim=1))
    before = copy.deepcopy(model.state_dict())
    inputs, targets = batch()
    state = torch.get_rng_state()
    with torch.no_grad():
        assert diagnose(model, nn.CrossEntropyLoss(), inputs, targets).codes == ("softmax-twice",)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


def test_views_detached_scores_and_plain_functions_do_not_hide_it():
    inputs, targets = batch()
    linear = nn.Linear(D, K)
    hidden = [
        lambda x: linear(x).softmax(1).view(K, -1).view(-1, K),
        lambda x: linear(x).softmax(1).detach().clone(),
        lambda x: linear(x).softmax(1)[:, :].contiguous().T.T,
    ]
    for model in hidden:
        assert diagnose(model, nn.CrossEntropyLoss(), inputs, targets).codes == ("softmax-twice",)


def test_a_compiled_model_is_diagnosed_like_its_source():
    inputs, targets = batch()
    model = torch.compile(ending_with(nn.Softmax(dim=1)), backend="eager")
    loss = torch.compile(nn.CrossEntropyLoss(), backend="eager")
    assert diagnose(model, loss, inputs, targets).codes == ("softmax-twice",)
    assert diagnose(torch.compile(ending_with(), backend="eager"), loss, inputs, targets).codes == ()


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(D, K)

    def forward(self, first, second):
        return self.linear(first + second).softmax(1)


def test_models_of_several_inputs():
    inputs, targets = batch()
    for arguments in ((inputs, inputs), {"first": inputs, "second": inputs}):
        assert diagnose(TwoInputs(), nn.CrossEntropyLoss(), arguments, targets).codes == ("softmax-twice",)


def test_a_model_that_gives_no_tensor_is_refused():
    with pytest.raises(TypeError, match="gives a tuple"):
        diagnose(lambda x: (x, x), nn.CrossEntropyLoss(), *batch())


def test_integer_one_hot_rows_are_right_for_a_loss_that_takes_them():
    generator = torch.Generator().manual_seed(0)
    inputs, targets = torch.randn(12, 5, generator=generator), torch.arange(12) % 4
    one_hot = torch.nn.functional.one_hot(targets, 4)
    model = nn.Linear(5, 4)
    for loss in (losses.CrossEntropyWithLogits(), losses.cross_entropy_with_logits):
        assert not diagnose(model, loss, inputs, one_hot)
    assert diagnose(model, nn.CrossEntropyLoss(), inputs, one_hot).codes == ("one-hot-or-index",)


def test_axes_turned_without_a_permute_are_seen_though_the_last_row_stays():
    generator = torch.Generator().manual_seed(0)
    inputs, targets = torch.randn(64, 5, generator=generator), torch.arange(64) % 4
    linear = nn.Linear(5, 4)
    assert diagnose(lambda x: linear(x).t().reshape(-1, 4), nn.CrossEntropyLoss(), inputs, targets).codes == (
        "shuffled-rows",
    )
