"""Calls of a model that leave it unchanged: its mode, buffers, attributes, gradients and the random generators.

The probes:

- `scores()`: what comes out for the batch.
- `redrawn()`: what comes out for other parameters: what is still true then is the model's form, not its present state.
- `gradients()`: which layers a gradient reaches.
- `one_step()`: what comes out after a step against the gradient, "not trained yet" or "cannot be".
- `changed_rows(row)`: which rows of scores move when one row of inputs is changed.
- `on_larger_inputs()`, `takes_fewer_rows()`: what the scores are bounded by, and whether the model knows its rows.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

__all__ = ["Probe"]

_SEED = 20231


class Probe:
    """A model and a batch of inputs, to be asked for scores.

    Args:
        model: An `nn.Module`, compiled or not, or any callable.
        inputs: A tensor, or a tuple or mapping of arguments.
    """

    def __init__(self, model: Callable[..., Any], inputs: Any) -> None:  # noqa: ANN401 - whatever the model takes
        self.model = _inner(model)
        self.inputs = inputs
        self.parameters: dict[str, Tensor] = {}
        self.buffers: dict[str, Tensor] = {}
        if isinstance(self.model, nn.Module) and not isinstance(self.model, torch.jit.ScriptModule):
            self.parameters = {name: value.detach() for name, value in self.model.named_parameters()}
            self.buffers = {name: value.detach() for name, value in self.model.named_buffers()}

    @property
    def has_parameters(self) -> bool:
        """Whether there is anything to redraw."""
        return any(value.is_floating_point() and value.numel() for value in self.parameters.values())

    def scores(self) -> Tensor:
        """The scores of the batch, detached."""
        with torch.no_grad():
            return self._call(self.parameters, self.inputs).detach()

    def redrawn(self) -> list[Tensor]:
        """The scores under two redrawn sets of parameters; fewer where they are not finite or the call fails."""
        results = []
        generator = torch.Generator().manual_seed(_SEED)
        for size in (1.0, 4.0):
            parameters = {name: _redraw(value, size, generator) for name, value in self.parameters.items()}
            try:
                with torch.no_grad():
                    result = self._call(parameters, self.inputs).detach()
            except (RuntimeError, ValueError):
                continue
            if bool(result.isfinite().all()):
                results.append(result)
        return results

    def one_step(self, loss: Callable[[Tensor], Tensor]) -> Tensor | None:
        """The scores after one step against the gradient of the loss; None where no gradient reaches a parameter.

        Args:
            loss: From scores to a number.
        """
        parameters = {
            name: value.clone().requires_grad_() for name, value in self.parameters.items() if value.is_floating_point()
        }
        with torch.enable_grad():
            value = loss(self._call({**self.parameters, **parameters}, self.inputs)).sum()
            if not value.requires_grad:
                return None
            gradients = torch.autograd.grad(value, list(parameters.values()), allow_unused=True)
        norm = (
            sum(float(gradient.cpu().double().square().sum()) for gradient in gradients if gradient is not None) ** 0.5
        )
        if norm == 0 or math.isnan(norm):
            return None
        moved = {
            name: value.detach() if gradient is None else value.detach() - gradient / norm
            for (name, value), gradient in zip(parameters.items(), gradients, strict=True)
        }
        with torch.no_grad():
            return self._call({**self.parameters, **moved}, self.inputs).detach()

    @property
    def trainable(self) -> bool:
        """Whether the model is a module with parameters that require a gradient."""
        return (
            bool(self.parameters)
            and isinstance(self.model, nn.Module)
            and any(value.requires_grad for value in self.model.parameters())
        )

    def gradients(self, loss: Callable[[Tensor], Tensor]) -> dict[str, str] | None:
        """Which layers with trainable parameters a gradient reaches; None where the pass itself fails.

        Args:
            loss: From scores to a number.

        Returns:
            "some" or "none" for each layer that was called, in the order of the calls. Layers that are in evaluation
            mode, or called with gradients switched off in a model that is otherwise trained, count as frozen on purpose
            and are left out.
        """
        if not isinstance(self.model, nn.Module):
            return None
        trained = {name for name, value in self.model.named_parameters() if value.requires_grad}
        parameters = {
            name: self.parameters[name].clone().requires_grad_() for name in self.parameters if name in trained
        }
        order: dict[str, bool] = {}

        def note(name: str) -> Callable[..., None]:
            def hook(module: nn.Module, given: object, output: object) -> None:
                order[name] = order.get(name, False) or (torch.is_grad_enabled() and module.training)

            return hook

        owners = {name.rpartition(".")[0] for name in trained}
        layers = {name: module for name, module in self.model.named_modules() if name in owners}
        hooks = [module.register_forward_hook(note(name)) for name, module in layers.items()]
        found: tuple[Tensor | None, ...] = (None,) * len(parameters)
        try:
            with torch.enable_grad():
                value = loss(self._call({**self.parameters, **parameters}, self.inputs)).sum()
                if value.requires_grad:
                    found = torch.autograd.grad(value, list(parameters.values()), allow_unused=True)
        except (RuntimeError, ValueError, IndexError, TypeError):
            return None
        finally:
            for hook in hooks:
                hook.remove()
        reached = {
            name.rpartition(".")[0]: "some"
            for name, gradient in zip(parameters, found, strict=True)
            if gradient is not None
        }
        if not reached:
            return {name or "the model": "none" for name in order or owners}
        return {name: reached.get(name, "none") for name, counts in order.items() if counts or name in reached}

    def on_larger_inputs(self) -> Tensor | None:
        """The scores for inputs a hundred times as large; None where these are no floating point numbers."""
        if not isinstance(self.inputs, Tensor) or not self.inputs.is_floating_point():
            return None
        with torch.no_grad():
            return self._call(self.parameters, self.inputs * 100).detach()

    def takes_fewer_rows(self) -> bool:
        """Whether the model takes a batch of one row less; one that knows its rows, like a graph's nodes, does not."""
        try:
            with torch.no_grad():
                self._call(self.parameters, self.inputs[:-1])
        except (RuntimeError, ValueError, IndexError):
            return False
        return True

    def changed_rows(self, row: int) -> Tensor | None:
        """Which rows of scores change when one row of the inputs does; None where the inputs cannot be changed so."""
        if not isinstance(self.inputs, Tensor) or self.inputs.dim() == 0 or len(self.inputs) < 2:
            return None
        other = self.inputs.clone()
        if self.inputs.is_floating_point():
            generator = torch.Generator().manual_seed(_SEED)
            noise = torch.randn(other[row].shape, generator=generator).to(other)
            other[row] += noise * (other.float().std() + 1e-3).to(other)
        else:
            different = [n for n in range(len(other)) if not torch.equal(other[n], other[row])]
            if not different:
                return None
            other[row] = other[different[0]]
        before = self.scores()
        with torch.no_grad():
            after = self._call(self.parameters, other)
        return (before != after).flatten(1).any(1) if before.dim() > 1 else before != after

    def _call(self, parameters: Mapping[str, Tensor], inputs: Any) -> Tensor:  # noqa: ANN401
        arguments: tuple[Any, ...] = inputs if isinstance(inputs, tuple) else (inputs,)
        keywords: dict[str, Any] = {}
        if isinstance(inputs, Mapping):
            arguments, keywords = (), dict(inputs)
        devices = sorted({value.device.index or 0 for value in parameters.values() if value.is_cuda})
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(
                _SEED
            )  # the same dropout in each call, so that only what was changed can make a difference
            if isinstance(self.model, nn.Module) and (parameters or self.buffers):
                state = {**parameters, **{name: value.clone() for name, value in self.buffers.items()}}
                with _attributes_restored(self.model):
                    result = functional_call(self.model, state, arguments, keywords)
            else:
                result = self.model(*arguments, **keywords)
        if not isinstance(result, Tensor):
            raise TypeError(f"the model gives a {type(result).__name__} where scores, one tensor, are needed")
        return result


@contextmanager
def _attributes_restored(model: nn.Module) -> Iterator[None]:
    """Restore the attributes of all modules afterwards, such as a hidden state kept from one call to the next."""
    before = [(module, dict(module.__dict__)) for module in model.modules()]
    lists = [(value, list(value)) for _, values in before for value in values.values() if type(value) is list]
    try:
        yield
    finally:
        for module, values in before:
            for name in module.__dict__.keys() - values.keys():
                del module.__dict__[name]
            module.__dict__.update(values)
        for value, content in lists:
            value[:] = content


def _inner(model: Callable[..., Any]) -> Callable[..., Any]:
    """The module inside `torch.compile` (asked itself nothing recompiles) and inside a wrapper for several devices."""
    while True:
        if hasattr(model, "_orig_mod"):
            model = model._orig_mod
        elif isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model = model.module
        else:
            return model


def _redraw(value: Tensor, size: float, generator: torch.Generator) -> Tensor:
    """Parameters of the same shape and about the same size, redrawn; matrices that are all 0 get a usual size."""
    if not value.is_floating_point() or value.numel() == 0:
        return value
    spread = float(value.float().square().mean().sqrt()) or value[0].numel() ** -0.5
    return (torch.randn(value.shape, generator=generator) * (size * spread)).to(value)
