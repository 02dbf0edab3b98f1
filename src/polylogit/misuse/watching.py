"""Watch a training loop of the user's own: hooks on a model and its loss for as long as a `with` block lasts.

See also: `diagnosis.py` (the checks), `loss_calls.py` (the calls of the loss), `step_watch.py` (gradients and steps),
`label_watch.py` (labels and predictions).
"""

import functools
import math
from collections.abc import Callable
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from polylogit.misuse.diagnosis import findings_of_model, findings_of_scores
from polylogit.misuse.findings import Diagnosis, MisuseFinding, MisuseWarning
from polylogit.misuse.gradient_checks import losses_not_finite
from polylogit.misuse.kept_state import random_state_kept
from polylogit.misuse.label_watch import LabelWatch
from polylogit.misuse.loss_calls import FunctionCalls, bound_call
from polylogit.misuse.row_checks import stuck_at_log_k
from polylogit.misuse.score_origin import selector, tensors_of
from polylogit.misuse.step_watch import StepWatch
from polylogit.misuse.warning_place import warn_at_users_line
from polylogit.system.tensor_values import values_can_be_read

__all__ = ["watch"]

_KINDS_OF_CALLS = 6  # calls of the loss that differ in form (several tasks, training and evaluation) are diagnosed
_WITHOUT_A_MODEL = 3  # losses before which no call of the model was seen, after which scores alone are examined
_NOT_FINITE = 3  # losses in a row that are NaN or infinite; a gradient scaler may meet one


class watch:  # noqa: N801 - used like a function: with watch(model, loss):
    """Watch a loop: diagnose its first batch, then follow its losses, gradients, steps and labels.

    On entry, hooks are set on the model, its parameters, all optimizers, and on the loss where that is a module; on
    exit they are removed. A plain function is observed through a torch function mode, in any call form and without
    replacing it. Not seen are: a loss that is compiled as a function or called in another thread, and another loss than
    the one given; on exit a warning says so where no call was seen. Each finding is warned of once, as `MisuseWarning`
    at the line of the program that shows it, and kept in `watching.findings`, whose text says what was examined.

    A hook never raises and never changes training: where a check fails, watching ends with a warning. The one exception
    is a `MisuseWarning` that the program itself has turned into an error.

    Args:
        model: The model that the loop calls.
        loss: The loss that the loop calls.
        patience: Number of losses within 1% of log K, from the first one on, after which the loss counts as stuck; of
            optimizer steps without the model's parameters after which these count as forgotten (at most 20); and of
            losses between two looks at the labels and predictions.

    Example:
        >>> model, loss = torch.nn.Linear(4, 3), torch.nn.CrossEntropyLoss()
        >>> inputs, targets = torch.eye(4), torch.tensor([0, 1, 2, 0])
        >>> with watch(model, loss) as watching:
        ...     for step in range(3):
        ...         loss(model(inputs), targets).backward()
        >>> print(watching.findings)
        Nothing wrong was seen (3 losses of 1 function, 1 batch diagnosed).
    """

    def __init__(self, model: nn.Module, loss: Callable[..., Any], *, patience: int = 100) -> None:
        self.model = model
        self._loss = loss
        self._patience = patience
        # A scripted module takes no hooks: then only the scores that the loss receives can be checked.
        self._hookable = not isinstance(model, torch.jit.ScriptModule)
        self._inputs: Any = None
        self._integers = False
        self._output: Any = None
        self._diagnosed: set[tuple[object, ...]] = set()
        self._from_scores_alone = 0
        self._busy = False
        self._stopped = ""
        self._at_log_k = 0
        self._left = False
        self._not_finite = 0
        self._losses = 0
        self._unread = 0
        self._calls: FunctionCalls | None = None
        self._steps: StepWatch | None = None
        self._labels = LabelWatch(patience, self._report)
        self._found: dict[str, MisuseFinding] = {}
        self._handles: list[Any] = []

    @property
    def findings(self) -> Diagnosis:
        """What has been found so far."""
        found = sorted(self._found.values(), key=lambda finding: -finding.confidence)
        functions = f"of {int(self._losses > 0)} function{'' if self._losses else 's'}"
        batches = len(self._diagnosed)
        examined = f"{self._losses} losses {functions}, {batches} batch{'' if batches == 1 else 'es'} diagnosed"
        if self._from_scores_alone:
            examined += f", {self._from_scores_alone} of them from the scores alone"
        if self._unread:
            examined += f", {self._unread} losses whose values could not be read"
        if self._stopped:
            examined += f", then stopped: {self._stopped}"
        return Diagnosis(found, examined)

    def loss(self, scores: Any, targets: Any) -> Any:  # noqa: ANN401 - whatever the loss takes and gives
        """Call the loss and watch: for losses that are plain functions."""
        if isinstance(self._loss, nn.Module) or self._calls is not None:  # the hooks or the mode see the call
            return self._loss(scores, targets)
        self._guarded(self._look)(scores, targets, self._loss)
        value = self._loss(scores, targets)
        self._guarded(self._follow)(scores, targets, value)
        return value

    def __enter__(self) -> "watch":
        guarded = self._guarded
        if self._hookable:
            self._handles.append(self.model.register_forward_pre_hook(guarded(self._before_model), with_kwargs=True))
            self._handles.append(self.model.register_forward_hook(guarded(self._after_model)))
        if isinstance(self._loss, nn.Module):
            self._handles.append(self._loss.register_forward_pre_hook(guarded(self._before_loss), with_kwargs=True))
            self._handles.append(self._loss.register_forward_hook(guarded(self._after_loss), with_kwargs=True))
        else:
            calls = FunctionCalls(self._loss, guarded(self._function_called))
            if calls.code is not None:
                self._calls = calls
                calls.__enter__()  # type: ignore[no-untyped-call]  # torch has no annotations here
        guarded(self._watch_steps)()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._calls is not None:
            self._calls.__exit__(kind, error, traceback)  # type: ignore[no-untyped-call]  # as above
            self._calls = None
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._inputs = self._output = None
        if self._steps is not None:
            steps, self._steps = self._steps, None
            self._guarded(steps.close)()
            self._guarded(self._labels.close)(inputs_are_classes=self._integers)
        if kind is None and self._losses + self._unread == 0 and not self._stopped:
            warn_at_users_line(
                "polylogit.misuse: no call of the loss was seen, so nothing was examined. Give watch the loss that the "
                "loop calls; a compiled function, a loss in another thread and loss.forward(...) cannot be seen: call "
                "it as watching.loss(scores, targets)."
            )

    def _guarded(self, hook: Callable[..., None]) -> Callable[..., None]:
        """The hook, made so that it never raises and is not compiled into a model."""

        @functools.wraps(hook)
        def safe(*arguments: object, **keywords: object) -> None:
            if torch.compiler.is_compiling() or self._busy or self._stopped:
                return
            self._busy = True
            try:
                hook(*arguments, **keywords)
            except MisuseWarning:  # the program has turned the warning into an error
                raise
            except Exception as error:
                self._stopped = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
                warn_at_users_line(f"polylogit.misuse: watching has stopped, training goes on ({self._stopped}).")
            finally:
                self._busy = False

        return safe

    def _watch_steps(self) -> None:
        self._steps = StepWatch(self.model, self._patience, self._report, self._guarded)

    def _before_model(self, module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        self._inputs = keywords or (arguments[0] if len(arguments) == 1 else arguments)
        if keywords and arguments:
            self._inputs = None  # the probes take one form or the other

    def _after_model(self, module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:  # noqa: ANN401
        self._output = output

    def _before_loss(self, module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        if (call := bound_call(module, arguments, keywords)) is not None:
            self._look(*call)

    def _after_loss(
        self,
        module: nn.Module,
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
        value: Any,  # noqa: ANN401 - what the loss gives
    ) -> None:
        if (call := bound_call(module, arguments, keywords)) is not None:
            self._follow(call[0], call[1], value)

    def _function_called(self, scores: Any, targets: Any, loss: Callable[..., Any]) -> None:  # noqa: ANN401
        self._look(scores, targets, loss)
        value = None
        if not self._left and isinstance(scores, Tensor) and values_can_be_read(scores):
            try:
                with torch.no_grad(), random_state_kept([]):
                    value = loss(scores.detach(), targets)
            except (RuntimeError, ValueError, IndexError, TypeError):
                value = None  # the loop itself gets the error
        self._follow(scores, targets, value)

    def _look(self, scores: Any, targets: Any, loss: Callable[..., Any]) -> None:  # noqa: ANN401
        """Diagnose a batch of each form, before the loss has a chance to fail on it."""
        if not values_can_be_read(*(value for value in (scores, targets) if isinstance(value, Tensor))):
            self._unread += 1
            return
        self._losses += 1
        inputs, output = self._inputs, self._output
        form = _form_of(scores, targets, self.model.training)
        if form in self._diagnosed or len(self._diagnosed) >= _KINDS_OF_CALLS:
            self._inputs = self._output = None
            return
        self._integers = not all(map(torch.is_floating_point, tensors_of(inputs)))
        # What stands between the model and the loss in the loop (a softmax, a log, a view) is known only from what
        # the loss gets; then the model's own output says nothing about the loss.
        select = None if inputs is None else selector(output, scores)
        if inputs is None and self._hookable and self._losses <= _WITHOUT_A_MODEL and output is None:
            return
        self._diagnosed.add(form)
        found: list[MisuseFinding] | None = None
        if select is not None:
            try:
                found = list(findings_of_model(self.model, loss, inputs, targets, select=select))
            except Exception:  # a model may refuse the probes; its scores can still be examined
                found = None
        if found is None:
            self._from_scores_alone += 1
            found = list(findings_of_scores(loss, scores, targets))
        for finding in found:
            self._report(finding)

    def _follow(self, scores: Any, targets: Any, value: Any) -> None:  # noqa: ANN401
        """See that the loss stays finite and leaves log K, that the parameters move, and which classes occur."""
        tensors = [tensor for tensor in tensors_of(scores) if values_can_be_read(tensor)]
        if not tensors:
            return
        trains = any(tensor.requires_grad for tensor in tensors)
        if self._steps is not None:
            self._steps.loss_called(with_gradient=trains)
        if not isinstance(scores, Tensor):
            return
        if trains and isinstance(targets, Tensor):
            self._labels.batch(scores, targets)
        if value is None:
            return
        number = float(torch.as_tensor(value).detach().cpu().double().mean())
        self._not_finite = 0 if math.isfinite(number) else self._not_finite + 1
        if self._not_finite == _NOT_FINITE:
            self._report(losses_not_finite(number, self._losses, _NOT_FINITE))
        if self._left or scores.dim() < 2 or scores.shape[1] < 2:
            return
        if not math.isclose(number, math.log(scores.shape[1]), rel_tol=0.01):
            self._left = True
            return
        self._at_log_k += 1
        # Where the parameters move it is a slow start, not a fault: a long warm-up, a hard task, a last layer at 0.
        if self._at_log_k == self._patience and (self._steps is None or not self._steps.moved):
            self._report(stuck_at_log_k(number, scores.shape[1], f"as in each of the {self._patience} steps before"))

    def _report(self, finding: MisuseFinding) -> None:
        if finding.code not in self._found:
            self._found[finding.code] = finding
            warn_at_users_line(f"polylogit.misuse: {finding}")


def _form_of(scores: Any, targets: Any, training: bool) -> tuple[object, ...]:  # noqa: ANN401
    """What distinguishes the calls of a loss for another task or phase, but not those of other batches."""
    form: list[object] = [training]
    for value in (scores, targets):
        form += [value.dim(), value.dtype] if isinstance(value, Tensor) else [type(value)]
    if isinstance(scores, Tensor) and scores.dim() == 2:
        form.append(scores.shape[1])
    return tuple(form)
