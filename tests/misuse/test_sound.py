"""200 sound combinations of model, loss and data: not one false alarm."""

import itertools

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from polylogit import losses
from polylogit.misuse import diagnose


class Tokens(nn.Module):
    def __init__(self, k):
        super().__init__()
        self.embedding, self.recurrent, self.last = nn.Embedding(11, 8), nn.GRU(8, 8, batch_first=True), nn.Linear(8, k)

    def forward(self, tokens):
        return self.last(self.recurrent(self.embedding(tokens))[0][:, -1])


class Cosine(nn.Module):
    """Scores that are bounded by a temperature, as in metric learning."""

    def __init__(self, k):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(k, 6))

    def forward(self, inputs):
        return 16 * F.normalize(inputs, dim=1) @ F.normalize(self.weight, dim=1).T


class Neighbours(nn.Module):
    """A layer of a graph without self-loops: a row of scores heeds every row but its own, and the graph is given."""

    def __init__(self, nodes):
        super().__init__()
        self.linear = nn.Linear(6, 4)
        self.register_buffer("graph", (1 - torch.eye(nodes)) / (nodes - 1))

    def forward(self, inputs):
        return self.linear(self.graph @ inputs)


class Masked(nn.Module):
    """The last class is not to be had."""

    def __init__(self, value):
        super().__init__()
        self.linear, self.value = nn.Linear(6, 4), value

    def forward(self, inputs):
        return self.linear(inputs).masked_fill(torch.tensor([False, False, False, True]), self.value)


class ProbabilitiesKept(nn.Module):
    """Its parameters are the probabilities: a table of them."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.rand(11))

    def forward(self, tokens):
        return self.table[tokens]


class SoftmaxWhenEvaluated(nn.Module):
    """Gives logits in training and probabilities for use: sound, as long as it is asked in its own mode."""

    def __init__(self, k):
        super().__init__()
        self.linear = nn.Linear(6, k)

    def forward(self, inputs):
        scores = self.linear(inputs)
        return scores if self.training else scores.softmax(1)


def zero_head(k):
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, k))
    nn.init.zeros_(model[-1].weight)
    nn.init.zeros_(model[-1].bias)
    return model


def positive_bias(k):
    model = nn.Linear(6, k)
    nn.init.normal_(model.weight, std=0.01)
    nn.init.constant_(model.bias, 0.5)
    return model


FLAT = {
    "linear": lambda k: nn.Linear(6, k),
    "mlp": lambda k: nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, k)),
    "deep": lambda k: nn.Sequential(
        nn.Linear(6, 24), *[m for _ in range(4) for m in (nn.ReLU(), nn.Linear(24, 24))], nn.Linear(24, k)
    ),
    "batch norm": lambda k: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, k)),
    "layer norm": lambda k: nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.GELU(), nn.Dropout(), nn.Linear(8, k)),
    "normed scores": lambda k: nn.Sequential(nn.Linear(6, k), nn.BatchNorm1d(k)),
    "zero head": zero_head,
    "positive bias": positive_bias,
    "cosine": Cosine,
    "softmax when evaluated": SoftmaxWhenEvaluated,
}
LOSSES = {
    "cross-entropy": nn.CrossEntropyLoss(),
    "smoothed": nn.CrossEntropyLoss(label_smoothing=0.1),
    "ours": losses.cross_entropy_with_logits,
    "by hand": lambda z, y: -z.log_softmax(1).gather(1, y[:, None]).mean(),
}
DATA = ["usual", "all of one class", "sorted, counts", "two rows", "wide"]


def flat_batch(name, k):
    n = 2 if name == "two rows" else 32
    inputs = torch.randn(n, 6) * (100 if name == "wide" else 1)
    targets = torch.randint(k, (n,))
    if name == "all of one class":
        targets = torch.zeros(n, dtype=torch.long)
    if name == "sorted, counts":
        inputs, targets = torch.randint(3, (n, 6)).float(), targets.sort().values
    return inputs, targets


COMBINATIONS = list(itertools.product(FLAT, LOSSES, DATA))


def test_there_are_200():
    assert len(COMBINATIONS) == 200


@pytest.mark.parametrize("name", FLAT)
def test_flat_data(name):
    """20 combinations of loss and data for each of 10 models; K goes round 2, 3, 10."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for number, (model, loss, data) in enumerate(c for c in COMBINATIONS if c[0] == name):
            k = (2, 3, 10)[number % 3]
            findings = diagnose(FLAT[model](k), LOSSES[loss], *flat_batch(data, k))
            assert not findings, f"{model}, {loss}, {data}, K={k}:\n{findings}"


def test_after_some_training():
    """Scores of a fitted model are large and sure; that is no mistake."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        inputs, targets = flat_batch("usual", 3)
        for name in ("mlp", "batch norm"):
            model = FLAT[name](3)
            optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
            for _ in range(60):
                optimizer.zero_grad()
                F.cross_entropy(model(inputs), targets).backward()
                optimizer.step()
            assert not diagnose(model, nn.CrossEntropyLoss(), inputs, targets)


def weighted_by_hand(logits, targets):
    return -(3 * targets * F.logsigmoid(logits) + (1 - targets) * F.logsigmoid(-logits)).mean()


def cases_of_other_shapes():
    index = torch.arange(12) % 4
    pictures, tokens = torch.randn(12, 3, 8, 8), torch.randint(11, (12, 5))
    conv = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(45, 4))
    pixels = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 1))
    ignoring = (torch.arange(12 * 64) % 4).reshape(12, 8, 8)
    ignoring[:, 0] = 255
    rows = torch.rand(12, 4).softmax(1)
    flat, many = torch.randn(12, 6), (torch.rand(12, 4) > 0.5).float()
    log_softmax = nn.Sequential(nn.Linear(6, 4), nn.LogSoftmax(dim=1))
    softmax = nn.Sequential(nn.Linear(6, 4), nn.Softmax(dim=1))
    sigmoid = nn.Sequential(nn.Linear(6, 4), nn.Sigmoid())
    half = nn.Linear(6, 4).bfloat16()
    return {
        "pictures": (conv, nn.CrossEntropyLoss(), pictures, index),
        "pixels": (pixels, nn.CrossEntropyLoss(ignore_index=255), pictures, ignoring),
        "tokens": (Tokens(4), nn.CrossEntropyLoss(), tokens, index),
        "soft rows": (nn.Linear(6, 4), nn.CrossEntropyLoss(), flat, rows),
        "one-hot floats": (nn.Linear(6, 4), F.cross_entropy, flat, F.one_hot(index, 4).float()),
        "class weights": (nn.Linear(6, 4), nn.CrossEntropyLoss(weight=torch.rand(4)), flat, index),
        "log-softmax and NLL": (log_softmax, nn.NLLLoss(), flat, index),
        "softmax and its loss": (softmax, losses.CrossEntropyWithProbabilities(), flat, index),
        "log-softmax and its loss": (log_softmax, losses.cross_entropy_with_log_probabilities, flat, index),
        "several labels": (nn.Linear(6, 4), nn.BCEWithLogitsLoss(), flat, many),
        "several labels, sigmoid": (sigmoid, nn.BCELoss(), flat, many),
        "one logit": (nn.Linear(6, 1), nn.BCEWithLogitsLoss(), flat, many[:, :1]),
        "one small logit": (positive_bias(1), nn.BCEWithLogitsLoss(), flat, many[:, :1]),
        "bfloat16": (half, losses.cross_entropy_with_logits, flat.bfloat16(), index),
        "bfloat16 NLL": (nn.Sequential(half, nn.LogSoftmax(dim=1)), nn.NLLLoss(), flat.bfloat16(), index),
        "one row": (nn.Linear(6, 4), nn.CrossEntropyLoss(), flat[:1], index[:1]),
        "equal rows": (nn.Linear(6, 4), nn.CrossEntropyLoss(), flat[:1].expand(12, 6), index),
        "margin": (nn.Linear(6, 4), nn.MultiMarginLoss(), flat, index),
        "regression": (nn.Linear(6, 4), nn.MSELoss(), flat, 3 * flat[:, :4]),
        "one number's regression": (nn.Linear(6, 1), nn.SmoothL1Loss(), flat, 3 * flat[:, :1]),
        "signs": (nn.Linear(6, 1), nn.SoftMarginLoss(), flat, 2 * many[:, :1] - 1),
        "several labels, weighted by hand": (nn.Linear(6, 4), weighted_by_hand, flat, many),
        "overlap": (sigmoid, lambda p, y: 1 - 2 * (p * y).sum() / (p.sum() + y.sum()), flat, many),
        "distillation": (
            nn.Linear(6, 4),
            lambda z, t: F.kl_div((z / 4).log_softmax(1), t, reduction="batchmean"),
            flat,
            rows,
        ),
        "masked by -1e9": (Masked(-1e9), nn.CrossEntropyLoss(), flat, index % 3),
        "masked by -inf": (Masked(-torch.inf), nn.CrossEntropyLoss(), flat, index % 3),
        "graph": (Neighbours(12), nn.CrossEntropyLoss(), flat, index),
        "large graph": (Neighbours(300), nn.CrossEntropyLoss(), torch.randn(300, 6), torch.arange(300) % 4),
        "table of probabilities": (ProbabilitiesKept(), nn.BCELoss(), tokens[:, 0], many[:, 0]),
        "several devices": (nn.DataParallel(nn.Linear(6, 4)), nn.CrossEntropyLoss(), flat, index),
    }


@pytest.mark.parametrize("name", list(cases_of_other_shapes()))
def test_other_shapes(name):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        findings = diagnose(*cases_of_other_shapes()[name])
    assert not findings, str(findings)
