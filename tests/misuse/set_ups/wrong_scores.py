"""Wrong set-ups: the scores are of another kind than the loss takes."""

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import nn

from polylogit.misuse import watch

from .base import blobs, classifier, pictures, train, wrong


@wrong("softmax-twice")
def softmax_in_a_cnn():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 8, 3)
            self.fc = nn.Linear(8, 4)

        def forward(self, x):
            x = F.max_pool2d(F.relu(self.conv1(x)), 2)
            x = F.relu(self.conv2(x)).flatten(1)
            return F.softmax(self.fc(x), dim=1)

    return train(Net(), nn.CrossEntropyLoss(), *pictures())


@wrong("softmax-twice")
def softmax_in_the_training_step():
    model, (x, y) = classifier(), blobs()
    criterion, optimizer = nn.CrossEntropyLoss(label_smoothing=0.05), torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, criterion) as w:
        for _ in range(5):
            optimizer.zero_grad()
            probabilities = torch.softmax(model(x), dim=-1)
            criterion(probabilities, y).backward()
            optimizer.step()
    return w.findings


@wrong("softmax-twice")
def softmax_in_a_focal_loss():
    def focal(outputs, labels, gamma=2.0):
        ce = F.cross_entropy(outputs.softmax(dim=1), labels, reduction="none")
        return ((1 - torch.exp(-ce)) ** gamma * ce).mean()

    return train(classifier(), focal, *blobs())


@wrong("softmax-twice")
def softmax_in_a_multi_task_head():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk, self.a, self.b = nn.Linear(8, 16), nn.Linear(16, 4), nn.Linear(16, 3)

        def forward(self, x):
            h = torch.tanh(self.trunk(x))
            return self.a(h), F.softmax(self.b(h), dim=1)

    def joint(outputs, targets):
        return F.cross_entropy(outputs[0], targets[0]) + 0.5 * F.cross_entropy(outputs[1], targets[1])

    x, y = blobs()
    return train(Net(), joint, x, (y, y % 3))


@wrong("softmax-twice")
def gumbel_softmax_as_scores():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = classifier()

        def forward(self, x):
            return F.gumbel_softmax(self.net(x), tau=1.0)

    return train(Net(), nn.CrossEntropyLoss(), *blobs())


@wrong("log-probabilities-for-logits")
def log_softmax_and_cross_entropy():
    model = nn.Sequential(classifier(), nn.LogSoftmax(dim=-1))
    return train(model, nn.CrossEntropyLoss(), *blobs())


@wrong("probabilities-for-log-probabilities")
def softmax_and_nll():
    model = nn.Sequential(classifier(), nn.Softmax(dim=1))
    return train(model, F.nll_loss, *blobs())


@wrong("logits-for-log-probabilities")
def logits_and_nll_for_an_lstm():
    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.emb, self.lstm, self.out = nn.Embedding(20, 8), nn.LSTM(8, 12, batch_first=True), nn.Linear(12, 5)

        def forward(self, s):
            return self.out(self.lstm(self.emb(s))[0]).view(-1, 5)

    s = torch.randint(20, (6, 7))
    return train(Tagger(), nn.NLLLoss(), s, torch.randint(5, (42,)))


@wrong("sigmoid-outputs")
def sigmoid_for_three_classes():
    return train(nn.Sequential(classifier(k=3), nn.Sigmoid()), nn.CrossEntropyLoss(), *blobs(k=3))


@wrong("sigmoid-twice")
def sigmoid_and_bce_with_logits():
    x, _ = blobs()
    y = (torch.rand(64, 5) > 0.7).float()
    return train(nn.Sequential(classifier(k=5), nn.Sigmoid()), nn.BCEWithLogitsLoss(), x, y)


@wrong("sigmoid-twice")
def discriminator_with_a_sigmoid():
    generator, discriminator = (
        nn.Linear(4, 8),
        nn.Sequential(nn.Linear(8, 16), nn.LeakyReLU(), nn.Linear(16, 1), nn.Sigmoid()),
    )
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-3)
    with watch(discriminator, criterion) as w:
        for _ in range(4):
            real, fake = torch.randn(32, 8), generator(torch.randn(32, 4)).detach()
            optimizer.zero_grad()
            criterion(discriminator(real), torch.ones(32, 1)).backward()
            criterion(discriminator(fake), torch.zeros(32, 1)).backward()
            optimizer.step()
    return w.findings


@wrong("softmax-with-binary-loss")
def softmax_and_bce_for_multi_label():
    x, _ = blobs()
    y = (torch.rand(64, 4) > 0.5).float()
    return train(nn.Sequential(classifier(), nn.Softmax(dim=1)), nn.BCELoss(), x, y)


@wrong("softmax-of-one-class")
def softmax_over_one_output():
    x, y = blobs(k=2)
    return train(nn.Sequential(classifier(k=1), nn.Softmax(dim=1)), nn.BCELoss(), x, y.float()[:, None])


@wrong("softmax-of-one-class")
def cross_entropy_of_one_output():
    x, _ = blobs()
    return train(classifier(k=1), nn.CrossEntropyLoss(), x, torch.zeros(64, dtype=torch.long))


@wrong("softmax-over-rows")
def softmax_over_the_batch():
    return train(nn.Sequential(classifier(), nn.Softmax(dim=0)), nn.CrossEntropyLoss(), *blobs())


@wrong("softmax-over-positions", "softmax-twice")
def softmax_over_the_width_of_pictures():
    model = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(), nn.Conv2d(5, 4, 1), nn.Softmax(dim=-1))
    x, _ = pictures(n=6)
    return train(model, nn.CrossEntropyLoss(), x, torch.randint(4, (6, 8, 8)))


@wrong("final-relu")
def relu_after_the_last_layer():
    return train(nn.Sequential(classifier(), nn.ReLU()), nn.CrossEntropyLoss(), *blobs())


@wrong("bounded-scores")
def tanh_after_the_last_layer():
    return train(nn.Sequential(classifier(d=8, k=6), nn.Tanh()), nn.CrossEntropyLoss(), *blobs(k=6))


@wrong("bounded-scores")
def cosine_head_without_temperature():
    class Cosine(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.centres = nn.Linear(8, 4), nn.Parameter(torch.randn(6, 4))

        def forward(self, x):
            return F.normalize(self.body(x), dim=1) @ F.normalize(self.centres, dim=1).T

    return train(Cosine(), nn.CrossEntropyLoss(), *blobs(k=6))


@wrong("positive-scores")
def prototypes_by_distance():
    class Prototypes(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.centres = nn.Linear(8, 6), nn.Parameter(torch.randn(4, 6))

        def forward(self, x):
            return torch.cdist(self.embed(x), self.centres)

    return train(Prototypes(), nn.CrossEntropyLoss(), *blobs())


@wrong("dropout-on-scores")
def dropout_after_the_last_layer():
    return train(nn.Sequential(classifier(), nn.Dropout(0.3)), nn.CrossEntropyLoss(), *blobs())


@wrong("logits-for-log-probabilities")
def distillation_from_logits():
    teacher, student, (x, _) = classifier(hidden=32), classifier(), blobs()
    criterion = nn.KLDivLoss(reduction="batchmean")
    with torch.no_grad():
        soft = F.softmax(teacher(x) / 3, dim=1)
    return train(student, criterion, x, soft)


@wrong("kl-div-swapped", "probabilities-for-log-probabilities")
def distillation_with_exchanged_arguments():
    teacher, student, (x, _) = classifier(hidden=32), classifier(), blobs()
    criterion = nn.KLDivLoss(reduction="batchmean")
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
    with watch(student, criterion) as w:
        for _ in range(3):
            optimizer.zero_grad()
            criterion(student(x).softmax(1), teacher(x).detach().log_softmax(1)).backward()
            optimizer.step()
    return w.findings


@wrong("kl-div-mean")
def distillation_with_the_default_reduction():
    teacher, student, (x, y) = classifier(hidden=32), classifier(), blobs()

    def kd(outputs, labels):
        soft = nn.KLDivLoss()(F.log_softmax(outputs / 4, dim=1), F.softmax(teacher(x).detach() / 4, dim=1))
        return 0.9 * 16 * soft + 0.1 * F.cross_entropy(outputs, labels)

    return train(student, kd, x, y)


@wrong("kl-div-log-target")
def distillation_with_log_targets():
    teacher, student, (x, _) = classifier(hidden=32), nn.Sequential(classifier(), nn.LogSoftmax(1)), blobs()
    with torch.no_grad():
        target = teacher(x).log_softmax(1)
    return train(student, nn.KLDivLoss(reduction="batchmean"), x, target)
