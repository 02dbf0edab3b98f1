"""What set-ups share: how they are registered, their data, a usual network and the usual loop."""

import torch
from torch import nn

from polylogit.misuse import watch

WRONG, SOUND = {}, {}
CE = nn.CrossEntropyLoss()


def wrong(*codes):
    """Register a set-up with the codes that name its cause."""

    def register(set_up):
        WRONG[set_up.__name__] = (set_up, codes)
        return set_up

    return register


def sound(set_up):
    """Register a set-up."""
    SOUND[set_up.__name__] = set_up
    return set_up


def blobs(n=64, d=8, k=4):
    y = torch.randint(k, (n,))
    return 2 * torch.randn(k, d)[y] + 0.5 * torch.randn(n, d), y


def pictures(n=32, k=4, size=8):
    return torch.rand(n, 3, size, size), torch.randint(k, (n,))


def classifier(d=8, k=4, hidden=16):
    return nn.Sequential(nn.Linear(d, hidden), nn.ReLU(), nn.Linear(hidden, k))


def train(model, criterion, x, y, *, optimizer=None, steps=12):
    """The usual loop, watched."""
    optimizer = optimizer or torch.optim.Adam(model.parameters(), lr=1e-3)
    with watch(model, criterion) as w:
        for _ in range(steps):
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()
    return w.findings


class TinyTransformer(nn.Module):
    def __init__(self, vocabulary=12, k=3, batch_first=True):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, 16)
        self.encoder = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=batch_first)
        self.head = nn.Linear(16, k)

    def forward(self, tokens):
        return self.head(self.encoder(self.embedding(tokens)).mean(1))


class Of(nn.Module):
    """Parts, and a function of them and of the inputs."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs, **named):
        return self.function(self, *inputs, **named)
