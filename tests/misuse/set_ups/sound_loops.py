"""Sound set-ups: unusual loops, optimizers and precisions."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from polylogit.misuse import watch

from .base import blobs, classifier, sound, train


@sound
def plain_mlp():
    return train(classifier(), nn.CrossEntropyLoss(), *blobs(), steps=30)


@sound
def autocast_in_bfloat16():
    model, criterion, (x, y) = classifier(), nn.CrossEntropyLoss(), blobs()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    with watch(model, criterion) as w:
        for _ in range(12):
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16):
                loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
    return w.findings


@sound
def gradient_scaler_that_skips():
    model, criterion, (x, y) = classifier(), nn.CrossEntropyLoss(), blobs()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**60, growth_interval=1000)
    with watch(model, criterion) as w:
        for _ in range(60):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.float16):
                loss = criterion(model(x), y)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
    return w.findings


@sound
def functional_call_with_meta_gradients():
    model, criterion, (x, y) = classifier(), nn.CrossEntropyLoss(), blobs()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with watch(model, criterion) as w:
        for _ in range(12):
            optimizer.zero_grad()
            fast = dict(model.named_parameters())
            inner = criterion(torch.func.functional_call(model, fast, (x[:32],)), y[:32])
            slopes = torch.autograd.grad(inner, list(fast.values()), create_graph=True)
            fast = {name: p - 0.1 * g for (name, p), g in zip(fast.items(), slopes, strict=True)}
            criterion(torch.func.functional_call(model, fast, (x[32:],)), y[32:]).backward()
            optimizer.step()
    return w.findings


@sound
def gradient_accumulation():
    model, criterion, (x, y) = classifier(), nn.CrossEntropyLoss(), blobs(n=128)
    loader = DataLoader(TensorDataset(x, y), batch_size=4, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    with watch(model, criterion) as w:
        for _ in range(5):
            for i, (a, b) in enumerate(loader):
                (criterion(model(a), b) / 32).backward()
                if (i + 1) % 32 == 0:
                    optimizer.step()
                    optimizer.zero_grad()
    return w.findings


@sound
def lbfgs():
    model, criterion, (x, y) = nn.Linear(8, 4), nn.CrossEntropyLoss(), blobs()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=40, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        return loss

    with watch(model, criterion) as w:
        for _ in range(3):
            optimizer.step(closure)
    return w.findings


@sound
def sharpness_aware_minimization():
    model, criterion, (x, y) = classifier(), nn.CrossEntropyLoss(), blobs()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with watch(model, criterion) as w:
        for _ in range(15):
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            with torch.no_grad():
                moves = [0.05 * p.grad / (p.grad.norm() + 1e-8) for p in model.parameters()]
                for p, move in zip(model.parameters(), moves, strict=True):
                    p.add_(move)
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            with torch.no_grad():
                for p, move in zip(model.parameters(), moves, strict=True):
                    p.sub_(move)
            optimizer.step()
    return w.findings


@sound
def two_optimizers():
    model, criterion, (x, y) = classifier(), nn.CrossEntropyLoss(), blobs()
    first = torch.optim.SGD(model[0].parameters(), lr=0.01)
    second = torch.optim.Adam(model[2].parameters(), lr=0.001)
    with watch(model, criterion) as w:
        for _ in range(15):
            first.zero_grad()
            second.zero_grad()
            criterion(model(x), y).backward()
            first.step()
            second.step()
    return w.findings


@sound
def warm_up_and_cosine():
    model, criterion, (x, y) = classifier(), nn.CrossEntropyLoss(), blobs()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / 20))
    with watch(model, criterion) as w:
        for _ in range(40):
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()
            schedule.step()
    return w.findings
