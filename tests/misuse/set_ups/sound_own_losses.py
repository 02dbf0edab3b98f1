"""Sound set-ups: losses of the user's own, each diagnosed on one batch."""

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import nn

from polylogit.misuse import diagnose

from .base import Of, blobs, classifier, sound


@sound
def mixture_of_softmaxes():
    def forward(m, x):
        parts = torch.stack([net(x).log_softmax(1) for net in m.nets], 1)
        return (parts + m.gate(x).log_softmax(1)[..., None]).logsumexp(1)

    model = Of(forward, nets=nn.ModuleList(classifier() for _ in range(3)), gate=nn.Linear(8, 3))
    return diagnose(model, nn.NLLLoss(), *blobs())


@sound
def adjusted_logits():
    prior = torch.tensor([0.7, 0.2, 0.07, 0.03]).log()
    return diagnose(classifier(), lambda z, y: F.cross_entropy(z + prior, y), *blobs())


@sound
def rare_labels_of_several():
    y = (torch.rand(64, 10) > 0.97).float()
    loss = nn.BCEWithLogitsLoss(pos_weight=torch.full((10,), 30.0))
    return diagnose(classifier(k=10), loss, torch.randn(64, 8), y)


@sound
def span_of_an_answer():
    def forward(m, t):
        start, end = m.head(m.rnn(m.embedding(t))[0]).unbind(-1)
        return start, end

    def loss(outputs, targets):
        return (F.cross_entropy(outputs[0], targets[0]) + F.cross_entropy(outputs[1], targets[1])) / 2

    model = Of(forward, embedding=nn.Embedding(30, 8), rnn=nn.GRU(8, 8, batch_first=True), head=nn.Linear(8, 2))
    return diagnose(model, loss, torch.randint(30, (8, 12)), (torch.randint(6, (8,)), torch.randint(6, 12, (8,))))


@sound
def variational_bottleneck():
    def forward(m, x):
        mean, log_var = m.encoder(x).chunk(2, 1)
        return m.decoder(mean + (0.5 * log_var).exp() * torch.randn_like(mean)), mean, log_var

    def loss(outputs, y):
        z, mean, log_var = outputs
        return F.cross_entropy(z, y) - 1e-3 * 0.5 * (1 + log_var - mean.square() - log_var.exp()).sum(1).mean()

    return diagnose(Of(forward, encoder=nn.Linear(8, 12), decoder=nn.Linear(6, 4)), loss, *blobs())


@sound
def brier_score():
    x, y = blobs()
    return diagnose(nn.Sequential(classifier(), nn.Softmax(1)), nn.MSELoss(), x, F.one_hot(y, 4).float())


@sound
def hinge_of_several_classes():
    return diagnose(classifier(), nn.MultiMarginLoss(margin=1.0), *blobs())


@sound
def pairwise_ranking():
    def loss(scores, y):
        better, worse = scores[y == 1], scores[y == 0]
        return F.softplus(worse[None, :, 0] - better[:, None, 0]).mean()

    return diagnose(classifier(k=1), loss, *blobs(k=2))


@sound
def distance_of_pairs():
    def loss(distance, same):
        return (same * distance.square() + (1 - same) * F.relu(1 - distance).square()).mean()

    def forward(m, a, b):
        return F.pairwise_distance(m.net(a), m.net(b))

    inputs = torch.randn(32, 8), torch.randn(32, 8)
    return diagnose(Of(forward, net=nn.Linear(8, 4)), loss, inputs, (torch.rand(32) > 0.5).float())


@sound
def confidence_penalty():
    def loss(z, y):
        log_p = z.log_softmax(1)
        return F.nll_loss(log_p, y) + 0.1 * (log_p.exp() * log_p).sum(1).mean()

    return diagnose(classifier(), loss, *blobs())


@sound
def two_passes_of_dropout():
    """R-Drop: the divergence between two passes, both ways."""

    def forward(m, x):
        return m.net(x), m.net(x)

    def loss(outputs, y):
        a, b = (z.log_softmax(1) for z in outputs)
        both = F.kl_div(a, b.exp(), reduction="batchmean") + F.kl_div(b, a.exp(), reduction="batchmean")
        return F.nll_loss(a, y) + F.nll_loss(b, y) + 0.5 * both

    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 4))
    return diagnose(Of(forward, net=net), loss, *blobs())


@sound
def exits_at_several_depths():
    def forward(m, x):
        h, outputs = x, []
        for layer, head in zip(m.layers, m.heads, strict=True):
            h = layer(h).relu()
            outputs.append(head(h))
        return outputs

    layers = nn.ModuleList([nn.Linear(8, 16), nn.Linear(16, 16)])
    heads = nn.ModuleList([nn.Linear(16, 4), nn.Linear(16, 4)])
    return diagnose(
        Of(forward, layers=layers, heads=heads), lambda out, y: sum(F.cross_entropy(z, y) for z in out), *blobs()
    )


@sound
def sampled_softmax():
    sample = torch.arange(50)

    def loss(features, targets):
        weight = torch.linspace(-1, 1, 400).reshape(50, 8)
        return F.cross_entropy(features @ weight[sample].T, targets)

    return diagnose(nn.Linear(8, 8), loss, torch.randn(32, 8), torch.randint(50, (32,)))


@sound
def focal_loss_for_several_labels():
    def loss(z, y):
        ce = F.binary_cross_entropy_with_logits(z, y, reduction="none")
        p = z.sigmoid()
        return (ce * (1 - (p * y + (1 - p) * (1 - y))) ** 2).mean()

    return diagnose(classifier(k=5), loss, torch.randn(64, 8), (torch.rand(64, 5) > 0.8).float())


@sound
def tversky_loss_of_masks():
    def loss(z, y):
        p = z.sigmoid()
        hit, over, under = (p * y).sum(), (p * (1 - y)).sum(), ((1 - p) * y).sum()
        return 1 - hit / (hit + 0.3 * over + 0.7 * under)

    return diagnose(nn.Conv2d(3, 1, 3, padding=1), loss, torch.rand(6, 3, 8, 8), (torch.rand(6, 1, 8, 8) > 0.8).float())


@sound
def mean_teacher():
    teacher = classifier()

    def forward(m, x):
        return m.net(x), x

    def loss(outputs, y):
        z, x = outputs
        with torch.no_grad():
            soft = teacher(x).softmax(1)
        return F.cross_entropy(z, y) + F.mse_loss(z.softmax(1), soft)

    return diagnose(Of(forward, net=classifier()), loss, *blobs())


@sound
def capsules_with_a_margin_loss():
    def forward(m, x):
        return m.caps(x).view(-1, 4, 3).norm(dim=2).tanh()

    def loss(length, y):
        t = F.one_hot(y, 4).float()
        return (t * F.relu(0.9 - length).square() + 0.5 * (1 - t) * F.relu(length - 0.1).square()).sum(1).mean()

    return diagnose(Of(forward, caps=nn.Linear(8, 12)), loss, *blobs())
