"""Counts of backward passes, cleared gradients and optimizer steps of a watched model.

See also: `step_checks.py` (the findings), `watching.py` (which owns the hooks on model and loss).
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd
from torch.optim.optimizer import register_optimizer_step_post_hook

from polylogit.misuse import step_checks
from polylogit.misuse.findings import MisuseFinding

__all__ = ["StepWatch", "random_or_batch_layers"]

_DISCARDED = 20  # gradients cleared without a step that show a missing step
_STEPS = 10  # optimizer steps after which a pattern counts
_EVALUATIONS = 3  # losses without gradients in training mode that count


class StepWatch:
    """Hooks on the parameters of a model and on all optimizers.

    A tensor hook on each trainable parameter sees that a gradient arrives, and whether the one before was cleared. The
    hooks on parameters are removed as soon as the first steps have shown that gradients are cleared and used.

    Args:
        model: The watched model.
        patience: Steps of other optimizers after which parameters that have not moved count as forgotten.
        report: Called with each finding.
        guarded: Wraps a hook so that it never raises.
    """

    def __init__(
        self,
        model: nn.Module,
        patience: int,
        report: Callable[[MisuseFinding], None],
        guarded: Callable[[Callable[..., None]], Callable[..., None]],
    ) -> None:
        self._model = model
        self._patience = patience
        self._report = report
        self._names = {id(value): name for name, value in model.named_parameters()}
        self._backwards = 0
        self._fresh = True  # the next gradient is the first since a loss
        self._since_step = 0  # backward passes since the last own step
        self._cleared = False  # the gradients were cleared since the last own step
        self._finite: Tensor | None = None
        self._steps = 0
        self._foreign = 0
        self._at_rate_0 = 0
        self._discarded = 0
        self._uncleared = 0
        self._empty = 0  # own steps, from the first one on, that found no gradient
        self._in_evaluation_mode = 0
        self._was_in_training_mode = False
        self._evaluated = 0
        self._mode: bool | None = None
        self._arrived: dict[int, None] = {}  # parameters as their gradients arrive: the last layer's come first
        self._optimized: set[int] = set()
        self._start = self._norms()
        self._parameter_handles = [
            value.register_hook(guarded(self._hook_of(value)))  # type: ignore[no-untyped-call]  # torch has no annotations here
            for value in model.parameters()
            if value.requires_grad and value.is_leaf and not nn.parameter.is_lazy(value)
        ]
        self._step_handle = register_optimizer_step_post_hook(guarded(self._after_step))

    @property
    def moved(self) -> bool:
        """Whether a trainable parameter has changed since the beginning."""
        return self._norms() != self._start

    def close(self) -> None:
        """Remove the hooks, and report what only the end of the loop shows."""
        self._remove_parameter_hooks()
        self._step_handle.remove()
        if self._backwards >= _DISCARDED and not self._discarded and not self._foreign and not self.moved:
            self._report(step_checks.step_missing(self._backwards, cleared=False))

    def loss_called(self, *, with_gradient: bool) -> None:
        """Note a loss: the next gradient belongs to a new backward pass."""
        self._fresh = True
        layers = random_or_batch_layers(self._model, training=True)
        if with_gradient:
            self._mode = self._model.training or bool(layers)
        elif self._steps and layers and self._model.training:
            self._evaluated += 1
            if self._evaluated == _EVALUATIONS:
                self._report(step_checks.evaluated_in_training_mode(layers, _EVALUATIONS))

    def _hook_of(self, parameter: Tensor) -> Callable[[Tensor], None]:
        def arriving(gradient: Tensor) -> None:
            self._arrived.setdefault(id(parameter))
            # Only a parameter that an optimizer has is cleared by it.
            if self._fresh and (not self._optimized or id(parameter) in self._optimized):
                self._fresh = False
                self._backward_begins(parameter)
            if not self._steps:
                finite = gradient.detach().isfinite().all()
                self._finite = (
                    finite if self._finite is None or self._finite.device != finite.device else self._finite & finite
                )

        return arriving

    def _backward_begins(self, parameter: Tensor) -> None:
        """Compare the gradient that is there already with what was done since the last backward pass."""
        held = _has_gradient(parameter)
        self._cleared = self._cleared or not held
        self._since_step += 1
        if self._backwards and not held and not self._steps and (self._finite is None or bool(self._finite)):
            # A gradient scaler skips the step of a gradient that is not finite, and that one is no missing step.
            self._discarded += 1
            if self._discarded == _DISCARDED and not self.moved:
                if self._foreign >= _DISCARDED // 2:
                    self._report(step_checks.parameters_unchanged(self._foreign))
                else:
                    self._report(step_checks.step_missing(_DISCARDED, cleared=True))
        self._finite = None
        self._backwards += 1

    def _after_step(self, optimizer: torch.optim.Optimizer, arguments: object, keywords: object) -> None:
        """Count the steps of optimizers that have the model's parameters, and of others."""
        groups = [group for group in optimizer.param_groups if any(id(p) in self._names for p in group["params"])]
        if not any(p.requires_grad for group in groups for p in group["params"] if id(p) in self._names):
            self._foreign += 1
            enough = min(_DISCARDED, self._patience)
            if self._foreign >= enough and self._backwards >= enough and not self.moved:
                self._report(step_checks.parameters_unchanged(self._foreign))
            return
        self._steps += 1
        self._count_uncleared()
        self._optimized.update(id(p) for group in groups for p in group["params"])
        rates = [float(group["lr"]) for group in groups if "lr" in group]
        self._at_rate_0 = self._at_rate_0 + 1 if rates and not any(rates) else 0
        if self._at_rate_0 == _STEPS:
            self._report(step_checks.learning_rate_zero(_STEPS))
        self._follow_mode()
        if self._steps == _STEPS:
            self._check_head()
        # Only the first steps are looked at: a loop that has used gradients once has the right order.
        if self._empty == self._steps - 1 and not any(_has_gradient(p) for group in groups for p in group["params"]):
            self._empty += 1
            if self._empty == 2 * _STEPS and self._backwards >= _STEPS:
                self._report(step_checks.gradients_cleared_too_early(self._empty))

    def _count_uncleared(self) -> None:
        """Report gradients that were still there at each backward pass between ten own steps."""
        if not self._since_step:
            return  # a second optimizer's step after the same backward pass
        self._uncleared = 0 if self._cleared else self._uncleared + 1
        self._since_step, self._cleared = 0, False
        if self._uncleared == _STEPS:
            self._report(step_checks.gradients_never_cleared(_STEPS))
        if self._steps > _STEPS and self._uncleared in (0, _STEPS):
            self._remove_parameter_hooks()

    def _follow_mode(self) -> None:
        """Report ten own steps in a row in evaluation mode."""
        self._was_in_training_mode = self._was_in_training_mode or self._mode is True
        self._in_evaluation_mode = self._in_evaluation_mode + 1 if self._mode is False else 0
        if self._in_evaluation_mode == _STEPS:
            layers = _switched_off(self._model, normalisation=self._was_in_training_mode)
            if layers:
                self._report(step_checks.trained_in_evaluation_mode(layers, _STEPS))

    def _check_head(self) -> None:
        """Report a last layer that no optimizer has, where most of the layers before it are in one."""
        trained = [key for key in self._arrived if key in self._names]
        if not trained:
            return
        head = self._names[trained[0]].rpartition(".")[0]
        inside = [key in self._optimized for key in trained if self._names[key].rpartition(".")[0] == head]
        rest = [key in self._optimized for key in trained if self._names[key].rpartition(".")[0] != head]
        if rest and not any(inside) and 2 * sum(rest) > len(rest):
            self._report(step_checks.head_not_in_optimizer(head or "the model's own parameter", self._steps))

    def _remove_parameter_hooks(self) -> None:
        for handle in self._parameter_handles:
            handle.remove()
        self._parameter_handles.clear()

    def _norms(self) -> list[float]:
        trained = [
            value for value in self._model.parameters() if value.requires_grad and not nn.parameter.is_lazy(value)
        ]
        return [float(value.detach().cpu().double().norm()) for value in trained]


def random_or_batch_layers(model: nn.Module, *, training: bool) -> str:
    """Name the kinds of layers whose output depends on the mode, and that are in it; "" where there are none.

    Args:
        model: The model.
        training: The mode.

    Example:
        >>> random_or_batch_layers(nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.BatchNorm1d(2)), training=True)
        'Dropout and BatchNorm1d'
    """
    return _names(
        layer for layer in model.modules() if layer.training == training and (_drops(layer) or _has_statistics(layer))
    )


def _switched_off(model: nn.Module, *, normalisation: bool) -> str:
    """Dropout and batch normalisation in evaluation mode.

    Where the model was never in training mode, a batch normalisation that has statistics may be frozen on purpose.
    """
    return _names(
        layer
        for layer in model.modules()
        if not layer.training and (_drops(layer) or _never_trained(layer) or (normalisation and _has_statistics(layer)))
    )


def _has_gradient(parameter: Tensor) -> bool:
    return parameter.grad is not None and bool(parameter.grad.detach().any())


def _names(layers: Iterable[nn.Module]) -> str:
    return " and ".join(dict.fromkeys(type(layer).__name__ for layer in layers))


def _drops(layer: nn.Module) -> bool:
    return isinstance(layer, _DropoutNd) and layer.p > 0


def _has_statistics(layer: nn.Module) -> bool:
    return isinstance(layer, _NormBase) and layer.track_running_stats


def _never_trained(layer: nn.Module) -> bool:
    return isinstance(layer, _NormBase) and layer.num_batches_tracked is not None and not layer.num_batches_tracked
