"""Sound set-ups: parts that are frozen, added or averaged, and data that change."""

import torch
from torch import nn

from polylogit.misuse import watch

from .base import TinyTransformer, blobs, classifier, pictures, sound, train


class Lora(nn.Module):
    def __init__(self, layer, rank=2):
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.a = nn.Parameter(torch.randn(rank, layer.in_features) * 0.1)
        self.b = nn.Parameter(torch.zeros(layer.out_features, rank))

    def forward(self, x):
        return self.layer(x) + x @ self.a.T @ self.b.T


@sound
def exponential_moving_average():
    model, criterion, (x, y) = classifier(), nn.CrossEntropyLoss(), blobs()
    ema = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.99))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    with watch(model, criterion) as w:
        for _ in range(20):
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()
            ema.update_parameters(model)
            ema.eval()
            with torch.no_grad():
                criterion(ema(x), y)
    return w.findings


@sound
def lora():
    net = classifier()
    net[0], net[2] = Lora(net[0]), Lora(net[2])
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=1e-2)
    return train(net, nn.CrossEntropyLoss(), *blobs(), optimizer=optimizer, steps=25)


@sound
def prompt_tuning():
    class Prompted(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = TinyTransformer().requires_grad_(False)
            self.prompt = nn.Parameter(torch.randn(4, 16) * 0.1)

        def forward(self, tokens):
            words = self.body.embedding(tokens)
            h = torch.cat([self.prompt.expand(len(tokens), -1, -1), words], 1)
            return self.body.head(self.body.encoder(h).mean(1))

    model = Prompted()
    optimizer = torch.optim.Adam([model.prompt], lr=0.01)
    return train(model, nn.CrossEntropyLoss(), torch.randint(12, (10, 6)), torch.randint(3, (10,)), optimizer=optimizer)


@sound
def frozen_backbone_with_a_new_head():
    body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    body.requires_grad_(False)
    model = nn.Sequential(body, nn.Linear(8, 4))
    body.eval()
    optimizer = torch.optim.Adam(model[1].parameters(), lr=1e-2)
    return train(model, nn.CrossEntropyLoss(), *pictures(), optimizer=optimizer)


@sound
def backbone_under_no_grad():
    class Probe(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.fc = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16)), nn.Linear(16, 4)

        def forward(self, x):
            with torch.no_grad():
                h = self.encoder(x)
            return self.fc(h)

    model = Probe()
    return train(model, nn.CrossEntropyLoss(), *blobs(), optimizer=torch.optim.SGD(model.fc.parameters(), lr=0.1))


@sound
def gradual_unfreezing():
    model, criterion, (x, y) = classifier(), nn.CrossEntropyLoss(), blobs()
    model[0].requires_grad_(False)
    optimizer = torch.optim.Adam(model[2].parameters(), lr=1e-2)
    with watch(model, criterion) as w:
        for step in range(30):
            if step == 15:
                model[0].requires_grad_(True)
                optimizer.add_param_group({"params": model[0].parameters(), "lr": 1e-3})
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()
    return w.findings


@sound
def class_incremental_learning():
    model, criterion, (x, y) = classifier(k=10), nn.CrossEntropyLoss(), blobs(n=200, k=10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with watch(model, criterion) as w:
        for task in range(5):
            rows = ((y == 2 * task) | (y == 2 * task + 1)).nonzero()[:, 0]
            for _ in range(6):
                some = rows[torch.randperm(len(rows))[:16]]
                optimizer.zero_grad()
                criterion(model(x[some]), y[some]).backward()
                optimizer.step()
    return w.findings


@sound
def curriculum_by_difficulty():
    model, criterion, (x, y) = classifier(), nn.CrossEntropyLoss(), blobs(n=128)
    order = x.norm(dim=1).argsort()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with watch(model, criterion) as w:
        for step in range(24):
            rows = order[: 16 + 4 * step][torch.randperm(16 + 4 * step)[:16]]
            optimizer.zero_grad()
            criterion(model(x[rows]), y[rows]).backward()
            optimizer.step()
    return w.findings


@sound
def fine_tuning_of_a_fitted_model():
    model, (x, y) = classifier(), blobs()
    train(model, nn.CrossEntropyLoss(), x, y, optimizer=torch.optim.Adam(model.parameters(), lr=0.05), steps=100)
    return train(model, nn.CrossEntropyLoss(), x, y, optimizer=torch.optim.SGD(model.parameters(), lr=1e-4), steps=30)


@sound
def validation_in_evaluation_mode():
    model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 4))
    criterion, (x, y) = nn.CrossEntropyLoss(), blobs()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, criterion) as w:
        for _ in range(6):
            model.train()
            for i in range(0, 48, 16):
                optimizer.zero_grad()
                criterion(model(x[i : i + 16]), y[i : i + 16]).backward()
                optimizer.step()
            model.eval()
            with torch.inference_mode():
                criterion(model(x[48:]), y[48:])
    return w.findings


@sound
def imbalanced_classes():
    y = (torch.rand(128) > 0.95).long() + (torch.rand(128) > 0.9).long()
    x = torch.randn(128, 8) + y[:, None]
    return train(classifier(k=3), nn.CrossEntropyLoss(), x, y, steps=120)


@sound
def noisy_labels():
    x, _ = blobs()
    return train(classifier(), nn.CrossEntropyLoss(), x, torch.randint(4, (64,)), steps=150)
