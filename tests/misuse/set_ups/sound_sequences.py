"""Sound set-ups: tokens, sequences and masks."""

import torch
from torch import nn

from polylogit.misuse import watch

from .base import TinyTransformer, sound, train


class CharLM(nn.Module):
    def __init__(self, vocabulary=15, width=16, tied=False):
        super().__init__()
        self.emb, self.pos = nn.Embedding(vocabulary, width), nn.Embedding(16, width)
        self.block = nn.TransformerEncoderLayer(width, 2, 32, dropout=0.1, batch_first=True)
        self.head = nn.Linear(width, vocabulary, bias=False)
        if tied:
            self.head.weight = self.emb.weight

    def forward(self, t):
        n = t.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(n)
        return self.head(self.block(self.emb(t) + self.pos(torch.arange(n)), src_mask=mask, is_causal=True))


class TransformerWithPadding(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(30, 16, padding_idx=0)
        self.encoder = nn.TransformerEncoderLayer(16, 4, 32, dropout=0.1, batch_first=True)
        self.cls = nn.Linear(16, 3)

    def forward(self, ids):
        mask = ids == 0
        h = self.encoder(self.emb(ids), src_key_padding_mask=mask)
        h = h.masked_fill(mask[..., None], 0).sum(1) / (~mask).sum(1, keepdim=True)
        return self.cls(h)


def padded_ids():
    ids = torch.randint(1, 30, (8, 10))
    for row in range(8):
        ids[row, 10 - row :] = 0
    return ids


def language_model(model):
    text, criterion = torch.randint(15, (8, 11)), nn.CrossEntropyLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    with watch(model, criterion) as w:
        for _ in range(5):
            logits = model(text[:, :-1])
            loss = criterion(logits.reshape(-1, 15), text[:, 1:].reshape(-1))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    return w.findings


@sound
def transformer_with_a_padding_mask():
    return train(TransformerWithPadding(), nn.CrossEntropyLoss(), padded_ids(), torch.randint(3, (8,)))


@sound
def transformer_without_dropout():
    return train(TinyTransformer(), nn.CrossEntropyLoss(), torch.randint(12, (10, 6)), torch.randint(3, (10,)))


@sound
def causal_language_model():
    return language_model(CharLM())


@sound
def causal_language_model_with_tied_weights():
    return language_model(CharLM(tied=True))


@sound
def masked_language_model():
    class Bert(nn.Module):
        def __init__(self):
            super().__init__()
            self.emb, self.head = nn.Embedding(20, 16), nn.Linear(16, 20)
            self.block = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)

        def forward(self, t):
            return self.head(self.block(self.emb(t))).transpose(1, 2)

    tokens = torch.randint(2, 20, (8, 10))
    masked = torch.rand(8, 10) < 0.3
    inputs, labels = tokens.masked_fill(masked, 1), tokens.masked_fill(~masked, -100)
    return train(Bert(), nn.CrossEntropyLoss(), inputs, labels)


@sound
def padded_tags_that_are_ignored():
    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.emb, self.gru = nn.Embedding(30, 8, padding_idx=0), nn.GRU(8, 6, bidirectional=True, batch_first=True)
            self.head = nn.Linear(12, 5)

        def forward(self, ids):
            return self.head(self.gru(self.emb(ids))[0]).permute(0, 2, 1)

    ids = padded_ids()
    tags = torch.randint(5, ids.shape).masked_fill(ids == 0, -100)
    return train(Tagger(), nn.CrossEntropyLoss(), ids, tags)


@sound
def square_tags():
    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.emb, self.lstm, self.head = nn.Embedding(9, 8), nn.LSTM(8, 8, batch_first=True), nn.Linear(8, 6)

        def forward(self, ids):
            return self.head(self.lstm(self.emb(ids))[0]).transpose(1, 2)

    return train(Tagger(), nn.CrossEntropyLoss(), torch.randint(9, (5, 6)), torch.randint(6, (5, 6)))


@sound
def lstm_with_a_kept_hidden_state():
    class Stateful(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.fc, self.hidden = nn.LSTM(5, 12, batch_first=True), nn.Linear(12, 4), None

        def forward(self, x):
            out, hidden = self.lstm(x, self.hidden)
            self.hidden = tuple(h.detach() for h in hidden)
            return self.fc(out[:, -1])

    return train(Stateful(), nn.CrossEntropyLoss(), torch.randn(16, 7, 5), torch.randint(4, (16,)))


@sound
def lstm_with_time_first_and_transposed_inputs():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.fc = nn.GRU(5, 12), nn.Linear(12, 4)

        def forward(self, x):
            return self.fc(self.rnn(x.transpose(0, 1))[0][-1])

    return train(Net(), nn.CrossEntropyLoss(), torch.randn(16, 7, 5), torch.randint(4, (16,)))


@sound
def packed_sequences():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.emb, self.rnn, self.fc = nn.Embedding(30, 8), nn.LSTM(8, 12, batch_first=True), nn.Linear(12, 3)

        def forward(self, ids):
            lengths = (ids != 0).sum(1).cpu()
            packed = nn.utils.rnn.pack_padded_sequence(self.emb(ids), lengths, batch_first=True, enforce_sorted=False)
            return self.fc(self.rnn(packed)[1][0][-1])

    return train(Net(), nn.CrossEntropyLoss(), padded_ids(), torch.randint(3, (8,)))


@sound
def ctc():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.fc = nn.GRU(6, 8, batch_first=True), nn.Linear(8, 5)

        def forward(self, x):
            return self.fc(self.rnn(x)[0]).log_softmax(2).transpose(0, 1)

    model, criterion = Net(), nn.CTCLoss()
    optimizer = torch.optim.Adam(model.parameters())
    with watch(model, criterion) as w:
        for _ in range(12):
            optimizer.zero_grad()
            lengths = torch.full((4,), 10), torch.full((4,), 3)
            criterion(model(torch.randn(4, 10, 6)), torch.randint(1, 5, (4, 3)), *lengths).backward()
            optimizer.step()
    return w.findings


@sound
def autoregressive_sequence_to_sequence():
    class Seq2Seq(nn.Module):
        def __init__(self):
            super().__init__()
            self.emb = nn.Embedding(12, 8)
            self.encoder, self.decoder = nn.GRU(8, 12, batch_first=True), nn.GRU(8, 12, batch_first=True)
            self.out = nn.Linear(12, 12)

        def forward(self, source, target):
            _, hidden = self.encoder(self.emb(source))
            return self.out(self.decoder(self.emb(target), hidden)[0])

    model, criterion = Seq2Seq(), nn.CrossEntropyLoss(ignore_index=0)
    optimizer = torch.optim.Adam(model.parameters())
    source, target = torch.randint(1, 12, (6, 7)), torch.randint(1, 12, (6, 6))
    target[:, -2:] = 0
    with watch(model, criterion) as w:
        for _ in range(10):
            logits = model(source, target[:, :-1])
            optimizer.zero_grad()
            criterion(logits.flatten(0, 1), target[:, 1:].flatten()).backward()
            optimizer.step()
    return w.findings
