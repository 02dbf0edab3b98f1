"""Wrong set-ups as people write them: each a model, a loss and a few steps, with the codes that name its cause."""

import math

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import nn

from polylogit.misuse import diagnose, watch

WRONG = {}


def wrong(*codes):
    """Register a set-up with the codes that name its cause."""

    def register(set_up):
        WRONG[set_up.__name__] = (set_up, codes)
        return set_up

    return register


def blobs(n=64, d=8, k=4):
    y = torch.randint(k, (n,))
    return 2 * torch.randn(k, d)[y] + 0.5 * torch.randn(n, d), y


def pictures(n=32, k=4, size=8):
    return torch.rand(n, 3, size, size), torch.randint(k, (n,))


def classifier(d=8, k=4, hidden=16):
    return nn.Sequential(nn.Linear(d, hidden), nn.ReLU(), nn.Linear(hidden, k))


def train(model, criterion, x, y, *, optimizer=None, steps=12):
    """The usual loop, watched."""
    optimizer = optimizer or torch.optim.Adam(model.parameters(), lr=1e-3)
    with watch(model, criterion) as w:
        for _ in range(steps):
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()
    return w.findings


class TinyTransformer(nn.Module):
    def __init__(self, vocabulary=12, k=3, batch_first=True):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, 16)
        self.encoder = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=batch_first)
        self.head = nn.Linear(16, k)

    def forward(self, tokens):
        return self.head(self.encoder(self.embedding(tokens)).mean(1))


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


@wrong("labels-from-1")
def labels_from_a_csv_from_1():
    x, y = blobs()
    try:
        model, criterion = classifier(), nn.CrossEntropyLoss()
        with watch(model, criterion) as w:
            criterion(model(x), y + 1)
    except IndexError:
        pass
    return w.findings


@wrong("labels-out-of-range")
def signs_for_a_binary_loss():
    x, y = blobs(k=2)
    return train(classifier(k=1), nn.BCEWithLogitsLoss(), x, (2.0 * y - 1)[:, None])


@wrong("one-hot-or-index")
def one_hot_integers():
    x, y = blobs()
    return diagnose(classifier(), nn.CrossEntropyLoss(), x, F.one_hot(y, 4))


@wrong("one-hot-or-index")
def class_indices_for_a_binary_loss():
    x, y = blobs()
    return diagnose(classifier(), nn.BCEWithLogitsLoss(), x, y.float())


@wrong("rows-are-no-distributions")
def several_labels_in_cross_entropy():
    x, _ = blobs()
    y = (torch.rand(64, 4) > 0.4).float()
    return train(classifier(), nn.CrossEntropyLoss(), x, y)


@wrong("shuffled-rows")
def broadcast_of_binary_targets():
    x, y = blobs(k=2)
    return diagnose(classifier(k=1), nn.MSELoss(), x, y.float())


@wrong("smoothing-twice")
def smoothed_rows_and_label_smoothing():
    x, y = blobs()
    rows = F.one_hot(y, 4).float() * 0.9 + 0.025
    return train(classifier(), nn.CrossEntropyLoss(label_smoothing=0.1), x, rows)


@wrong("class-axis")
def token_scores_of_square_shape():
    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.gru, self.head = nn.Embedding(9, 8), nn.GRU(8, 8, batch_first=True), nn.Linear(8, 6)

        def forward(self, tokens):
            return self.head(self.gru(self.embedding(tokens))[0])

    return train(Tagger(), nn.CrossEntropyLoss(), torch.randint(9, (5, 6)), torch.randint(6, (5, 6)))


@wrong("shuffled-classes", "shuffled-rows")
def view_of_a_segmentation():
    class Segment(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, padding=1)

        def forward(self, x):
            return self.conv(x).view(-1, 4)

    x, _ = pictures(n=3)
    return train(Segment(), nn.CrossEntropyLoss(), x, torch.randint(4, (3 * 64,)))


@wrong("batch-axis")
def lstm_without_batch_first():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.fc = nn.LSTM(5, 12), nn.Linear(12, 4)

        def forward(self, x):
            out, _ = self.lstm(x)
            return self.fc(out[:, -1])

    return train(Net(), nn.CrossEntropyLoss(), torch.randn(16, 7, 5), torch.randint(4, (16,)))


@wrong("batch-axis")
def transformer_without_batch_first():
    x = torch.randint(12, (10, 6))
    return train(TinyTransformer(batch_first=False), nn.CrossEntropyLoss(), x, torch.randint(3, (10,)))


@wrong("future-leak")
def language_model_without_a_mask():
    class LM(nn.Module):
        def __init__(self):
            super().__init__()
            self.emb = nn.Embedding(15, 16)
            self.pos = nn.Parameter(torch.randn(12, 16))
            self.block, self.head = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), nn.Linear(16, 15)

        def forward(self, t):
            return self.head(self.block(self.emb(t) + self.pos[: t.shape[1]]))

    model, text = LM(), torch.randint(15, (8, 11))
    criterion, optimizer = nn.CrossEntropyLoss(), torch.optim.AdamW(model.parameters(), lr=1e-3)
    with watch(model, criterion) as w:
        for _ in range(3):
            logits = model(text[:, :-1])
            loss = criterion(logits.reshape(-1, 15), text[:, 1:].reshape(-1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return w.findings


@wrong("padding-in-loss")
def padded_tags():
    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.head = nn.Embedding(30, 8, padding_idx=0), nn.Linear(8, 5)

        def forward(self, tokens):
            return self.head(self.embedding(tokens)).transpose(1, 2)

    tokens, tags = torch.randint(1, 30, (8, 10)), torch.randint(1, 5, (8, 10))
    for row, length in enumerate([10, 9, 8, 7, 6, 5, 4, 3]):
        tokens[row, length:] = 0
        tags[row, length:] = 0
    return train(Tagger(), nn.CrossEntropyLoss(), tokens, tags)


@wrong("unscaled-inputs")
def bytes_of_pictures():
    x, y = (torch.rand(32, 3, 8, 8) * 255).round(), torch.randint(4, (32,))
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 32), nn.ReLU(), nn.Linear(32, 4))
    return train(model, nn.CrossEntropyLoss(), x, y, steps=2)


@wrong("unscaled-inputs")
def age_and_income():
    y = torch.randint(2, (64,))
    x = torch.stack([20 + 40 * torch.rand(64), 20000 + 60000 * torch.rand(64), torch.rand(64)], 1)
    return train(classifier(d=3, k=2), nn.CrossEntropyLoss(), x, y, steps=2)


@wrong("unused-outputs")
def head_of_imagenet():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
            self.fc = nn.Linear(8, 1000)

        def forward(self, x):
            return self.fc(self.features(x))

    return train(Net(), nn.CrossEntropyLoss(), *pictures(n=64, k=4), steps=3)


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
    import copy

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
