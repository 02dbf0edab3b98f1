"""Findings about sequences: scores that see their labels, labels that are not shifted, and padding in the loss.

See also: `diagnosis.py`, which calls the checks.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from polylogit.misuse.findings import MisuseFinding
from polylogit.misuse.probes import Probe

__all__ = ["next_token_findings", "padding_in_loss"]


def next_token_findings(probe: Probe, scores: Tensor, targets: Tensor) -> Iterator[MisuseFinding]:
    """Findings for models of the next token: scores that depend on it, or labels that are the token itself.

    Args:
        probe: The model, and tokens (N, T) as its inputs.
        scores: The scores (N, K, T) or (N T, K).
        targets: Class indices (N, T) or (N T,).
    """
    tokens = probe.inputs
    if not isinstance(tokens, Tensor) or tokens.dim() != 2 or tokens.dtype != torch.int64 or tokens.shape[1] < 4:
        return
    if targets.numel() != tokens.numel() or targets.is_floating_point() or scores.dim() not in (2, 3):
        return
    labels, place = targets.reshape(tokens.shape), tokens.shape[1] // 2
    next_token = _mostly_equal(labels[:, :-1], tokens[:, 1:])
    same_token = not next_token and _mostly_equal(labels, tokens)
    if not next_token and not same_token:
        return
    other = tokens.clone()
    other[:, place] = tokens[:, place - 1]
    rows = (other[:, place] != tokens[:, place]).nonzero()[:, 0]
    if not len(rows):
        return
    before, after = (_by_position(probe.on_inputs(given), tokens) for given in (tokens, other))
    changed = (before != after)[rows].any(-1).any(0)
    earlier = bool(changed[:place].any())
    if next_token and earlier:
        yield MisuseFinding(
            "future-leak",
            f"the labels are the next tokens, and changing token {place} changes the scores of the positions before it",
            "a model of the next token must not see it: a causal mask is missing, or a recurrent layer runs both ways",
            "the loss falls to 0 by copying the label; nothing can be generated",
            "Pass a causal mask (is_causal=True), or make the recurrent layer run one way.",
            0.95,
        )
    elif same_token and not earlier and bool(changed[place]):
        yield MisuseFinding(
            "labels-not-shifted",
            "each label is the token at its own position, and scores depend on tokens up to that position",
            "the model of the next token is asked for the token that it has just been given",
            "the loss falls to 0 by copying; nothing can be generated",
            "Shift the labels: inputs tokens[:, :-1], labels tokens[:, 1:].",
            0.9,
        )


def _mostly_equal(labels: Tensor, tokens: Tensor) -> bool:
    return float((labels == tokens).float().mean()) > 0.95 and not bool((tokens == tokens[:, :1]).all())


def _by_position(scores: Tensor, tokens: Tensor) -> Tensor:
    """Scores as (N, T, K)."""
    return scores.movedim(1, -1) if scores.dim() == 3 else scores.reshape(*tokens.shape, -1)


def padding_in_loss(inputs: Any, targets: Tensor, ignore_index: int) -> Iterator[MisuseFinding]:  # noqa: ANN401
    """The finding for sequences padded at their ends whose padding has labels that the loss counts.

    Args:
        inputs: The model's arguments; a tensor of integers as long as the targets is searched for padding.
        targets: Class indices (N, T).
        ignore_index: Class index that the loss leaves out.
    """
    given = inputs.values() if isinstance(inputs, Mapping) else inputs if isinstance(inputs, tuple) else (inputs,)
    tokens = next((t for t in given if isinstance(t, Tensor) and t.dim() == 2 and t.dtype == torch.int64), None)
    if tokens is None or targets.is_floating_point() or targets.numel() != tokens.numel():
        return
    labels = targets.reshape(tokens.shape)
    padding = _padding(tokens)
    if padding is None:
        return
    of_padding = labels[padding]
    label = int(of_padding[0])
    if label == ignore_index or bool((of_padding != label).any()):
        return
    yield MisuseFinding(
        "padding-in-loss",
        f"{int(padding.sum())} of {padding.numel()} positions are padding (token {int(tokens[padding][0])}), all with "
        f"the label {label}, which the loss counts",
        "padding is no data; its label is known in advance",
        f"{float(padding.float().mean()):.0%} of the loss is about padding, and the accuracy is too high",
        f"Give padding the label {ignore_index}, or pass ignore_index={label} if no real position has that label.",
        0.75,
    )


def _padding(tokens: Tensor) -> Tensor | None:
    """Which positions hold a token that fills the ends of several rows and occurs nowhere else; None if none does."""
    token = tokens[:, -1].mode().values
    is_token = tokens == token
    lengths = is_token.flip(1).long().cumprod(1).sum(1)
    at_end = torch.arange(tokens.shape[1], device=tokens.device) >= (tokens.shape[1] - lengths)[:, None]
    several = int((lengths >= 2).sum()) >= 2 and int(lengths.max()) > int(lengths.min())
    return is_token if several and bool((is_token == at_end).all()) and not bool(is_token.all(1).any()) else None
