"""Sound set-ups: unusual models and wrappers."""

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import nn

from polylogit.misuse import diagnose, watch

from .base import blobs, classifier, sound, train


@sound
def monte_carlo_dropout():
    class Bayesian(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(8, 32), nn.Linear(32, 4)

        def forward(self, x):
            return self.b(F.dropout(F.relu(self.a(x)), p=0.2, training=True))

    return train(Bayesian(), nn.CrossEntropyLoss(), *blobs())


@sound
def stochastic_depth_and_layer_scale():
    class Block(nn.Module):
        def __init__(self, d):
            super().__init__()
            self.norm, self.fc, self.scale = nn.LayerNorm(d), nn.Linear(d, d), nn.Parameter(torch.zeros(d))

        def forward(self, x):
            keep = torch.rand(len(x), 1) > 0.2 if self.training else torch.ones(len(x), 1)
            return x + keep * self.scale * F.gelu(self.fc(self.norm(x)))

    model = nn.Sequential(nn.Linear(8, 16), Block(16), Block(16), nn.LayerNorm(16), nn.Linear(16, 4))
    return train(model, nn.CrossEntropyLoss(), *blobs(), steps=25)


@sound
def mixture_of_experts():
    class Experts(nn.Module):
        def __init__(self):
            super().__init__()
            self.gate, self.experts = nn.Linear(8, 3), nn.ModuleList(classifier() for _ in range(3))

        def forward(self, x):
            choice = self.gate(x).argmax(1)
            out = x.new_zeros(len(x), 4)
            for i, expert in enumerate(self.experts):
                rows = (choice == i).nonzero()[:, 0]
                if len(rows):
                    out = out.index_add(0, rows, expert(x[rows]))
            return out

    return train(Experts(), nn.CrossEntropyLoss(), *blobs())


@sound
def vector_quantisation():
    class Vq(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.codebook, self.decoder = nn.Linear(8, 6), nn.Embedding(10, 6), nn.Linear(6, 4)
            self.commitment = 0.0

        def forward(self, x):
            z = self.encoder(x)
            q = self.codebook(torch.cdist(z, self.codebook.weight).argmin(1))
            self.commitment = F.mse_loss(q, z.detach()) + 0.25 * F.mse_loss(z, q.detach())
            return self.decoder(z + (q - z).detach())

    model, criterion, (x, y) = Vq(), nn.CrossEntropyLoss(), blobs()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with watch(model, criterion) as w:
        for _ in range(12):
            loss = criterion(model(x), y) + model.commitment
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return w.findings


@sound
def graph_convolution():
    class Gcn(nn.Module):
        def __init__(self, adjacency):
            super().__init__()
            self.register_buffer("a", adjacency / adjacency.sum(1, keepdim=True))
            self.w1, self.w2 = nn.Linear(8, 16), nn.Linear(16, 4)

        def forward(self, x):
            return self.a @ self.w2(F.relu(self.a @ self.w1(x)))

    x, y = blobs()
    adjacency = ((torch.rand(64, 64) > 0.9).float() + torch.eye(64)).clamp(max=1)
    return train(Gcn(adjacency), nn.CrossEntropyLoss(), x, y)


@sound
def standardised_counts_and_embeddings():
    class Tabular(nn.Module):
        def __init__(self):
            super().__init__()
            self.emb, self.norm = nn.Embedding(7, 4), nn.BatchNorm1d(3)
            self.head = nn.Sequential(nn.Linear(7, 16), nn.ReLU(), nn.Linear(16, 3))

        def forward(self, numbers, codes):
            return self.head(torch.cat([self.norm(numbers), self.emb(codes)], 1))

    numbers = torch.stack([20 + 40 * torch.rand(64), 60000 * torch.rand(64), torch.rand(64)], 1)
    y = torch.randint(3, (64,))
    return diagnose(Tabular(), nn.CrossEntropyLoss(), (numbers, torch.randint(7, (64,))), y)


@sound
def bytes_normalised_inside_the_model():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Flatten(), nn.Linear(192, 32), nn.ReLU(), nn.Linear(32, 4))

        def forward(self, x):
            return self.net(x / 255 - 0.5)

    return train(Net(), nn.CrossEntropyLoss(), (torch.rand(32, 3, 8, 8) * 255).round(), torch.randint(4, (32,)))


@sound
def compiled_model():
    model = torch.compile(classifier(), backend="eager")
    return train(model, nn.CrossEntropyLoss(), *blobs())


@sound
def compiled_step():
    model, criterion, (x, y) = classifier(), nn.CrossEntropyLoss(), blobs()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    @torch.compile(backend="eager")
    def forward(a):
        return model(a)

    with watch(model, criterion) as w:
        for _ in range(8):
            optimizer.zero_grad()
            criterion(forward(x), y).backward()
            optimizer.step()
    return w.findings


@sound
def data_parallel_wrapper():
    class Wrapper(nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

        def forward(self, x):
            return torch.cat([self.module(part) for part in x.chunk(2)])

    return train(Wrapper(classifier()), nn.CrossEntropyLoss(), *blobs())
