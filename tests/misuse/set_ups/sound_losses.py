"""Sound set-ups: losses and targets of other forms."""

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import nn

from polylogit.misuse import watch

from .base import blobs, classifier, pictures, sound, train


class Tasks(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk, self.kind, self.count = nn.Linear(8, 16), nn.Linear(16, 4), nn.Linear(16, 1)

    def forward(self, x):
        h = self.trunk(x).relu()
        return {"kind": self.kind(h), "count": self.count(h).squeeze(1)}


@sound
def multi_task_with_a_dictionary():
    def joint(outputs, targets):
        return F.cross_entropy(outputs["kind"], targets["kind"]) + F.mse_loss(outputs["count"], targets["count"])

    x, y = blobs()
    return train(Tasks(), joint, x, {"kind": y, "count": y.float()})


@sound
def multi_task_with_two_losses():
    model, criterion, (x, y) = Tasks(), nn.CrossEntropyLoss(), blobs()
    optimizer = torch.optim.Adam(model.parameters())
    with watch(model, criterion) as w:
        for _ in range(12):
            out = model(x)
            loss = criterion(out["kind"], y) + 0.1 * F.smooth_l1_loss(out["count"], y.float())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return w.findings


@sound
def dice_and_cross_entropy():
    def both(logits, masks):
        p = logits.softmax(1)
        one_hot = F.one_hot(masks, 4).movedim(-1, 1).float()
        dice = 1 - (2 * (p * one_hot).sum((0, 2, 3)) / (p + one_hot).sum((0, 2, 3))).mean()
        return dice + F.cross_entropy(logits, masks)

    x, _ = pictures(n=6)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.GELU(), nn.Conv2d(8, 4, 1))
    return train(model, both, x, torch.randint(4, (6, 8, 8)))


@sound
def binary_segmentation():
    x, _ = pictures(n=6)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 1))
    criterion = nn.BCEWithLogitsLoss(pos_weight=torch.tensor([5.0]))
    return train(model, criterion, x, (torch.rand(6, 1, 8, 8) > 0.9).float())


@sound
def segmentation_with_ignored_borders():
    class Unet(nn.Module):
        def __init__(self):
            super().__init__()
            self.down, self.mid = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1, stride=2)
            self.up, self.out = nn.ConvTranspose2d(6, 6, 2, stride=2), nn.Conv2d(12, 5, 1)

        def forward(self, x):
            a = F.relu(self.down(x))
            return self.out(torch.cat([a, self.up(F.relu(self.mid(a)))], 1))

    x, _ = pictures(n=6)
    masks = torch.randint(2, (6, 8, 8))
    masks[:, 0], masks[:, :, 0] = 255, 255
    return train(Unet(), nn.CrossEntropyLoss(ignore_index=255), x, masks)


@sound
def ordinal_regression():
    """Coral: one score and ordered thresholds, K - 1 binary questions."""

    class Coral(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.thresholds = nn.Linear(8, 1, bias=False), nn.Parameter(torch.arange(4, 0, -1).float())

        def forward(self, x):
            return self.body(x) + self.thresholds

    x, y = blobs(k=5)
    levels = (y[:, None] > torch.arange(4)).float()
    return train(Coral(), nn.BCEWithLogitsLoss(), x, levels)


@sound
def label_smoothing_by_hand():
    class Smooth(nn.Module):
        def forward(self, logits, labels):
            log_p = logits.log_softmax(-1)
            return 0.9 * F.nll_loss(log_p, labels) - 0.1 * log_p.mean(-1).mean()

    return train(classifier(), Smooth(), *blobs())


@sound
def label_smoothing_with_a_divergence():
    def smooth(logits, labels):
        rows = torch.full_like(logits, 0.1 / 3).scatter_(1, labels[:, None], 0.9)
        return F.kl_div(F.log_softmax(logits, 1), rows, reduction="sum") / len(labels)

    return train(classifier(), smooth, *blobs())


@sound
def focal_loss_module():
    class Focal(nn.Module):
        def __init__(self, gamma=2.0, alpha=None):
            super().__init__()
            self.gamma, self.alpha = gamma, alpha

        def forward(self, inputs, targets):
            ce = F.cross_entropy(inputs, targets, reduction="none", weight=self.alpha)
            return ((1 - torch.exp(-ce)) ** self.gamma * ce).mean()

    return train(classifier(), Focal(alpha=torch.tensor([1.0, 2.0, 1.0, 3.0])), *blobs())


@sound
def binary_focal_loss_from_probabilities():
    def focal(p, y):
        pt = torch.where(y == 1, p, 1 - p).clamp(1e-6, 1)
        return (-((1 - pt) ** 2) * pt.log()).mean()

    x, y = blobs(k=2)
    return train(nn.Sequential(classifier(k=1), nn.Sigmoid()), focal, x, y[:, None].float())


@sound
def mixup_with_two_losses():
    model, criterion, (x, y) = classifier(), nn.CrossEntropyLoss(), blobs()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, criterion) as w:
        for _ in range(12):
            lam, order = float(torch.rand(())), torch.randperm(len(x))
            out = model(lam * x + (1 - lam) * x[order])
            loss = lam * criterion(out, y) + (1 - lam) * criterion(out, y[order])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return w.findings


@sound
def mixup_rows_with_label_smoothing():
    x, y = blobs()
    one_hot, order = F.one_hot(y, 4).float(), torch.randperm(64)
    rows = 0.7 * one_hot + 0.3 * one_hot[order]
    return train(classifier(), nn.CrossEntropyLoss(label_smoothing=0.1), 0.7 * x + 0.3 * x[order], rows)


@sound
def mixup_with_a_tuple():
    def mixed(outputs, targets):
        a, b, lam = targets
        return lam * F.cross_entropy(outputs, a) + (1 - lam) * F.cross_entropy(outputs, b)

    x, y = blobs()
    order = torch.randperm(64)
    return train(classifier(), mixed, 0.7 * x + 0.3 * x[order], (y, y[order], 0.7))


@sound
def policy_gradient():
    def reinforce(logits, actions_and_returns):
        actions, returns = actions_and_returns
        return -(torch.distributions.Categorical(logits=logits).log_prob(actions) * returns).mean()

    x, y = blobs()
    return train(classifier(), reinforce, x, (y, torch.randn(64)))


@sound
def actor_with_illegal_moves():
    class Actor(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = classifier(k=6)

        def forward(self, x):
            return self.net(x).masked_fill(torch.arange(6) > 3, float("-inf"))

    return train(Actor(), nn.CrossEntropyLoss(), *blobs())


@sound
def one_logit_with_smoothed_targets():
    x, y = blobs(k=2)
    return train(classifier(k=1), F.binary_cross_entropy_with_logits, x, (0.9 * y + 0.05)[:, None].float())


@sound
def evidential_outputs():
    """Evidence is positive on purpose, in a loss of its own."""

    def evidential(alpha, labels):
        y = F.one_hot(labels, 4).float()
        total = alpha.sum(1, keepdim=True)
        return (y * (total.digamma() - alpha.digamma())).sum(1).mean()

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = classifier()

        def forward(self, x):
            return F.softplus(self.net(x)) + 1

    return train(Net(), evidential, *blobs())


@sound
def regression_to_distances():
    x, _ = blobs()
    return train(nn.Sequential(classifier(k=2), nn.Softplus()), nn.L1Loss(), x, torch.rand(64, 2) * 5)


@sound
def deep_supervision_with_auxiliary_heads():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(8, 16), nn.Linear(16, 16)
            self.aux, self.head = nn.Linear(16, 4), nn.Linear(16, 4)

        def forward(self, x):
            h = self.a(x).relu()
            if self.training:
                return self.head(self.b(h).relu()), self.aux(h)
            return self.head(self.b(h).relu())

    model, criterion, (x, y) = Net(), nn.CrossEntropyLoss(), blobs()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, criterion) as w:
        for _ in range(12):
            main, aux = model(x)
            optimizer.zero_grad()
            (criterion(main, y) + 0.3 * criterion(aux, y)).backward()
            optimizer.step()
    return w.findings
