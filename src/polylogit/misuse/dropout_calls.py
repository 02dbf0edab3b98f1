"""Calls of functional dropout that stay active in evaluation mode because nobody has said otherwise.

See also: `layer_checks.py`, for dropout layers.
"""

import ast
import linecache
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any

import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch.overrides import TorchFunctionMode

from polylogit.misuse.findings import MisuseFinding
from polylogit.misuse.probes import Probe
from polylogit.misuse.warning_place import users_frame

__all__ = ["dropout_always_on"]

_DROPOUTS = {F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout}


def dropout_always_on(probe: Probe) -> Iterator[MisuseFinding]:
    """The finding for a functional dropout that is called without its argument `training`, whose default is True.

    A call that passes `training`, as Monte Carlo dropout does, is meant so.

    Args:
        probe: The model and the inputs.
    """
    with _DropoutCalls() as calls:
        probe.on_inputs(probe.inputs)
    for place in calls.places:
        yield MisuseFinding(
            "dropout-always-on",
            f"in evaluation mode, {place} still drops",
            "F.dropout does not know the mode of the module: its argument training is True by default",
            "predictions are random, and worse than those of the trained model",
            "Pass training=self.training, or use nn.Dropout.",
            0.95,
        )
        return


class _DropoutCalls(TorchFunctionMode):
    """The places of active calls of functional dropout that do not pass `training`."""

    def __init__(self) -> None:
        super().__init__()
        self.places: list[str] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Any = None,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401 - what torch's function gives
        kwargs = kwargs or {}
        if func in _DROPOUTS and kwargs.get("training") and kwargs.get("p", 0.5) > 0:
            frame = users_frame()
            if frame is not None and _says_nothing_of_training(frame):
                self.places.append(f"{Path(frame.f_code.co_filename).name}, line {frame.f_lineno}")
        return func(*args, **kwargs)


def _says_nothing_of_training(frame: FrameType) -> bool:
    """Whether the source of the call that this frame is making has no argument `training`."""
    position = next(islice(frame.f_code.co_positions(), frame.f_lasti // 2, None), None)
    if position is None or None in position:
        return False
    first, last, start, end = position
    lines = linecache.getlines(frame.f_code.co_filename, frame.f_globals)[(first or 1) - 1 : last]
    if not lines:
        return False
    text = [line.encode() for line in lines]
    text[-1] = text[-1][:end]
    text[0] = text[0][start:]
    try:
        call = ast.parse(b"".join(text).decode(), mode="eval").body
    except SyntaxError:
        return False
    if not isinstance(call, ast.Call) or any(keyword.arg in ("training", None) for keyword in call.keywords):
        return False
    return len(call.args) < 3 and not any(isinstance(argument, ast.Starred) for argument in call.args)
