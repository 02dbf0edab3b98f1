"""Wrong set-ups: targets, axes and inputs."""

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import nn

from polylogit.misuse import diagnose, watch

from .base import TinyTransformer, blobs, classifier, pictures, train, wrong


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
