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

from polylogit.misuse.diagnosis import diagnose, findings_of_scores, parameters_unchanged, stuck_at_log_k
from polylogit.misuse.findings import Diagnosis, MisuseFinding, MisuseWarning

__all__ = ["watch"]


class watch:  # noqa: N801 - used like a function: with watch(model, loss):
    """Watch a loop: diagnose its first batch, then see that the loss leaves log K and the parameters move.

    On the way in, hooks are set on the model (and on the loss, where that is a module); on the way out they are taken
    off. A plain function as loss cannot be hooked: call it as `watching.loss(scores, targets)`. Each finding is warned
    of once, as `MisuseWarning`, at the step that shows it, and kept in `watching.findings`.

    Args:
        model: The model that the loop calls.
        loss: The loss that the loop calls.
        patience: Number of losses within 1% of log K, from the first one on, after which the loss counts as stuck; and
            of losses with gradients after which parameters that have not moved count as forgotten.

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
        # A scripted module takes no hooks: then there are only the scores that the loss gets to judge by.
        self._hookable = not isinstance(model, torch.jit.ScriptModule)
        self._inputs: Any = None
        self._output: Any = None
        self._start: list[float] | None = None
        self._training_losses = 0
        self._diagnosed = False
        self._diagnosing = False
        self._at_log_k = 0
        self._left = False
        self._found: dict[str, MisuseFinding] = {}
        self._handles: list[Any] = []

    @property
    def findings(self) -> Diagnosis:
        """What has been found so far."""
        return Diagnosis(sorted(self._found.values(), key=lambda finding: -finding.confidence))

    def loss(self, scores: Tensor, targets: Tensor) -> Any:  # noqa: ANN401 - what the loss gives
        """Call the loss and watch: for losses that are plain functions."""
        if isinstance(self._loss, nn.Module):  # its hooks see the call
            return self._loss(scores, targets)
        self._look(scores, targets)
        value = self._loss(scores, targets)
        self._follow(scores, value)
        return value

    def __enter__(self) -> "watch":
        if self._hookable:
            self._handles.append(self.model.register_forward_pre_hook(self._before_model, with_kwargs=True))
            self._handles.append(self.model.register_forward_hook(self._after_model))
        if isinstance(self._loss, nn.Module):
            self._handles.append(self._loss.register_forward_pre_hook(self._before_loss))
            self._handles.append(self._loss.register_forward_hook(self._after_loss))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._inputs = self._output = None

    def _before_model(self, module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        if self._diagnosed or self._diagnosing:
            return
        self._inputs = keywords or (arguments[0] if len(arguments) == 1 else arguments)

    def _after_model(self, module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:  # noqa: ANN401
        if not self._diagnosed and not self._diagnosing:
            self._output = output.detach() if isinstance(output, Tensor) else None

    def _before_loss(self, module: nn.Module, arguments: tuple[Any, ...]) -> None:
        if not self._diagnosing and len(arguments) == 2:
            self._look(arguments[0], arguments[1])

    def _after_loss(self, module: nn.Module, arguments: tuple[Any, ...], value: Any) -> None:  # noqa: ANN401
        if not self._diagnosing and len(arguments) == 2:
            self._follow(arguments[0], value)

    def _look(self, scores: Tensor, targets: Tensor) -> None:
        """Diagnose the first batch, before the loss has a chance to fail on it."""
        if torch.compiler.is_compiling() or self._diagnosed or (self._hookable and self._inputs is None):
            return
        self._diagnosed = self._diagnosing = True
        try:
            # What stands between the model and the loss in the loop (a softmax, a log, a view) is known only from what
            # the loss gets; then the model's own output says nothing about the loss.
            unchanged = self._output is not None and _same(self._output, scores)
            for finding in (
                diagnose(self.model, self._loss, self._inputs, targets)
                if unchanged
                else findings_of_scores(self._loss, scores, targets)
            ):
                self._tell(finding)
        finally:
            self._diagnosing = False
            self._inputs = self._output = None

    def _follow(self, scores: Tensor, value: Any) -> None:  # noqa: ANN401
        """See that the loss leaves log K, and that the parameters move."""
        if torch.compiler.is_compiling():
            return
        if scores.requires_grad:
            self._see_parameters_move()
        if self._left or scores.dim() < 2 or scores.shape[1] < 2:
            return
        number = float(torch.as_tensor(value).detach().double().mean())
        if not math.isclose(number, math.log(scores.shape[1]), rel_tol=0.01):
            self._left = True
            return
        self._at_log_k += 1
        if self._at_log_k == self._patience:
            self._tell(stuck_at_log_k(number, scores.shape[1], f"as in each of the {self._patience} steps before"))

    def _see_parameters_move(self) -> None:
        """Compare the parameters once, `patience` losses after the first."""
        if self._training_losses > self._patience:
            return
        if self._training_losses in (0, self._patience):
            trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
            now = [float(parameter.detach().double().norm()) for parameter in trained]
            if self._start is None:
                self._start = now
            elif now and now == self._start and any(parameter.grad is not None for parameter in trained):
                self._tell(parameters_unchanged(self._patience))
        self._training_losses += 1

    def _tell(self, finding: MisuseFinding) -> None:
        if finding.code not in self._found:
            self._found[finding.code] = finding
            warnings.warn(f"polylogit.misuse: {finding}", MisuseWarning, stacklevel=2)


def _same(output: Tensor, scores: Tensor) -> bool:
    """Whether the loss gets the model's output as it is."""
    return output.shape == scores.shape and torch.equal(output, scores.detach().to(output.dtype))
