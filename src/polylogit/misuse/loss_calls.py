"""The calls of a loss function or module: scores, targets and further arguments, in any call form.

See also: `watching.py`.
"""

import functools
import inspect
import sys
from collections.abc import Callable, Iterable
from types import CodeType, FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from polylogit.misuse.contracts import unwrap
from polylogit.system import torch_private

__all__ = ["FunctionCalls", "bound_call"]

_FRAMES = 16  # between a call of torch inside a loss and the loss itself


def bound_call(
    loss: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> tuple[Tensor, Tensor, Callable[..., Any]] | None:
    """Scores, targets, and the loss with all further arguments bound; None where the first two are no tensors.

    Args:
        loss: The loss as it is called.
        arguments: Positional arguments.
        keywords: Keyword arguments.

    Example:
        >>> scores, targets = torch.zeros(2, 3), torch.tensor([0, 1])
        >>> call = bound_call(nn.CrossEntropyLoss(), (), {"input": scores, "target": targets})
        >>> call is not None and call[0] is scores
        True
    """
    try:
        names = list(inspect.signature(loss.forward if isinstance(loss, nn.Module) else loss).parameters)
    except (TypeError, ValueError):
        names = []
    given: dict[Any, Any] = (
        dict(zip(names, arguments, strict=False)) | keywords if names else dict(enumerate(arguments)) | keywords
    )
    values = list(given.items())
    if len(values) < 2:
        return None
    ordered: list[Any] = [name for name in names if name in given] or [name for name, _ in values]
    scores, targets = given[ordered[0]], given[ordered[1]]
    if not isinstance(scores, Tensor) or not isinstance(targets, Tensor):
        return None
    further = {str(name): given[name] for name in ordered[2:] if given[name] is not None}
    return scores, targets, functools.partial(loss, **further) if further else loss


class FunctionCalls(TorchFunctionMode):
    """See the calls of a loss that is a plain Python function, in any call form, without replacing it.

    While the mode is active, each call of torch looks whether the loss is among the functions that called it, and reads
    the arguments from its frame.

    Args:
        loss: A function, possibly in `functools.partial`.
        seen: Called with scores, targets and the loss with its further arguments, once for each call.
    """

    def __init__(self, loss: Callable[..., Any], seen: Callable[[Tensor, Tensor, Callable[..., Any]], None]) -> None:
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
        with torch_private.without_torch_function():
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
