"""Where in a model's output the scores come from that a loss gets: as they are, one of several, or in another layout.

See also: `watching.py`.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["selector", "tensors_of"]


def tensors_of(scores: Any) -> list[Tensor]:  # noqa: ANN401 - whatever the loss takes
    """The tensors in what a model gives or takes: one, or those of a mapping, tuple or list.

    Args:
        scores: A tensor, mapping, tuple or list.

    Example:
        >>> len(tensors_of({"kind": torch.zeros(2), "name": "of no tensor"}))
        1
    """
    return [value for _, value in _items(scores) if isinstance(value, Tensor)]


def _items(output: Any) -> list[tuple[Any, Any]]:  # noqa: ANN401 - what the model gives
    if isinstance(output, Tensor):
        return [(None, output)]
    if isinstance(output, Mapping):
        return list(output.items())
    return list(enumerate(output)) if isinstance(output, tuple | list) else []


def selector(output: Any, scores: Any) -> Callable[[Any], Any] | None:  # noqa: ANN401
    """From the model's output to the scores, where the loss gets it or one of its tensors as it is; None elsewhere.

    Args:
        output: What the model gave.
        scores: What the loss gets.
    """
    if output is scores and not isinstance(output, Tensor):
        return lambda given: given
    for key, value in _items(output):
        for change in _CHANGES:
            if isinstance(value, Tensor) and isinstance(scores, Tensor) and _same(value, scores, change):
                return functools.partial(_item, key=key, change=change)
    return None


def _item(output: Any, key: Any, change: Callable[[Tensor], Tensor]) -> Tensor:  # noqa: ANN401 - what the model gives
    return change(output if key is None else output[key])


_CHANGES: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda output: output,
    lambda output: output.flatten(0, -2),
    lambda output: output.movedim(-1, 1),
    lambda output: output.squeeze(-1),
    lambda output: output.movedim(1, -1).flatten(0, -2),
)
"""What loops do to a model's output before the loss that changes its layout only."""


def _same(output: Tensor, scores: Tensor, change: Callable[[Tensor], Tensor]) -> bool:
    """Whether the loss gets the model's output, in another layout."""
    if output.numel() != scores.numel() or output.dim() < 2:
        return output is scores
    changed = change(output.detach())
    if changed.shape != scores.shape:
        return False
    return changed.data_ptr() == scores.data_ptr() or torch.equal(changed, scores.detach().to(changed.dtype))
