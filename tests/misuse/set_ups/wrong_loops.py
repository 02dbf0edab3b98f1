"""Wrong set-ups: gradients, layers, steps and modes."""

import copy
import math

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import nn

from polylogit.misuse import diagnose, watch

from .base import blobs, classifier, train, wrong


@wrong("cut-gradient")
def argmax_as_prediction():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = classifier(k=4)

        def forward(self, x):
            return self.net(x).argmax(1).float()

    x, y = blobs()
    return diagnose(Net(), nn.MSELoss(), x, y.float())


@wrong("cut-gradient")
def numpy_between_the_layers():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 4)

        def forward(self, x):
            h = torch.from_numpy(self.first(x).detach().numpy())
            return self.second(F.relu(h))

    return train(Net(), nn.CrossEntropyLoss(), *blobs())


@wrong("cut-gradient")
def rounded_sigmoid():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = classifier(k=3)

        def forward(self, x):
            return torch.round(torch.sigmoid(self.net(x)))

    x, _ = blobs()
    return train(Net(), nn.BCELoss(), x, (torch.rand(64, 3) > 0.5).float(), steps=2)


@wrong("unregistered-layers")
def layers_in_a_list():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = [nn.Linear(8, 8) for _ in range(3)]
            self.head = nn.Linear(8, 4)

        def forward(self, x):
            for layer in self.layers:
                x = F.relu(layer(x))
            return self.head(x)

    return train(Net(), nn.CrossEntropyLoss(), *blobs())


@wrong("identical-units")
def constant_weights():
    model = classifier()
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.1)
    return train(model, nn.CrossEntropyLoss(), *blobs())


@wrong("constant-scores", "zero-gradient")
def all_weights_zero():
    model = classifier()
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    return train(model, nn.CrossEntropyLoss(), *blobs())


@wrong("dropout-always-on")
def functional_dropout():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(8, 16), nn.Linear(16, 4)

        def forward(self, x):
            x = F.relu(self.a(x))
            x = F.dropout(x, 0.5)
            return self.b(x)

    return train(Net(), nn.CrossEntropyLoss(), *blobs())


@wrong("non-finite-inputs")
def missing_values():
    x, y = blobs()
    x[5, 2] = math.nan
    return train(classifier(), nn.CrossEntropyLoss(), x, y, steps=2)


@wrong("loss-sign")
def likelihood_without_a_minus():
    def log_likelihood(logits, labels):
        return logits.log_softmax(1)[torch.arange(len(labels)), labels].mean()

    return train(classifier(), log_likelihood, *blobs())


@wrong("missing-step")
def forgotten_step():
    model, criterion, (x, y) = classifier(), nn.CrossEntropyLoss(), blobs()
    optimizer = torch.optim.Adam(model.parameters())
    with watch(model, criterion) as w:
        for _ in range(30):
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
    return w.findings


@wrong("missing-zero-grad")
def forgotten_zero_grad():
    model, criterion, (x, y) = classifier(), nn.CrossEntropyLoss(), blobs()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with watch(model, criterion) as w:
        for i in range(0, 64, 4):
            loss = criterion(model(x[i : i + 4]), y[i : i + 4])
            loss.backward()
            optimizer.step()
    return w.findings


@wrong("parameters-unchanged")
def optimizer_of_the_model_before_the_copy():

    model = classifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    model = copy.deepcopy(model)
    return train(model, nn.CrossEntropyLoss(), *blobs(), optimizer=optimizer, steps=40)


@wrong("learning-rate-zero")
def warm_up_that_never_warms_up():
    model, criterion, (x, y) = classifier(), nn.CrossEntropyLoss(), blobs()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: epoch / 10)
    with watch(model, criterion) as w:
        for _ in range(20):
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()
        schedule.step()
    return w.findings


@wrong("evaluation-mode")
def evaluation_mode_after_the_first_epoch():
    model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 4))
    criterion, (x, y) = nn.CrossEntropyLoss(), blobs()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with watch(model, criterion) as w:
        for _ in range(6):
            for i in range(0, 64, 16):
                optimizer.zero_grad()
                criterion(model(x[i : i + 16]), y[i : i + 16]).backward()
                optimizer.step()
            model.eval()
            with torch.no_grad():
                (model(x).argmax(1) == y).float().mean()
    return w.findings


@wrong("training-mode")
def evaluation_with_dropout():
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 4))
    criterion, (x, y) = nn.CrossEntropyLoss(), blobs()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with watch(model, criterion) as w:
        for _ in range(4):
            for i in range(0, 48, 16):
                optimizer.zero_grad()
                criterion(model(x[i : i + 16]), y[i : i + 16]).backward()
                optimizer.step()
            with torch.no_grad():
                criterion(model(x[48:]), y[48:])
    return w.findings


@wrong("parameters-not-in-optimizer")
def new_head_after_the_optimizer():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU())
            self.fc = nn.Linear(16, 10)

        def forward(self, x):
            return self.fc(self.features(x))

    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    model.fc = nn.Linear(16, 4)
    return train(model, nn.CrossEntropyLoss(), *blobs(), optimizer=optimizer, steps=15)


@wrong("unshuffled-batches")
def loader_without_shuffle():
    model, criterion, (x, y) = classifier(), nn.CrossEntropyLoss(), blobs(n=160)
    order = y.argsort()
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x[order], y[order]), batch_size=8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, criterion) as w:
        for xb, yb in loader:
            optimizer.zero_grad()
            criterion(model(xb), yb).backward()
            optimizer.step()
    return w.findings


@wrong("non-finite-loss")
def exploding_learning_rate():
    model, (x, y) = classifier(), blobs()
    return train(model, nn.CrossEntropyLoss(), x, y, optimizer=torch.optim.SGD(model.parameters(), lr=1e20), steps=10)


@wrong("class-never-predicted")
def class_weight_of_zero():
    model, (x, y) = classifier(), blobs()
    criterion = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 0.0, 1.0, 1.0]))
    return train(model, criterion, x, y, optimizer=torch.optim.Adam(model.parameters(), lr=0.03), steps=200)
