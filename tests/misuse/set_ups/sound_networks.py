"""Sound set-ups: networks of many kinds, each diagnosed on one batch."""

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import nn
from torch.nn.utils import parametrizations

from polylogit.misuse import diagnose

from .base import CE, Of, blobs, classifier, pictures, sound


@sound
def residual_network():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.Conv2d(8, 8, 3, padding=1, bias=False)
            self.n, self.m = nn.BatchNorm2d(8), nn.BatchNorm2d(8)
            nn.init.zeros_(self.m.weight)

        def forward(self, x):
            return F.relu(x + self.m(self.b(F.relu(self.n(self.a(x))))))

    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)]
    return diagnose(nn.Sequential(nn.Conv2d(3, 8, 3), Block(), Block(), *head), CE, *pictures())


@sound
def squeeze_and_excitation():
    def forward(m, x):
        h = m.conv(x).relu()
        return m.head((h * m.gate(h.mean((2, 3)))[..., None, None]).mean((2, 3)))

    gate = nn.Sequential(nn.Linear(8, 2), nn.ReLU(), nn.Linear(2, 8), nn.Sigmoid())
    return diagnose(Of(forward, conv=nn.Conv2d(3, 8, 3), gate=gate, head=nn.Linear(8, 4)), CE, *pictures())


@sound
def vision_transformer():
    def forward(m, x):
        patches = m.patch(x).flatten(2).transpose(1, 2)
        h = torch.cat([m.token.expand(len(x), -1, -1), patches], 1) + m.position
        return m.head(m.block(h)[:, 0])

    model = Of(
        forward,
        patch=nn.Conv2d(3, 16, 4, 4),
        token=nn.Parameter(torch.zeros(1, 1, 16)),
        position=nn.Parameter(torch.randn(1, 5, 16) * 0.02),
        block=nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, norm_first=True),
        head=nn.Linear(16, 4),
    )
    return diagnose(model, CE, *pictures())


@sound
def signals_in_one_dimension():
    model = nn.Sequential(
        nn.Conv1d(2, 8, 5), nn.BatchNorm1d(8), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(8, 3)
    )
    return diagnose(model, CE, torch.randn(20, 2, 40), torch.randint(3, (20,)))


@sound
def volumes():
    model = nn.Sequential(nn.Conv3d(1, 4, 3), nn.GroupNorm(2, 4), nn.SiLU(), nn.Flatten(), nn.LazyLinear(3))
    x = torch.randn(6, 1, 5, 5, 5)
    model(x)
    return diagnose(model, CE, x, torch.randint(3, (6,)))


@sound
def spectral_and_weight_norm():
    model = nn.Sequential(
        parametrizations.spectral_norm(nn.Linear(8, 16)), nn.ReLU(), parametrizations.weight_norm(nn.Linear(16, 4))
    )
    return diagnose(model, CE, *blobs())


@sound
def deep_sets():
    model = Of(lambda m, x: m.rho(m.phi(x).sum(1)), phi=nn.Linear(5, 8), rho=classifier(8, 3))
    return diagnose(model, CE, torch.randn(12, 7, 5), torch.randint(3, (12,)))


@sound
def attention_over_instances():
    def forward(m, bags):
        h = torch.tanh(m.embed(bags))
        return m.head((m.weight(h).softmax(1) * h).sum(1))

    model = Of(forward, embed=nn.Linear(5, 8), weight=nn.Linear(8, 1), head=nn.Linear(8, 2))
    return diagnose(model, CE, torch.randn(12, 9, 5), torch.randint(2, (12,)))


@sound
def point_clouds():
    model = Of(lambda m, x: m.head(m.point(x).relu().max(1).values), point=nn.Linear(3, 16), head=nn.Linear(16, 4))
    return diagnose(model, CE, torch.randn(10, 30, 3), torch.randint(4, (10,)))


@sound
def prototypical_network():
    support, labels = torch.randn(12, 8), torch.arange(12) % 4

    def forward(m, queries):
        centres = torch.stack([m.embed(support[labels == k]).mean(0) for k in range(4)])
        return -torch.cdist(m.embed(queries), centres).square()

    return diagnose(Of(forward, embed=nn.Linear(8, 6)), CE, *blobs())


@sound
def additive_angular_margin():
    def forward(m, x, y):
        cosine = F.normalize(m.embed(x), dim=1) @ F.normalize(m.centres, dim=1).T
        margin = F.one_hot(y, 4) * 0.3
        return 20 * (cosine.clamp(-1 + 1e-6, 1 - 1e-6).acos() + margin).cos()

    x, y = blobs()
    return diagnose(Of(forward, embed=nn.Linear(8, 6), centres=nn.Parameter(torch.randn(4, 6))), CE, (x, y), y)


@sound
def average_of_an_ensemble():
    model = Of(
        lambda m, x: torch.stack([net(x) for net in m.nets]).mean(0), nets=nn.ModuleList(classifier() for _ in range(3))
    )
    return diagnose(model, CE, *blobs())


@sound
def bag_of_embeddings():
    model = Of(lambda m, t, o: m.head(m.bag(t, o)), bag=nn.EmbeddingBag(30, 8), head=nn.Linear(8, 3))
    return diagnose(model, CE, (torch.randint(30, (40,)), torch.arange(0, 40, 5)), torch.randint(3, (8,)))


@sound
def named_inputs():
    def forward(m, input_ids, attention_mask):
        h = m.embedding(input_ids) * attention_mask[..., None]
        return m.head(h.sum(1) / attention_mask.sum(1, keepdim=True))

    model = Of(forward, embedding=nn.Embedding(30, 8), head=nn.Linear(8, 3))
    ids = torch.randint(1, 30, (8, 10))
    return diagnose(model, CE, {"input_ids": ids, "attention_mask": (ids > 3).float()}, torch.randint(3, (8,)))


@sound
def pointer_to_a_position():
    def forward(m, x):
        h, _ = m.rnn(x)
        return m.score(h).squeeze(-1)

    model = Of(forward, rnn=nn.GRU(4, 8, batch_first=True), score=nn.Linear(8, 1))
    return diagnose(model, CE, torch.randn(10, 6, 4), torch.randint(6, (10,)))


@sound
def multiple_choice():
    model = Of(lambda m, x: m.net(x.flatten(0, 1)).view(len(x), x.shape[1]), net=classifier(k=1))
    return diagnose(model, CE, torch.randn(16, 4, 8), torch.randint(4, (16,)))


@sound
def dense_anchors():
    model = Of(
        lambda m, x: m.conv(x).view(len(x), 2, 3, 8, 8).permute(0, 1, 3, 4, 2).reshape(-1, 3),
        conv=nn.Conv2d(3, 6, 3, padding=1),
    )
    return diagnose(model, CE, torch.randn(4, 3, 8, 8), torch.randint(3, (4 * 2 * 64,)))


@sound
def double_precision():
    x, y = blobs()
    return diagnose(classifier().double(), CE, x.double(), y)


@sound
def brain_floats():
    x, y = blobs()
    return diagnose(classifier().bfloat16(), CE, x.bfloat16(), y)


@sound
def channels_last():
    x, y = pictures()
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 4)).to(
        memory_format=torch.channels_last
    )
    return diagnose(model, CE, x.to(memory_format=torch.channels_last), y)


@sound
def binary_weights():
    def forward(m, x):
        weight = m.a.weight + (m.a.weight.sign() - m.a.weight).detach()
        return m.b(F.linear(x, weight, m.a.bias).relu())

    return diagnose(Of(forward, a=nn.Linear(8, 16), b=nn.Linear(16, 4)), CE, *blobs())


@sound
def fake_quantisation():
    def forward(m, x):
        h = m.a(x).relu()
        return m.b(h + ((h * 16).round() / 16 - h).detach())

    return diagnose(Of(forward, a=nn.Linear(8, 16), b=nn.Linear(16, 4)), CE, *blobs())


@sound
def noise_on_the_inputs():
    def forward(m, x):
        return m.net(x + 0.1 * torch.randn_like(x) if m.training else x)

    return diagnose(Of(forward, net=classifier()), CE, *blobs())


@sound
def three_zero_layers_at_the_end():
    model = classifier()
    nn.init.zeros_(model[-1].weight)
    return diagnose(model, CE, *blobs())


@sound
def counts_with_batch_norm():
    y = torch.randint(3, (64,))
    x = torch.poisson(torch.rand(64, 6) * 2000)
    return diagnose(nn.Sequential(nn.BatchNorm1d(6), classifier(6, 3)), CE, x, y)


@sound
def one_hot_inputs():
    return diagnose(classifier(12, 3), CE, F.one_hot(torch.randint(12, (64,)), 12).float(), torch.randint(3, (64,)))


@sound
def two_rows():
    return diagnose(classifier(), CE, torch.randn(2, 8), torch.tensor([1, 3]))


@sound
def many_classes():
    return diagnose(nn.Linear(8, 3000), CE, torch.randn(64, 8), torch.randint(3000, (64,)))


@sound
def truncated_backpropagation():
    def forward(m, t):
        out, _ = m.rnn(m.embedding(t))
        return m.head(out).transpose(1, 2)

    model = Of(forward, embedding=nn.Embedding(9, 8), rnn=nn.LSTM(8, 12, batch_first=True), head=nn.Linear(12, 9))
    text = torch.randint(9, (6, 13))
    return diagnose(model, CE, text[:, :-1], text[:, 1:])


@sound
def highway_with_gates():
    def forward(m, x):
        g = m.gate(x).sigmoid()
        return m.head(g * m.body(x).tanh() + (1 - g) * x)

    return diagnose(Of(forward, gate=nn.Linear(8, 8), body=nn.Linear(8, 8), head=nn.Linear(8, 4)), CE, *blobs())


@sound
def standardised_logits():
    return diagnose(nn.Sequential(classifier(), nn.LayerNorm(4)), CE, *blobs())
