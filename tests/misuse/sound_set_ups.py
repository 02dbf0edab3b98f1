"""Sound set-ups as people write them: models, losses and loops that are unusual, and right."""

import copy

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from polylogit.misuse import diagnose, watch

from .wrong_set_ups import TinyTransformer, blobs, classifier, pictures, train

SOUND = {}


def sound(set_up):
    """Register a set-up."""
    SOUND[set_up.__name__] = set_up
    return set_up


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


@sound
def plain_mlp():
    return train(classifier(), nn.CrossEntropyLoss(), *blobs(), steps=30)


@sound
def transformer_with_a_padding_mask():
    return train(TransformerWithPadding(), nn.CrossEntropyLoss(), padded_ids(), torch.randint(3, (8,)))


@sound
def transformer_without_dropout():
    return train(TinyTransformer(), nn.CrossEntropyLoss(), torch.randint(12, (10, 6)), torch.randint(3, (10,)))


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
def exponential_moving_average():
    model, criterion, (x, y) = classifier(), nn.CrossEntropyLoss(), blobs()
    ema = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.99))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    with watch(model, criterion) as w:
        for _ in range(20):
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()
            ema.update_parameters(model)
            ema.eval()
            with torch.no_grad():
                criterion(ema(x), y)
    return w.findings


class Lora(nn.Module):
    def __init__(self, layer, rank=2):
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.a = nn.Parameter(torch.randn(rank, layer.in_features) * 0.1)
        self.b = nn.Parameter(torch.zeros(layer.out_features, rank))

    def forward(self, x):
        return self.layer(x) + x @ self.a.T @ self.b.T


@sound
def lora():
    net = classifier()
    net[0], net[2] = Lora(net[0]), Lora(net[2])
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=1e-2)
    return train(net, nn.CrossEntropyLoss(), *blobs(), optimizer=optimizer, steps=25)


@sound
def prompt_tuning():
    class Prompted(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = TinyTransformer().requires_grad_(False)
            self.prompt = nn.Parameter(torch.randn(4, 16) * 0.1)

        def forward(self, tokens):
            words = self.body.embedding(tokens)
            h = torch.cat([self.prompt.expand(len(tokens), -1, -1), words], 1)
            return self.body.head(self.body.encoder(h).mean(1))

    model = Prompted()
    optimizer = torch.optim.Adam([model.prompt], lr=0.01)
    return train(model, nn.CrossEntropyLoss(), torch.randint(12, (10, 6)), torch.randint(3, (10,)), optimizer=optimizer)


@sound
def frozen_backbone_with_a_new_head():
    body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    body.requires_grad_(False)
    model = nn.Sequential(body, nn.Linear(8, 4))
    body.eval()
    optimizer = torch.optim.Adam(model[1].parameters(), lr=1e-2)
    return train(model, nn.CrossEntropyLoss(), *pictures(), optimizer=optimizer)


@sound
def backbone_under_no_grad():
    class Probe(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.fc = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16)), nn.Linear(16, 4)

        def forward(self, x):
            with torch.no_grad():
                h = self.encoder(x)
            return self.fc(h)

    model = Probe()
    return train(model, nn.CrossEntropyLoss(), *blobs(), optimizer=torch.optim.SGD(model.fc.parameters(), lr=0.1))


@sound
def gradual_unfreezing():
    model, criterion, (x, y) = classifier(), nn.CrossEntropyLoss(), blobs()
    model[0].requires_grad_(False)
    optimizer = torch.optim.Adam(model[2].parameters(), lr=1e-2)
    with watch(model, criterion) as w:
        for step in range(30):
            if step == 15:
                model[0].requires_grad_(True)
                optimizer.add_param_group({"params": model[0].parameters(), "lr": 1e-3})
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()
    return w.findings


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
def autocast_in_bfloat16():
    model, criterion, (x, y) = classifier(), nn.CrossEntropyLoss(), blobs()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    with watch(model, criterion) as w:
        for _ in range(12):
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16):
                loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
    return w.findings


@sound
def gradient_scaler_that_skips():
    model, criterion, (x, y) = classifier(), nn.CrossEntropyLoss(), blobs()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**60, growth_interval=1000)
    with watch(model, criterion) as w:
        for _ in range(60):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.float16):
                loss = criterion(model(x), y)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
    return w.findings


@sound
def compiled_model():
    model = torch.compile(classifier(), backend="eager")
    return train(model, nn.CrossEntropyLoss(), *blobs())


@sound
def compiled_step():
    model, criterion, (x, y) = classifier(), nn.CrossEntropyLoss(), blobs()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    @torch.compile(backend="eager")
    def forward(a):
        return model(a)

    with watch(model, criterion) as w:
        for _ in range(8):
            optimizer.zero_grad()
            criterion(forward(x), y).backward()
            optimizer.step()
    return w.findings


@sound
def data_parallel_wrapper():
    class Wrapper(nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

        def forward(self, x):
            return torch.cat([self.module(part) for part in x.chunk(2)])

    return train(Wrapper(classifier()), nn.CrossEntropyLoss(), *blobs())


@sound
def functional_call_with_meta_gradients():
    model, criterion, (x, y) = classifier(), nn.CrossEntropyLoss(), blobs()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with watch(model, criterion) as w:
        for _ in range(12):
            optimizer.zero_grad()
            fast = dict(model.named_parameters())
            inner = criterion(torch.func.functional_call(model, fast, (x[:32],)), y[:32])
            slopes = torch.autograd.grad(inner, list(fast.values()), create_graph=True)
            fast = {name: p - 0.1 * g for (name, p), g in zip(fast.items(), slopes, strict=True)}
            criterion(torch.func.functional_call(model, fast, (x[32:],)), y[32:]).backward()
            optimizer.step()
    return w.findings


@sound
def curriculum_by_difficulty():
    model, criterion, (x, y) = classifier(), nn.CrossEntropyLoss(), blobs(n=128)
    order = x.norm(dim=1).argsort()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with watch(model, criterion) as w:
        for step in range(24):
            rows = order[: 16 + 4 * step][torch.randperm(16 + 4 * step)[:16]]
            optimizer.zero_grad()
            criterion(model(x[rows]), y[rows]).backward()
            optimizer.step()
    return w.findings


@sound
def class_incremental_learning():
    model, criterion, (x, y) = classifier(k=10), nn.CrossEntropyLoss(), blobs(n=200, k=10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with watch(model, criterion) as w:
        for task in range(5):
            rows = ((y == 2 * task) | (y == 2 * task + 1)).nonzero()[:, 0]
            for _ in range(6):
                some = rows[torch.randperm(len(rows))[:16]]
                optimizer.zero_grad()
                criterion(model(x[some]), y[some]).backward()
                optimizer.step()
    return w.findings


@sound
def gradient_accumulation():
    model, criterion, (x, y) = classifier(), nn.CrossEntropyLoss(), blobs(n=128)
    loader = DataLoader(TensorDataset(x, y), batch_size=4, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    with watch(model, criterion) as w:
        for _ in range(5):
            for i, (a, b) in enumerate(loader):
                (criterion(model(a), b) / 32).backward()
                if (i + 1) % 32 == 0:
                    optimizer.step()
                    optimizer.zero_grad()
    return w.findings


@sound
def lbfgs():
    model, criterion, (x, y) = nn.Linear(8, 4), nn.CrossEntropyLoss(), blobs()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=40, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        return loss

    with watch(model, criterion) as w:
        for _ in range(3):
            optimizer.step(closure)
    return w.findings


@sound
def sharpness_aware_minimization():
    model, criterion, (x, y) = classifier(), nn.CrossEntropyLoss(), blobs()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with watch(model, criterion) as w:
        for _ in range(15):
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            with torch.no_grad():
                moves = [0.05 * p.grad / (p.grad.norm() + 1e-8) for p in model.parameters()]
                for p, move in zip(model.parameters(), moves, strict=True):
                    p.add_(move)
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            with torch.no_grad():
                for p, move in zip(model.parameters(), moves, strict=True):
                    p.sub_(move)
            optimizer.step()
    return w.findings


@sound
def two_optimizers():
    model, criterion, (x, y) = classifier(), nn.CrossEntropyLoss(), blobs()
    first = torch.optim.SGD(model[0].parameters(), lr=0.01)
    second = torch.optim.Adam(model[2].parameters(), lr=0.001)
    with watch(model, criterion) as w:
        for _ in range(15):
            first.zero_grad()
            second.zero_grad()
            criterion(model(x), y).backward()
            first.step()
            second.step()
    return w.findings


@sound
def warm_up_and_cosine():
    model, criterion, (x, y) = classifier(), nn.CrossEntropyLoss(), blobs()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / 20))
    with watch(model, criterion) as w:
        for _ in range(40):
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()
            schedule.step()
    return w.findings


@sound
def validation_in_evaluation_mode():
    model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 4))
    criterion, (x, y) = nn.CrossEntropyLoss(), blobs()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, criterion) as w:
        for _ in range(6):
            model.train()
            for i in range(0, 48, 16):
                optimizer.zero_grad()
                criterion(model(x[i : i + 16]), y[i : i + 16]).backward()
                optimizer.step()
            model.eval()
            with torch.inference_mode():
                criterion(model(x[48:]), y[48:])
    return w.findings


@sound
def monte_carlo_dropout():
    class Bayesian(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(8, 32), nn.Linear(32, 4)

        def forward(self, x):
            return self.b(F.dropout(F.relu(self.a(x)), p=0.2, training=True))

    return train(Bayesian(), nn.CrossEntropyLoss(), *blobs())


@sound
def stochastic_depth_and_layer_scale():
    class Block(nn.Module):
        def __init__(self, d):
            super().__init__()
            self.norm, self.fc, self.scale = nn.LayerNorm(d), nn.Linear(d, d), nn.Parameter(torch.zeros(d))

        def forward(self, x):
            keep = torch.rand(len(x), 1) > 0.2 if self.training else torch.ones(len(x), 1)
            return x + keep * self.scale * F.gelu(self.fc(self.norm(x)))

    model = nn.Sequential(nn.Linear(8, 16), Block(16), Block(16), nn.LayerNorm(16), nn.Linear(16, 4))
    return train(model, nn.CrossEntropyLoss(), *blobs(), steps=25)


@sound
def mixture_of_experts():
    class Experts(nn.Module):
        def __init__(self):
            super().__init__()
            self.gate, self.experts = nn.Linear(8, 3), nn.ModuleList(classifier() for _ in range(3))

        def forward(self, x):
            choice = self.gate(x).argmax(1)
            out = x.new_zeros(len(x), 4)
            for i, expert in enumerate(self.experts):
                rows = (choice == i).nonzero()[:, 0]
                if len(rows):
                    out = out.index_add(0, rows, expert(x[rows]))
            return out

    return train(Experts(), nn.CrossEntropyLoss(), *blobs())


@sound
def vector_quantisation():
    class Vq(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.codebook, self.decoder = nn.Linear(8, 6), nn.Embedding(10, 6), nn.Linear(6, 4)
            self.commitment = 0.0

        def forward(self, x):
            z = self.encoder(x)
            q = self.codebook(torch.cdist(z, self.codebook.weight).argmin(1))
            self.commitment = F.mse_loss(q, z.detach()) + 0.25 * F.mse_loss(z, q.detach())
            return self.decoder(z + (q - z).detach())

    model, criterion, (x, y) = Vq(), nn.CrossEntropyLoss(), blobs()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with watch(model, criterion) as w:
        for _ in range(12):
            loss = criterion(model(x), y) + model.commitment
            optimizer.zero_grad()
            loss.backward()
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
def policy_gradient():
    def reinforce(logits, actions_and_returns):
        actions, returns = actions_and_returns
        return -(torch.distributions.Categorical(logits=logits).log_prob(actions) * returns).mean()

    x, y = blobs()
    return train(classifier(), reinforce, x, (y, torch.randn(64)))


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
def graph_convolution():
    class Gcn(nn.Module):
        def __init__(self, adjacency):
            super().__init__()
            self.register_buffer("a", adjacency / adjacency.sum(1, keepdim=True))
            self.w1, self.w2 = nn.Linear(8, 16), nn.Linear(16, 4)

        def forward(self, x):
            return self.a @ self.w2(F.relu(self.a @ self.w1(x)))

    x, y = blobs()
    adjacency = ((torch.rand(64, 64) > 0.9).float() + torch.eye(64)).clamp(max=1)
    return train(Gcn(adjacency), nn.CrossEntropyLoss(), x, y)


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


@sound
def standardised_counts_and_embeddings():
    class Tabular(nn.Module):
        def __init__(self):
            super().__init__()
            self.emb, self.norm = nn.Embedding(7, 4), nn.BatchNorm1d(3)
            self.head = nn.Sequential(nn.Linear(7, 16), nn.ReLU(), nn.Linear(16, 3))

        def forward(self, numbers, codes):
            return self.head(torch.cat([self.norm(numbers), self.emb(codes)], 1))

    numbers = torch.stack([20 + 40 * torch.rand(64), 60000 * torch.rand(64), torch.rand(64)], 1)
    y = torch.randint(3, (64,))
    return diagnose(Tabular(), nn.CrossEntropyLoss(), (numbers, torch.randint(7, (64,))), y)


@sound
def bytes_normalised_inside_the_model():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Flatten(), nn.Linear(192, 32), nn.ReLU(), nn.Linear(32, 4))

        def forward(self, x):
            return self.net(x / 255 - 0.5)

    return train(Net(), nn.CrossEntropyLoss(), (torch.rand(32, 3, 8, 8) * 255).round(), torch.randint(4, (32,)))


@sound
def imbalanced_classes():
    y = (torch.rand(128) > 0.95).long() + (torch.rand(128) > 0.9).long()
    x = torch.randn(128, 8) + y[:, None]
    return train(classifier(k=3), nn.CrossEntropyLoss(), x, y, steps=120)


@sound
def noisy_labels():
    x, _ = blobs()
    return train(classifier(), nn.CrossEntropyLoss(), x, torch.randint(4, (64,)), steps=150)


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
def fine_tuning_of_a_fitted_model():
    model, (x, y) = classifier(), blobs()
    train(model, nn.CrossEntropyLoss(), x, y, optimizer=torch.optim.Adam(model.parameters(), lr=0.05), steps=100)
    return train(model, nn.CrossEntropyLoss(), x, y, optimizer=torch.optim.SGD(model.parameters(), lr=1e-4), steps=30)


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
