"""The kind of score that a loss takes: by name for losses of PyTorch and polylogit, else by its values on probes.

A loss with a softmax inside does not change with a shift of a row; a log-likelihood is linear in log-probabilities.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor, nn

from polylogit import losses

__all__ = [
    "FUNCTIONS",
    "Kind",
    "is_known",
    "kind_of",
    "log_is_missing",
    "option_of",
    "rises_with_right_scores",
    "softmax_inside_twice",
    "takes_integer_rows",
    "unwrap",
]

Kind = Literal["logits", "log_probabilities", "probabilities", "binary_logits", "binary_probabilities", "divergence"]

_MODULES: dict[type[nn.Module], Kind] = {
    nn.CrossEntropyLoss: "logits",
    nn.NLLLoss: "log_probabilities",
    nn.BCEWithLogitsLoss: "binary_logits",
    nn.BCELoss: "binary_probabilities",
    nn.KLDivLoss: "divergence",
    losses.CrossEntropyWithLogits: "logits",
    losses.FocalCrossEntropyWithLogits: "logits",
    losses.CrossEntropyWithLogProbabilities: "log_probabilities",
    losses.CrossEntropyWithProbabilities: "probabilities",
    losses.BinaryCrossEntropyWithLogits: "binary_logits",
    losses.BinaryCrossEntropyWithProbabilities: "binary_probabilities",
}
FUNCTIONS: dict[Callable[..., Any], Kind] = {
    F.cross_entropy: "logits",
    F.nll_loss: "log_probabilities",
    F.binary_cross_entropy_with_logits: "binary_logits",
    F.binary_cross_entropy: "binary_probabilities",
    F.kl_div: "divergence",
    losses.cross_entropy_with_logits: "logits",
    losses.focal_cross_entropy_with_logits: "logits",
    losses.cross_entropy_with_log_probabilities: "log_probabilities",
    losses.cross_entropy_with_probabilities: "probabilities",
    losses.binary_cross_entropy_with_logits: "binary_logits",
    losses.binary_cross_entropy_with_probabilities: "binary_probabilities",
}
"""The losses that are known by name, and what each takes."""


def unwrap(loss: Callable[..., Any]) -> Callable[..., Any]:
    """The loss inside `functools.partial` and `torch.compile`."""
    while True:
        if isinstance(loss, functools.partial):
            loss = loss.func
        elif hasattr(loss, "_orig_mod"):
            loss = loss._orig_mod
        elif hasattr(loss, "_torchdynamo_orig_callable"):
            loss = loss._torchdynamo_orig_callable
        else:
            return loss


def option_of(loss: Callable[..., Any], name: str, default: Any) -> Any:  # noqa: ANN401 - whatever the option takes
    """An option of a loss: the attribute of a module, or the keyword bound by `functools.partial`.

    Args:
        loss: A loss module, or a function in `functools.partial`.
        name: Such as "label_smoothing".
        default: Where it is not given.

    Example:
        >>> option_of(functools.partial(F.cross_entropy, ignore_index=0), "ignore_index", -100)
        0
    """
    while isinstance(loss, functools.partial):
        if name in loss.keywords:
            return loss.keywords[name]
        loss = loss.func
    return getattr(unwrap(loss), name, default)


def kind_of(loss: Callable[..., Any], scores: Tensor, targets: Any) -> Kind | None:  # noqa: ANN401 - of a form of the user's own
    """The kind of score that a loss takes; None where neither its name nor its numbers tell.

    Args:
        loss: From scores and targets to a number.
        scores: For their shape and dtype.
        targets: Targets that go with them.

    Example:
        >>> kind_of(nn.NLLLoss(), torch.zeros(2, 3), torch.tensor([0, 1]))
        'log_probabilities'
        >>> mine = lambda z, y: -z.log_softmax(1)[range(len(y)), y].mean()
        >>> kind_of(mine, torch.zeros(2, 3), torch.tensor([0, 1]))
        'logits'
    """
    inner = unwrap(loss)
    for known, kind in _MODULES.items():
        if isinstance(inner, known):
            return kind
    if not isinstance(inner, nn.Module) and inner in FUNCTIONS:
        return FUNCTIONS[inner]
    if not isinstance(targets, Tensor) or not isinstance(scores, Tensor) or not scores.dim():
        return None  # pairs, dictionaries: the calls inside the loss say what it takes
    return _kind_by_numbers(loss, scores, targets)


def is_known(loss: Callable[..., Any]) -> bool:
    """Whether this is a loss of PyTorch or polylogit, known by name and not by what it does to numbers."""
    inner = unwrap(loss)
    return isinstance(inner, tuple(_MODULES)) or (not isinstance(inner, nn.Module) and inner in FUNCTIONS)


def takes_integer_rows(loss: Callable[..., Any]) -> bool:
    """Whether the loss reads integer rows over the classes as one-hot; polylogit's do, PyTorch's refuse them."""
    inner = unwrap(loss)
    owner = type(inner) if isinstance(inner, nn.Module) else inner
    return str(getattr(owner, "__module__", "")).startswith("polylogit.losses")


def _kind_by_numbers(loss: Callable[..., Any], scores: Tensor, targets: Tensor) -> Kind | None:
    generator = torch.Generator().manual_seed(5)
    draw = torch.randn(scores.shape, generator=generator).to(scores.device)
    multiclass = scores.dim() > 1 and scores.shape[1] > 1
    if multiclass:
        shift = torch.randn(scores.shape[0], *[1] * (scores.dim() - 1), generator=generator).to(scores.device)
        base, shifted, other = (_value(loss, sample, targets) for sample in (draw, draw + shift, 2 * draw))
        if _equal(base, shifted) and not _equal(base, other):
            # A margin loss does not see the shift either, but it is 0 from a margin on; a softmax never quite is.
            return "logits" if _value(loss, _right_by_a_margin(draw, targets), targets) > 1e-4 else None
        doubled, negated = _value(loss, 2 * draw, targets), _value(loss, -draw, targets)
        if _equal(2 * base, doubled) and _equal(-base, negated) and not _equal(base, 0.0):
            return "log_probabilities"
        likely = draw.softmax(1)
        base, root = _value(loss, likely, targets), _value(loss, likely.sqrt(), targets)
        if _equal(base / 2, root) and not _equal(base, 0.0):
            return "probabilities"
    if targets.shape == scores.shape:
        wanted = targets.to(draw.dtype)
        if _equal(_value(loss, draw, targets), float(F.binary_cross_entropy_with_logits(draw, wanted))):
            return "binary_logits"
        sigmoid = draw.sigmoid()
        if _equal(_value(loss, sigmoid, targets), float(F.binary_cross_entropy(sigmoid, wanted.clamp(0, 1)))):
            return "binary_probabilities"
    return None


def _right_by_a_margin(scores: Tensor, targets: Tensor) -> Tensor:
    """Scores of 4 at each target's likeliest class and 0 elsewhere."""
    indices = targets.argmax(1) if targets.shape == scores.shape else targets
    if indices.numel() * scores.shape[1] != scores.numel():
        return torch.full_like(scores, math.nan)  # targets of a form of its own: nothing can be laid out for them
    column = indices.long().clamp(0, scores.shape[1] - 1).reshape(scores.shape[0], 1, *scores.shape[2:])
    return torch.zeros_like(scores).scatter_(1, column, 4.0)


def softmax_inside_twice(loss: Callable[..., Any], scores: Tensor, targets: Tensor) -> float | None:
    """The floor of a loss that takes softmax twice by itself: log(1 + (K - 1) / e); None where it does not.

    Cross-entropy of scores that are right by a wide margin goes to 0. With a second softmax the scores that the first
    one gives lie from 0 to 1, and the best loss there is stays at that floor however wide the margin.
    """
    right = _right_by_100(scores, targets)
    if right is None:
        return None
    floor = math.log1p((scores.shape[1] - 1) / math.e)
    at_margin, at_wider = _value(loss, right, targets), _value(loss, 2 * right, targets)
    return floor if _equal(at_margin, floor) and _equal(at_wider, floor) else None


def log_is_missing(loss: Callable[..., Any], scores: Tensor, targets: Tensor) -> bool:
    """Whether a loss that takes softmax by itself forgets the log: it reads -p, -1/K for equal scores, -1 at best."""
    right = _right_by_100(scores, targets)
    if right is None:
        return False
    equal = _value(loss, torch.zeros_like(right), targets)
    return _equal(equal, -1 / right.shape[1]) and _equal(_value(loss, right, targets), -1.0)


def rises_with_right_scores(loss: Callable[..., Any], scores: Tensor, targets: Tensor) -> bool:
    """Whether scores that are right by a wide margin cost more than equal ones, and wrong ones less."""
    right = _right_by_100(scores, targets)
    if right is None:
        return False
    some = right / 100
    at_right, at_equal, at_wrong = (_value(loss, sample, targets) for sample in (some, 0 * some, some.roll(1, 1)))
    return at_wrong < at_equal - 1e-4 and at_equal + 1e-4 < at_right


def _right_by_100(scores: Tensor, targets: Tensor) -> Tensor | None:
    """Scores that are right by a margin of 100, for rows with a class index each; None for any other form."""
    if not isinstance(targets, Tensor) or not isinstance(scores, Tensor):
        return None
    if scores.dim() != 2 or scores.shape[1] < 2 or targets.shape != scores.shape[:1] or targets.is_floating_point():
        return None
    classes = scores.shape[1]
    if len(targets) == 0 or int(targets.min()) < 0 or int(targets.max()) >= classes:
        return None
    return F.one_hot(targets.long(), classes).to(torch.float32) * 100


def _value(loss: Callable[..., Any], scores: Tensor, targets: Tensor) -> float:
    """Mean loss of a probe; NaN where the loss does not take it."""
    try:
        with torch.no_grad():
            return float(torch.as_tensor(loss(scores, targets)).cpu().double().mean())
    except (RuntimeError, ValueError, IndexError, TypeError, AssertionError):
        return math.nan


def _equal(a: float, b: float) -> bool:
    """Equal up to float32's rounding; never for NaN."""
    return math.isclose(a, b, rel_tol=1e-3, abs_tol=1e-4)
