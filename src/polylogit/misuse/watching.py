"""Watch a training loop of the user's own: hooks on a model and its loss for as long as a `with` block lasts.

See also: `diagnosis.py` (the checks), `loss_calls.py` (the calls of the loss).
"""

import math
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from polylogit.misuse.diagnosis import diagnose, findings_of_scores, parameters_unchanged, stuck_at_log_k
from polylogit.misuse.findings import Diagnosis, MisuseFinding, MisuseWarning
from polylogit.misuse.loss_calls import FunctionCalls, bound_call
from polylogit.misuse.step_checks import learning_rate_zero, step_missing

__all__ = ["watch"]

_DISCARDED = 20
"""Gradients cleared without a step that show a missing step; a gradient scaler may skip fewer at the start."""


class watch:  # noqa: N801 - used like a function: with watch(model, loss):
    """Watch a loop: diagnose its first batch, then see that the loss leaves log K and the parameters move.

    On entry, hooks are set on the model, and on the loss where that is a module; on exit they are removed. A plain
    function is observed through a torch function mode, in any call form and without replacing it. Not seen are: a loss
    that is compiled as a function or called in another thread, and another loss than the one given; on exit a warning
    says so where no call was seen. Each finding is warned of once, as `MisuseWarning`, at the step that shows it, and
    kept in `watching.findings`, whose text says what was examined.

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
        Nothing wrong was seen (3 losses of 1 function, 1 batch diagnosed).
    """

    def __init__(self, model: nn.Module, loss: Callable[..., Any], *, patience: int = 100) -> None:
        self.model = model
        self._loss = loss
        self._patience = patience
        # A scripted module takes no hooks: then only the scores that the loss receives can be checked.
        self._hookable = not isinstance(model, torch.jit.ScriptModule)
        self._inputs: Any = None
        self._output: Any = None
        self._start: list[float] | None = None
        self._training_losses = 0
        self._diagnosed = False
        self._diagnosing = False
        self._at_log_k = 0
        self._left = False
        self._losses = 0
        self._steps = 0
        self._foreign_steps = 0
        self._steps_at_rate_0 = 0
        self._discarded = 0
        self._moved = False
        self._pending = False
        self._at_first_discard: list[float] = []
        self._backward: Any = None
        self._calls: FunctionCalls | None = None
        self._found: dict[str, MisuseFinding] = {}
        self._handles: list[Any] = []

    @property
    def findings(self) -> Diagnosis:
        """What has been found so far."""
        found = sorted(self._found.values(), key=lambda finding: -finding.confidence)
        functions = f"of {int(self._losses > 0)} function{'' if self._losses else 's'}"
        batches = int(self._diagnosed)
        return Diagnosis(
            found, f"{self._losses} losses {functions}, {batches} batch{'' if batches == 1 else 'es'} diagnosed"
        )

    def loss(self, scores: Tensor, targets: Tensor) -> Any:  # noqa: ANN401 - what the loss gives
        """Call the loss and watch: for losses that are plain functions."""
        if isinstance(self._loss, nn.Module) or self._calls is not None:  # the hooks or the mode see the call
            return self._loss(scores, targets)
        self._look(scores, targets, self._loss)
        value = self._loss(scores, targets)
        self._follow(scores, value)
        return value

    def __enter__(self) -> "watch":
        if self._hookable:
            self._handles.append(self.model.register_forward_pre_hook(self._before_model, with_kwargs=True))
            self._handles.append(self.model.register_forward_hook(self._after_model))
        if isinstance(self._loss, nn.Module):
            self._handles.append(self._loss.register_forward_pre_hook(self._before_loss, with_kwargs=True))
            self._handles.append(self._loss.register_forward_hook(self._after_loss, with_kwargs=True))
        else:
            calls = FunctionCalls(self._loss, self._function_called)
            if calls.code is not None:
                self._calls = calls
                calls.__enter__()  # type: ignore[no-untyped-call]  # torch has no annotations here
        self._handles.append(register_optimizer_step_post_hook(self._after_step))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._calls is not None:
            self._calls.__exit__(kind, error, traceback)  # type: ignore[no-untyped-call]  # as above
            self._calls = None
        for handle in [*self._handles, *([] if self._backward is None else [self._backward])]:
            handle.remove()
        self._backward = None
        self._handles.clear()
        self._inputs = self._output = None
        if kind is None and self._losses == 0:
            warnings.warn(
                "polylogit.misuse: no call of the loss was seen, so nothing was examined. Give watch the loss that the "
                "loop calls; a compiled function, a loss in another thread and loss.forward(...) cannot be seen: call "
                "it as watching.loss(scores, targets).",
                MisuseWarning,
                stacklevel=2,
            )

    def _before_model(self, module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        if self._diagnosed or self._diagnosing:
            return
        self._inputs = keywords or (arguments[0] if len(arguments) == 1 else arguments)

    def _after_model(self, module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:  # noqa: ANN401
        if not self._diagnosed and not self._diagnosing:
            self._output = output.detach() if isinstance(output, Tensor) else None

    def _before_loss(self, module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        if not self._diagnosing and (call := bound_call(module, arguments, keywords)) is not None:
            self._look(*call)

    def _after_loss(
        self,
        module: nn.Module,
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
        value: Any,  # noqa: ANN401 - what the loss gives
    ) -> None:
        if not self._diagnosing and (call := bound_call(module, arguments, keywords)) is not None:
            self._follow(call[0], value)

    def _function_called(self, scores: Tensor, targets: Tensor, loss: Callable[..., Any]) -> None:
        if self._diagnosing:
            return
        self._look(scores, targets, loss)
        value = math.nan
        if not self._left:
            self._diagnosing = True
            try:
                with torch.no_grad(), torch.random.fork_rng(devices=[]):
                    value = float(torch.as_tensor(loss(scores.detach(), targets)).cpu().double().mean())
            except (RuntimeError, ValueError, IndexError, TypeError):
                value = math.nan  # the loop itself gets the error
            finally:
                self._diagnosing = False
        self._follow(scores, value)

    def _after_step(self, optimizer: torch.optim.Optimizer, arguments: object, keywords: object) -> None:
        """Count the steps of optimizers that have the model's parameters, and of others."""
        own = {id(parameter) for parameter in self.model.parameters()}
        groups = [group for group in optimizer.param_groups if any(id(value) in own for value in group["params"])]
        if not groups:
            self._foreign_steps += 1
            return
        self._steps += 1
        self._pending = False
        rates = [float(group["lr"]) for group in groups if "lr" in group]
        self._steps_at_rate_0 = self._steps_at_rate_0 + 1 if rates and not any(rates) else 0
        if self._steps_at_rate_0 == 10:
            self._report(learning_rate_zero(10))

    def _look(self, scores: Tensor, targets: Tensor, loss: Callable[..., Any]) -> None:
        """Diagnose the first batch, before the loss has a chance to fail on it."""
        if torch.compiler.is_compiling():
            return
        self._losses += 1
        if self._diagnosed or (self._hookable and self._inputs is None):
            return
        self._diagnosed = self._diagnosing = True
        try:
            # What stands between the model and the loss in the loop (a softmax, a log, a view) is known only from what
            # the loss gets; then the model's own output says nothing about the loss.
            unchanged = self._output is not None and _same(self._output, scores)
            for finding in (
                diagnose(self.model, loss, self._inputs, targets)
                if unchanged
                else findings_of_scores(loss, scores, targets)
            ):
                self._report(finding)
        except Exception as error:
            warnings.warn(
                f"polylogit.misuse: the first batch could not be diagnosed ({type(error).__name__}: {error}).",
                MisuseWarning,
                stacklevel=2,
            )
        finally:
            self._diagnosing = False
            self._inputs = self._output = None

    def _follow(self, scores: Tensor, value: Any) -> None:  # noqa: ANN401
        """See that the loss leaves log K, and that the parameters move."""
        if torch.compiler.is_compiling():
            return
        if scores.requires_grad:
            self._count_discarded_gradients()
            self._check_parameters_move()
        if self._left or scores.dim() < 2 or scores.shape[1] < 2:
            return
        number = float(torch.as_tensor(value).detach().cpu().double().mean())
        if not math.isclose(number, math.log(scores.shape[1]), rel_tol=0.01):
            self._left = True
            return
        self._at_log_k += 1
        # Where the parameters move it is a slow start, not a fault: a long warm-up, a hard task, a last layer at 0.
        if self._at_log_k == self._patience and (self._start is None or self._start == self._wide_norms()):
            self._report(stuck_at_log_k(number, scores.shape[1], f"as in each of the {self._patience} steps before"))

    def _count_discarded_gradients(self) -> None:
        """Count the gradients that were cleared before any optimizer step, and report that steps are missing."""
        if self._moved or self._steps or self._discarded >= _DISCARDED:
            return
        has_gradients = any(
            parameter.grad is not None and bool(parameter.grad.any())
            for parameter in self.model.parameters()
            if parameter.requires_grad
        )
        if self._pending and not has_gradients:
            self._discarded += 1
            if self._discarded == 1:
                self._at_first_discard = self._norms()
            if self._discarded == _DISCARDED:
                self._moved = self._norms() != self._at_first_discard
                if not self._moved:
                    self._report(step_missing(_DISCARDED))
        if self._backward is not None:
            self._backward.remove()
        first = next((value for value in self.model.parameters() if value.requires_grad), None)
        self._backward = None if first is None else first.register_post_accumulate_grad_hook(self._gradient_arrived)  # type: ignore[no-untyped-call]  # as above

    def _gradient_arrived(self, parameter: Tensor) -> None:
        self._pending = True

    def _wide_norms(self) -> list[float]:
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        return [float(parameter.detach().cpu().double().norm()) for parameter in trained]

    def _norms(self) -> list[float]:
        return [float(value.detach().float().norm()) for value in self.model.parameters() if value.requires_grad]

    def _check_parameters_move(self) -> None:
        """Compare the parameters once, `patience` losses after the first."""
        if self._training_losses > self._patience:
            return
        if self._training_losses in (0, self._patience):
            now = self._wide_norms()
            if self._start is None:
                self._start = now
            elif now and now == self._start and self._foreign_steps >= self._patience:
                self._report(parameters_unchanged(self._patience))
        self._training_losses += 1

    def _report(self, finding: MisuseFinding) -> None:
        if finding.code not in self._found:
            self._found[finding.code] = finding
            warnings.warn(f"polylogit.misuse: {finding}", MisuseWarning, stacklevel=2)


def _same(output: Tensor, scores: Tensor) -> bool:
    """Whether the loss gets the model's output as it is."""
    return output.shape == scores.shape and torch.equal(output, scores.detach().to(output.dtype))
