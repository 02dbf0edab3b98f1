"""Restore what calls of a model or a loss change: attributes, buffers and the state of random generators.

See also: `probes.py`, which makes the calls.
"""

import random
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["module_state_kept", "random_state_kept", "seed_all"]

_OF_EVERY_MODULE = frozenset(vars(nn.Module())) | {"_forward_hooks_always_called"}


@contextmanager
def random_state_kept(devices: list[int]) -> Iterator[None]:
    """Restore the random generators of torch, Python and NumPy afterwards.

    Args:
        devices: Indices of the CUDA devices whose generators are restored too.

    Example:
        >>> with random_state_kept([]):
        ...     first = random.random(), torch.rand(1)
        >>> first == (random.random(), torch.rand(1))
        True
    """
    python = random.getstate()
    numpy: Any = sys.modules.get("numpy")
    array_state = None if numpy is None else numpy.random.get_state()
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python)
        if array_state is not None:
            numpy.random.set_state(array_state)


def seed_all(seed: int) -> None:
    """Seed the generators that `random_state_kept` restores.

    Args:
        seed: The seed.
    """
    random.seed(seed)
    torch.manual_seed(seed)
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed)


@contextmanager
def module_state_kept(module: object, *, buffers: bool = True) -> Iterator[None]:
    """Restore the buffers and attributes of a module and all its parts afterwards; nothing for other objects.

    Restored are attributes, the content of lists, dictionaries, sets and queues, the values of plain tensors, and
    random generators, such as a hidden state or a memory that a model keeps from one call to the next.

    Args:
        module: A module, or a function (which has no state that could be seen).
        buffers: Whether buffers are restored; not needed where the call gets copies of them.

    Example:
        >>> layer = nn.BatchNorm1d(2)
        >>> with module_state_kept(layer):
        ...     _ = layer(torch.ones(3, 2))
        >>> layer.running_mean, int(layer.num_batches_tracked)
        (tensor([0., 0.]), 0)
    """
    if not isinstance(module, nn.Module) or isinstance(module, torch.jit.ScriptModule):
        yield
        return
    before = [(part, dict(vars(part))) for part in module.modules()]
    own = {id(value) for part in module.modules() for value in (*part._parameters.values(), *part._buffers.values())}
    saved = [(value, _copy(value)) for value in module.buffers()] if buffers else []
    plain = [
        (value, _copy(value))
        for _, values in before
        for name, value in values.items()
        if name not in _OF_EVERY_MODULE and id(value) not in own
    ]
    try:
        yield
    finally:
        for part, values in before:
            for name in vars(part).keys() - values.keys():
                del vars(part)[name]
            vars(part).update(values)
        with torch.no_grad():
            for value, content in [*saved, *plain]:
                _put_back(value, content)


def _copy(value: object) -> object | None:
    """The content of an attribute that a call may change in place; None for anything else."""
    if isinstance(value, Tensor):
        return None if value.requires_grad else value.detach().clone()
    if isinstance(value, torch.Generator):
        return value.get_state()
    if type(value) in (list, deque, set) or isinstance(value, dict):
        return value.copy()  # type: ignore[attr-defined, no-any-return]  # the types above have it
    return None


def _put_back(value: Any, content: Any) -> None:  # noqa: ANN401 - of any of the types in `_copy`
    if content is None:
        return
    if isinstance(value, Tensor):
        if not torch.equal(value, content):  # a copy counts as a change, which a saved graph would refuse
            value.copy_(content)
    elif isinstance(value, torch.Generator):
        value.set_state(content)
    elif isinstance(value, dict | set):
        value.clear()
        value.update(content)
    else:
        value.clear()
        value.extend(content)
