"""The calls of a loss function or module: scores, targets and further arguments, in any call form.

See also: `watching.py`.
"""

import functools
import inspect
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812, F401 - PyTorch's own name for it, in the example
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from polylogit.misuse.contracts import FUNCTIONS, unwrap

__all__ = ["FunctionCalls", "InnerCall", "bound_call", "inner_calls"]

_FRAMES = 16  # between a call of torch inside a loss and the loss itself


def bound_call(
    loss: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> tuple[Any, Any, Callable[[Any, Any], Any]] | None:
    """Scores, targets (None where there are none), and the loss of the two with all further arguments bound.

    Args:
        loss: The loss as it is called.
        arguments: Positional arguments.
        keywords: Keyword arguments.

    Returns:
        The three; None for a call without arguments.

    Example:
        >>> scores, targets = torch.zeros(2, 3), torch.tensor([0, 1])
        >>> call = bound_call(nn.CrossEntropyLoss(), (), {"input": scores, "target": targets})
        >>> call is not None and call[0] is scores
        True
    """
    try:
        parameters = inspect.signature(loss.forward if isinstance(loss, nn.Module) else loss).parameters
        kinds = {name: parameter.kind for name, parameter in parameters.items()}
        names = [name for name, kind in kinds.items() if kind is not inspect.Parameter.VAR_KEYWORD]
        if inspect.Parameter.VAR_POSITIONAL in kinds.values():
            names = []
    except (TypeError, ValueError):
        names = []
    given: dict[Any, Any] = (
        dict(zip(names, arguments, strict=False)) | keywords if names else dict(enumerate(arguments)) | keywords
    )
    if not given:
        return None
    ordered: list[Any] = [name for name in names if name in given] or list(given)
    if len(ordered) == 1:
        return given[ordered[0]], None, lambda scores, _: loss(scores)
    further = {name: given[name] for name in ordered[2:] if given[name] is not None}
    positional = tuple(value for name, value in further.items() if isinstance(name, int))
    named = {name: value for name, value in further.items() if isinstance(name, str)}
    if positional:
        bound = lambda scores, targets: loss(scores, targets, *positional, **named)  # noqa: E731
    else:
        bound = functools.partial(loss, **named) if named else loss
    return given[ordered[0]], given[ordered[1]], bound


@dataclass(frozen=True, slots=True)
class InnerCall:
    """A call of one of PyTorch's losses inside a loss of the user's own.

    Attributes:
        loss: The function with its options bound.
        scores: What it gets.
        targets: What it gets.
    """

    loss: Callable[[Any, Any], Any]
    scores: Tensor
    targets: Tensor


def inner_calls(loss: Callable[[Any, Any], Any], scores: Any, targets: Any) -> list[InnerCall]:  # noqa: ANN401
    """The calls of PyTorch's losses that a loss makes, in their order.

    Args:
        loss: A loss of the user's own.
        scores: What the model gives.
        targets: What the loss gets.

    Example:
        >>> mine = lambda z, y: 0.5 * F.cross_entropy(z.softmax(1), y)
        >>> [call.scores.sum(1) for call in inner_calls(mine, torch.zeros(2, 3), torch.tensor([0, 1]))]
        [tensor([1., 1.])]
    """
    mode = _InnerCalls()
    try:
        with torch.no_grad(), mode:
            loss(scores, targets)
    except Exception:  # a call that was seen before the loss failed still says what it got
        return mode.seen
    return mode.seen


class _InnerCalls(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[InnerCall] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Any = None,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401 - what torch's function gives
        kwargs = kwargs or {}
        if func in FUNCTIONS:
            call = bound_call(func, args, kwargs)
            if call is not None and isinstance(call[0], Tensor) and isinstance(call[1], Tensor):
                self.seen.append(InnerCall(call[2], call[0].detach(), call[1].detach()))
        return func(*args, **kwargs)


class FunctionCalls(TorchFunctionMode):
    """See the calls of a loss that is a plain Python function, in any call form, without replacing it.

    While the mode is active, each call of torch looks whether the loss is among the functions that called it, and reads
    the arguments from its frame.

    Args:
        loss: A function, possibly in `functools.partial`.
        seen: Called with scores, targets and the loss with its further arguments, once for each call.
    """

    def __init__(self, loss: Callable[..., Any], seen: Callable[[Any, Any, Callable[..., Any]], None]) -> None:
        super().__init__()
        function = unwrap(loss)
        self.code: CodeType | None = getattr(inspect.unwrap(function), "__code__", None)
        self._loss = loss
        self._function = function
        self._seen = seen
        self._last: FrameType | None = None
        self._busy = False

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Any = None,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401 - what torch's function gives
        kwargs = kwargs or {}
        if not self._busy and not torch.compiler.is_compiling():
            self._busy = True
            try:
                self._look(func, args, kwargs)
            finally:
                self._busy = False
        return func(*args, **kwargs)

    def _look(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if func is self._function:
            call = bound_call(func, args, kwargs)
            if call is not None:
                self._seen(*call)
            return
        frame: FrameType | None = sys._getframe(2)
        for _ in range(_FRAMES):
            if frame is None:
                return
            if frame.f_code is self.code and frame is not self._last:
                self._last = frame
                code, values = frame.f_code, frame.f_locals
                names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
                call = bound_call(self._function, (), {name: values[name] for name in names if name in values})
                if call is not None:
                    self._seen(*call)
                return
            frame = frame.f_back
