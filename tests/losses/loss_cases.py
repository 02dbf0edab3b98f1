"""The losses, targets and options that tests run through all contexts, and the same losses written out in float64."""

import torch
import torch.nn.functional as F  # noqa: N812

from polylogit import losses

KINDS = {
    "logits": (losses.cross_entropy_with_logits, lambda z: z),
    "log_probabilities": (losses.cross_entropy_with_log_probabilities, lambda z: z.float().log_softmax(1)),
    "probabilities": (losses.cross_entropy_with_probabilities, lambda z: z.float().softmax(1)),
    "focal": (losses.focal_cross_entropy_with_logits, lambda z: z),
    "binary_logits": (losses.binary_cross_entropy_with_logits, lambda z: z),
    "binary_probabilities": (losses.binary_cross_entropy_with_probabilities, lambda z: z.float().sigmoid()),
}
FORMS = ("index", "ignored", "int32", "one-hot", "soft")
WEIGHTS = ("none", "class", "sample", "smoothing", "all")


def draw(rows, classes, *, seed=0):
    """Logits (rows, classes) in float32."""
    return 3 * torch.randn(rows, classes, generator=torch.Generator().manual_seed(seed))


def targets_of(kind, form, logits):
    """Targets of a form; binary losses have a target for each score."""
    rows, classes = logits.shape
    index = torch.randint(classes, (rows,), generator=torch.Generator().manual_seed(1))
    if kind.startswith("binary"):
        return F.one_hot(index, classes) if form != "soft" else logits.detach().double().flip(1).sigmoid().float()
    if form == "ignored":
        return index.index_fill(0, torch.arange(0, rows, 3), -100)
    if form == "int32":
        return index.int()
    if form == "one-hot":
        return F.one_hot(index, classes)
    return logits.detach().flip(1).softmax(1) if form == "soft" else index


def options_of(kind, weights, logits):
    """Options by name; the first and the last row have sample weight 0."""
    rows, classes = logits.shape
    chosen = {}
    if weights in ("class", "all"):
        chosen["pos_weight" if kind.startswith("binary") else "class_weight"] = torch.linspace(0.5, 2, classes)
    if weights in ("sample", "all"):
        chosen["sample_weight"] = torch.linspace(0, 3, rows).index_fill(0, torch.tensor([rows - 1]), 0.0)
    if weights in ("smoothing", "all") and kind != "focal":
        chosen["label_smoothing"] = 0.1
    return chosen


def reference(kind, scores, targets, reduction="mean", **options):
    """The loss by its formula, operation by operation in the dtype of the scores."""
    dtype = scores.dtype
    smoothing = options.get("label_smoothing", 0.0)
    if kind.startswith("binary"):
        rows = (1 - smoothing) * targets.to(dtype) + smoothing / 2
        happened, not_happened = scores.log(), (1 - scores).log()
        if kind == "binary_logits":
            happened, not_happened = F.logsigmoid(scores), F.logsigmoid(-scores)
        pos_weight = options.get("pos_weight", torch.ones(())).to(dtype)
        per_row = -(pos_weight * rows * happened + (1 - rows) * not_happened)
        weight = torch.ones_like(per_row)
        if "sample_weight" in options:
            weight = options["sample_weight"].to(dtype).unsqueeze(1).expand_as(per_row)
        return _reduce(weight * per_row, weight, reduction)
    classes = scores.shape[1]
    kept = torch.ones(len(scores), dtype=torch.bool)
    if targets.shape == scores.shape:
        rows = targets.to(dtype)
    else:
        kept = targets != -100
        rows = F.one_hot(targets.long().clamp_min(0), classes).to(dtype) * kept.unsqueeze(1)
    class_weight = options.get("class_weight", torch.ones(classes)).to(dtype)
    smoothed = ((1 - smoothing) * rows + smoothing / classes) * kept.unsqueeze(1)
    logs = {"log_probabilities": lambda: scores, "probabilities": scores.log}.get(kind, lambda: scores.log_softmax(1))()
    if kind == "focal":
        logs = (1 - logs.exp()).square() * logs
    weight = (rows * class_weight).sum(1) if "class_weight" in options else kept.to(dtype)
    per_row = -(smoothed * class_weight * logs).sum(1)
    if "sample_weight" in options:
        weight = weight * options["sample_weight"].to(dtype)
        per_row = per_row * options["sample_weight"].to(dtype)
    return _reduce(per_row, weight, reduction)


def _reduce(losses, weight, reduction):
    if reduction == "none":
        return losses
    return losses.sum() if reduction == "sum" else losses.sum() / weight.sum()
