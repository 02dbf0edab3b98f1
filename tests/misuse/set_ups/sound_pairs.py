"""Sound set-ups: two networks, two views or a teacher."""

import copy

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import nn

from polylogit.misuse import watch

from .base import blobs, classifier, sound, train


@sound
def discriminator_of_a_gan():
    generator, discriminator = nn.Linear(4, 8), nn.Sequential(nn.Linear(8, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
    criterion = nn.BCEWithLogitsLoss()
    opt_d = torch.optim.Adam(discriminator.parameters(), lr=2e-3)
    opt_g = torch.optim.Adam(generator.parameters(), lr=2e-3)
    with watch(discriminator, criterion) as w:
        for _ in range(25):
            real, fake = torch.randn(16, 8) + 1, generator(torch.randn(16, 4))
            opt_d.zero_grad()
            loss = criterion(discriminator(real), torch.ones(16, 1)) + criterion(
                discriminator(fake.detach()), torch.zeros(16, 1)
            )
            loss.backward()
            opt_d.step()
            opt_g.zero_grad()
            criterion(discriminator(fake), torch.ones(16, 1)).backward()
            opt_g.step()
    return w.findings


@sound
def gan_with_probabilities():
    generator = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 8), nn.Tanh())
    discriminator = nn.Sequential(nn.Linear(8, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1), nn.Sigmoid())
    criterion = nn.BCELoss()
    opt_d = torch.optim.Adam(discriminator.parameters(), lr=2e-3)
    opt_g = torch.optim.Adam(generator.parameters(), lr=2e-3)
    with watch(discriminator, criterion) as w:
        for _ in range(25):
            opt_d.zero_grad()
            criterion(discriminator(torch.randn(16, 8)).view(-1), torch.full((16,), 0.9)).backward()
            fake = generator(torch.randn(16, 4))
            criterion(discriminator(fake.detach()).view(-1), torch.zeros(16)).backward()
            opt_d.step()
            opt_g.zero_grad()
            criterion(discriminator(fake).view(-1), torch.ones(16)).backward()
            opt_g.step()
    return w.findings


@sound
def gradient_penalty():
    critic = nn.Sequential(nn.Linear(8, 16), nn.LeakyReLU(0.2), nn.Linear(16, 2))
    criterion, (x, y) = nn.CrossEntropyLoss(), blobs(k=2)
    optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3)
    with watch(critic, criterion) as w:
        for _ in range(12):
            optimizer.zero_grad()
            inputs = x.clone().requires_grad_()
            scores = critic(inputs)
            (slope,) = torch.autograd.grad(scores.sum(), inputs, create_graph=True)
            (criterion(scores, y) + 0.1 * (slope.norm(dim=1) - 1).square().mean()).backward()
            optimizer.step()
    return w.findings


@sound
def knowledge_distillation():
    teacher, student, (x, y) = classifier(hidden=32).eval(), classifier(), blobs()

    def kd(outputs, labels):
        with torch.no_grad():
            soft = F.softmax(teacher(x) / 4, dim=1)
        term = F.kl_div(F.log_softmax(outputs / 4, dim=1), soft, reduction="batchmean") * 16
        return 0.7 * term + 0.3 * F.cross_entropy(outputs, labels)

    return train(student, kd, x, y, steps=30)


@sound
def distillation_with_log_target():
    teacher, student, (x, _) = classifier(hidden=32), nn.Sequential(classifier(), nn.LogSoftmax(1)), blobs()
    with torch.no_grad():
        target = teacher(x).log_softmax(1)
    return train(student, nn.KLDivLoss(reduction="batchmean", log_target=True), x, target)


@sound
def soft_targets_of_a_teacher():
    teacher, student, (x, _) = classifier(hidden=32), classifier(), blobs()
    return train(student, nn.CrossEntropyLoss(), x, teacher(x).softmax(1).detach())


@sound
def simclr():
    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8))

        def forward(self, views):
            z = F.normalize(self.net(views), dim=1)
            return (z @ z.T / 0.2).masked_fill(torch.eye(len(z), dtype=torch.bool), float("-inf"))

    x, _ = blobs(n=16)
    views = torch.cat([x + 0.1 * torch.randn_like(x), x + 0.1 * torch.randn_like(x)])
    return train(Encoder(), nn.CrossEntropyLoss(), views, (torch.arange(32) + 16) % 32)


@sound
def clip():
    class Clip(nn.Module):
        def __init__(self):
            super().__init__()
            self.image, self.text = nn.Linear(8, 8), nn.Linear(5, 8)
            self.scale = nn.Parameter(torch.tensor(2.0))

        def forward(self, image, text):
            a, b = F.normalize(self.image(image), dim=1), F.normalize(self.text(text), dim=1)
            return self.scale.exp() * a @ b.T

    model, criterion = Clip(), nn.CrossEntropyLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    with watch(model, criterion) as w:
        for _ in range(12):
            logits = model(torch.randn(16, 8), torch.randn(16, 5))
            labels = torch.arange(16)
            loss = (criterion(logits, labels) + criterion(logits.T, labels)) / 2
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return w.findings


@sound
def moco():
    class Moco(nn.Module):
        def __init__(self):
            super().__init__()
            self.query, self.key = nn.Linear(8, 6), nn.Linear(8, 6)
            self.key.load_state_dict(self.query.state_dict())
            self.key.requires_grad_(False)
            self.register_buffer("queue", F.normalize(torch.randn(6, 32), dim=0))

        def forward(self, a, b):
            q = F.normalize(self.query(a), dim=1)
            with torch.no_grad():
                for slow, fast in zip(self.key.parameters(), self.query.parameters(), strict=True):
                    slow.mul_(0.99).add_(0.01 * fast)
                k = F.normalize(self.key(b), dim=1)
            logits = torch.cat([(q * k).sum(1, keepdim=True), q @ self.queue.clone()], 1) / 0.07
            self.queue = torch.cat([self.queue[:, len(k) :], k.T], 1)
            return logits

    model, criterion = Moco(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.query.parameters(), lr=0.03)
    with watch(model, criterion) as w:
        for _ in range(12):
            x = torch.randn(8, 8)
            loss = criterion(model(x, x + 0.1), torch.zeros(8, dtype=torch.long))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return w.findings


@sound
def byol():
    online, target = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 6)), None
    target = copy.deepcopy(online).requires_grad_(False)

    def similarity(p, z):
        return 2 - 2 * F.cosine_similarity(p, z.detach(), dim=1).mean()

    optimizer = torch.optim.SGD(online.parameters(), lr=0.1)
    with watch(online, similarity) as w:
        for _ in range(12):
            x = torch.randn(16, 8)
            optimizer.zero_grad()
            similarity(online(x), target(x + 0.1)).backward()
            optimizer.step()
            with torch.no_grad():
                for a, b in zip(target.parameters(), online.parameters(), strict=True):
                    a.lerp_(b, 0.05)
    return w.findings


@sound
def triplet_loss():
    model, criterion = nn.Linear(8, 4), nn.TripletMarginLoss()
    optimizer = torch.optim.Adam(model.parameters())
    with watch(model, criterion) as w:
        for _ in range(12):
            optimizer.zero_grad()
            criterion(model(torch.randn(8, 8)), model(torch.randn(8, 8)), model(torch.randn(8, 8))).backward()
            optimizer.step()
    return w.findings


@sound
def supervised_contrastive_loss_of_one_argument():
    labels = torch.arange(16) % 4

    def contrast(features):
        z = F.normalize(features, dim=1)
        same = (labels[:, None] == labels).float().fill_diagonal_(0)
        logits = (z @ z.T / 0.1).masked_fill(torch.eye(16, dtype=torch.bool), -1e9)
        return -((same * logits.log_softmax(1)).sum(1) / same.sum(1)).mean()

    model = nn.Linear(8, 6)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, contrast) as w:
        for _ in range(5):
            optimizer.zero_grad()
            contrast(model(torch.randn(16, 8))).backward()
            optimizer.step()
    return w.findings


@sound
def domain_adversarial_network():
    class Reverse(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.view_as(x)

        @staticmethod
        def backward(ctx, g):
            return -g

    class Dann(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.label, self.domain = nn.Linear(8, 16), nn.Linear(16, 4), nn.Linear(16, 2)

        def forward(self, x):
            h = self.body(x).relu()
            return self.label(h), self.domain(Reverse.apply(h))

    model, criterion, (x, y) = Dann(), nn.CrossEntropyLoss(), blobs()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with watch(model, criterion) as w:
        for _ in range(12):
            label, domain = model(x)
            loss = criterion(label, y) + criterion(domain, torch.arange(64) % 2)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return w.findings


@sound
def adversarial_training():
    model, criterion, (x, y) = classifier(), nn.CrossEntropyLoss(), blobs()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, criterion) as w:
        for _ in range(10):
            delta = torch.zeros_like(x, requires_grad=True)
            for _ in range(3):
                criterion(model(x + delta), y).backward()
                delta.data = (delta + 0.1 * delta.grad.sign()).clamp(-0.3, 0.3)
                delta.grad.zero_()
            optimizer.zero_grad()
            criterion(model(x + delta.detach()), y).backward()
            optimizer.step()
    return w.findings
