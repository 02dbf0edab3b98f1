"""Wrong set-ups: networks and loops of other kinds, most of them diagnosed on one batch."""

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import nn

from polylogit.misuse import diagnose, watch

from .base import CE, Of, blobs, classifier, pictures, wrong


@wrong("softmax-twice")
def probabilities_in_a_dictionary():
    model, (x, y) = Of(lambda m, x: {"probabilities": m.net(x).softmax(-1), "input": x}, net=classifier()), blobs()
    optimizer = torch.optim.Adam(model.parameters())
    with watch(model, CE) as w:
        for _ in range(3):
            optimizer.zero_grad()
            CE(model(x)["probabilities"], y).backward()
            optimizer.step()
    return w.findings


@wrong("sigmoid-twice")
def sigmoid_before_a_focal_loss_of_logits():
    def loss(z, y):
        ce = F.binary_cross_entropy_with_logits(z, y, reduction="none")
        return ((1 - (-ce).exp()) ** 2 * ce).mean()

    y = (torch.rand(64, 5) > 0.5).float()
    return diagnose(nn.Sequential(classifier(k=5), nn.Sigmoid()), loss, torch.randn(64, 8), y)


@wrong("loss-refuses")
def class_weights_of_another_length():
    return diagnose(classifier(), nn.CrossEntropyLoss(weight=torch.ones(5)), *blobs())


@wrong("loss-refuses")
def labels_of_another_integer_type():
    x, y = blobs()
    return diagnose(classifier(), CE, x, y.int())


@wrong("one-hot-or-index")
def labels_as_a_column():
    x, y = blobs()
    return diagnose(classifier(), CE, x, y[:, None])


@wrong("one-hot-or-index")
def labels_as_floats():
    x, y = blobs(k=2)
    return diagnose(classifier(k=2), CE, x, y.float())


@wrong("labels-out-of-range")
def one_output_too_few():
    x, y = blobs(k=5)
    return diagnose(classifier(k=4), CE, x, y)


@wrong("labels-out-of-range")
def pixels_of_a_void_class():
    masks = torch.randint(4, (6, 8, 8))
    masks[:, 0] = 255
    return diagnose(nn.Conv2d(3, 4, 1), CE, torch.rand(6, 3, 8, 8), masks)


@wrong("class-axis")
def classes_last():
    model = Of(lambda m, t: m.head(m.embedding(t)), embedding=nn.Embedding(9, 8), head=nn.Linear(8, 5))
    return diagnose(model, CE, torch.randint(9, (6, 7)), torch.randint(5, (6, 7)))


@wrong("shuffled-rows")
def patches_that_mix_pictures():
    def forward(m, x):
        return m.head(m.conv(x).permute(1, 2, 3, 0).reshape(len(x), -1))

    return diagnose(Of(forward, conv=nn.Conv2d(3, 4, 3), head=nn.Linear(144, 4)), CE, *pictures())


@wrong("shuffled-rows")
def positions_before_rows():
    def forward(m, t):
        return m.head(m.rnn(m.embedding(t))[0].transpose(0, 1).reshape(-1, 8))

    model = Of(forward, embedding=nn.Embedding(9, 8), rnn=nn.GRU(8, 8, batch_first=True), head=nn.Linear(8, 5))
    return diagnose(model, CE, torch.randint(9, (6, 7)), torch.randint(5, (42,)))


@wrong("batch-axis")
def attention_over_rows():
    def forward(m, x):
        return m.head(m.attention(x, x, x)[0].mean(1))

    model = Of(forward, attention=nn.MultiheadAttention(8, 2), head=nn.Linear(8, 3))
    return diagnose(model, CE, torch.randn(12, 5, 8), torch.randint(3, (12,)))


@wrong("positive-scores")
def exponentials_as_scores():
    return diagnose(Of(lambda m, x: m.net(x).exp(), net=classifier()), CE, *blobs())


@wrong("bounded-scores")
def hard_tanh_at_the_end():
    return diagnose(nn.Sequential(nn.Linear(8, 6), nn.Hardtanh()), CE, *blobs(k=6))


@wrong("final-relu")
def relu_6_in_a_segmentation():
    return diagnose(
        nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU6()),
        CE,
        torch.randn(6, 3, 8, 8),
        torch.randint(4, (6, 8, 8)),
    )


@wrong("cut-gradient")
def trunk_that_is_detached():
    def forward(m, x):
        h = m.a(x).relu()
        h = m.b(h.detach()).relu()
        return m.c(h)

    return diagnose(Of(forward, a=nn.Linear(8, 8), b=nn.Linear(8, 8), c=nn.Linear(8, 4)), CE, *blobs())


@wrong("cut-gradient")
def scores_made_anew():
    return diagnose(Of(lambda m, x: torch.tensor(m.net(x).tolist()), net=classifier()), CE, *blobs())


@wrong("cut-gradient", "zero-gradient")
def sign_activations():
    def forward(m, x):
        return m.b(torch.sign(m.a(x)))

    model = Of(forward, a=nn.Linear(8, 16), b=nn.Linear(16, 4))
    return diagnose(model, CE, *blobs())


@wrong("constant-scores")
def dead_units():
    model = classifier()
    nn.init.constant_(model[0].bias, -50.0)
    return diagnose(model, CE, *blobs())


@wrong("non-finite-targets")
def missing_labels():
    y = (torch.rand(64, 3) > 0.5).float()
    y[3, 1] = torch.nan
    return diagnose(classifier(k=3), nn.BCEWithLogitsLoss(), torch.randn(64, 8), y)


@wrong("non-finite-scores")
def logarithm_of_a_relu():
    return diagnose(Of(lambda m, x: m.b(torch.log(m.a(x))), a=nn.Linear(8, 8), b=nn.Linear(8, 4)), CE, *blobs())


@wrong("unregistered-layers")
def heads_in_a_dictionary():
    def forward(m, x):
        return m.heads["main"](m.body(x).relu())

    return diagnose(Of(forward, body=nn.Linear(8, 16), heads={"main": nn.Linear(16, 4)}), CE, *blobs())


@wrong("one-hot-or-index")
def divergence_to_class_indices():
    x, y = blobs()
    return diagnose(nn.Sequential(classifier(), nn.LogSoftmax(1)), nn.KLDivLoss(reduction="batchmean"), x, y)


@wrong("rows-are-no-distributions")
def divergence_to_logits_of_a_teacher():
    x, _ = blobs()
    teacher = classifier()(x).detach()
    return diagnose(nn.Sequential(classifier(), nn.LogSoftmax(1)), nn.KLDivLoss(reduction="batchmean"), x, teacher)


@wrong("missing-step", "parameters-unchanged", "gradients-cleared")
def zero_grad_between_backward_and_step():
    model, (x, y) = classifier(), blobs()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, CE) as w:
        for _ in range(40):
            CE(model(x), y).backward()
            optimizer.zero_grad()
            optimizer.step()
    return w.findings


@wrong("missing-step", "parameters-unchanged", "gradients-cleared")
def step_before_backward():
    model, (x, y) = classifier(), blobs()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    with watch(model, CE) as w:
        for _ in range(40):
            optimizer.zero_grad()
            loss = CE(model(x), y)
            optimizer.step()
            loss.backward()
    return w.findings


@wrong("cut-gradient")
def accuracy_as_a_loss():
    def loss(z, y):
        return 1 - (z.argmax(1) == y).float().mean()

    return diagnose(classifier(), loss, *blobs())


@wrong("loss-sign")
def negative_cross_entropy():
    return diagnose(classifier(), lambda z, y: -F.cross_entropy(z, y), *blobs())


@wrong("softmax-of-one-class")
def one_output_and_log_softmax():
    x, y = blobs(k=2)
    model = nn.Sequential(classifier(k=1), nn.LogSoftmax(dim=1))
    return diagnose(model, nn.NLLLoss(), x, torch.zeros_like(y))
