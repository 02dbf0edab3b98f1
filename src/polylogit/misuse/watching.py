"""Watch a training loop of the user's own.

Owns the hooks on a model and its loss for as long as a `with` block lasts. Does not own the checks (`diagnosis`), and
does not train.
"""

import math
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from polylogit.misuse.diagnosis import diagnose, stuck_at_log_k
from polylogit.misuse.findings import Diagnosis, Finding, MisuseWarning

__all__ = ["watch"]


class watch:  # noqa: N801 - used like a function: with watch(model, loss):
    """Watch a loop: diagnose its first batch, then see that the loss leaves log K.

    On the way in, hooks are set on the model (and on the loss, where that is a module); on the way out they are taken
    off. A plain function as loss cannot be hooked: call it as `watching.loss(scores, targets)`. Each finding is warned
    of once, as `MisuseWarning`, at the step that shows it, and kept in `watching.findings`.

    Args:
        model: The model that the loop calls.
        loss: The loss that the loop calls.
        patience: Number of losses within 1% of log K, from the first one on, after which the loss counts as stuck.

    Example:
        >>> model, loss = torch.nn.Linear(4, 3), torch.nn.CrossEntropyLoss()
        >>> inputs, targets = torch.eye(4), torch.tensor([0, 1, 2, 0])
        >>> with watch(model, loss) as watching:
        ...     for step in range(3):
        ...         loss(model(inputs), targets).backward()
        >>> print(watching.findings)
        Nothing wrong was seen.
    """

    def __init__(self, model: nn.Module, loss: Callable[..., Any], *, patience: int = 100) -> None:
        self.model = model
        self._loss = loss
        self._patience = patience
        self._inputs: Any = None
        self._diagnosed = False
        self._diagnosing = False
        self._at_log_k = 0
        self._left = False
        self._found: dict[str, Finding] = {}
        self._handles: list[Any] = []

    @property
    def findings(self) -> Diagnosis:
        """What has been found so far."""
        return Diagnosis(sorted(self._found.values(), key=lambda finding: -finding.confidence))

    def loss(self, scores: Tensor, targets: Tensor) -> Any:  # noqa: ANN401 - what the loss gives
        """Call the loss and watch: for losses that are plain functions."""
        value = self._loss(scores, targets)
        if not isinstance(self._loss, nn.Module):
            self._see(scores, targets, value)
        return value

    def __enter__(self) -> "watch":
        self._handles.append(self.model.register_forward_pre_hook(self._before_model, with_kwargs=True))
        if isinstance(self._loss, nn.Module):
            self._handles.append(self._loss.register_forward_hook(self._after_loss))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _before_model(self, module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        if self._diagnosed or self._diagnosing:
            return
        self._inputs = keywords or (arguments[0] if len(arguments) == 1 else arguments)

    def _after_loss(self, module: nn.Module, arguments: tuple[Any, ...], value: Any) -> None:  # noqa: ANN401
        if not self._diagnosing and len(arguments) == 2:
            self._see(arguments[0], arguments[1], value)

    def _see(self, scores: Tensor, targets: Tensor, value: Any) -> None:  # noqa: ANN401
        if torch.compiler.is_compiling():
            return
        if not self._diagnosed and self._inputs is not None:
            self._diagnosed = self._diagnosing = True
            try:
                for finding in diagnose(self.model, self._loss, self._inputs, targets):
                    self._tell(finding)
            finally:
                self._diagnosing = False
                self._inputs = None
        if self._left or scores.dim() < 2 or scores.shape[1] < 2:
            return
        number = float(torch.as_tensor(value).detach().double().mean())
        if not math.isclose(number, math.log(scores.shape[1]), rel_tol=0.01):
            self._left = True
            return
        self._at_log_k += 1
        if self._at_log_k == self._patience:
            self._tell(stuck_at_log_k(number, scores.shape[1], f"as in each of the {self._patience} steps before"))

    def _tell(self, finding: Finding) -> None:
        if finding.code not in self._found:
            self._found[finding.code] = finding
            warnings.warn(f"polylogit.misuse: {finding}", MisuseWarning, stacklevel=2)
