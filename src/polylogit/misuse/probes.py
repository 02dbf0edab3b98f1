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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from polylogit.misuse.kept_state import module_state_kept, random_state_kept, seed_all
from polylogit.system import torch_private

__all__ = ["Gradients", "Probe"]

_SEED = 20231


@dataclass(frozen=True, slots=True)
class Gradients:
    """Where one backward pass arrives.

    Attributes:
        called: Layers with trainable parameters, in the order of their calls. Layers that are in evaluation mode, or
            called with gradients switched off in a model that is otherwise trained, count as frozen on purpose and are
            left out.
        reached: Those of them that get a gradient.
        all_zero: Whether each gradient that arrives is exactly 0.
        reaches_inputs: Whether a gradient reaches the inputs; None where none of them is a floating point tensor.
    """

    called: tuple[str, ...]
    reached: tuple[str, ...]
    all_zero: bool
    reaches_inputs: bool | None


class Probe:
    """A model and a batch of inputs, to be asked for scores.

    Args:
        model: An `nn.Module`, compiled or not, or any callable.
        inputs: A tensor, or a tuple or mapping of arguments.
        select: From what the model gives to the scores.
    """

    def __init__(
        self,
        model: Callable[..., Any],
        inputs: Any,  # noqa: ANN401 - whatever the model takes
        select: Callable[[Any], Any] = lambda output: output,
    ) -> None:
        self.model = _inner(model)
        self.inputs = inputs
        self.select = select
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
        output: Tensor = self.output()
        return output

    def output(self) -> Any:  # noqa: ANN401 - whatever the model gives
        """What the model gives for the batch."""
        with torch.no_grad():
            return self._call(self.parameters, self.inputs)

    def redrawn_outputs(self) -> list[Any]:
        """What the model gives under two redrawn sets of parameters; fewer where the call fails."""
        generator, results = torch.Generator().manual_seed(_SEED), []
        for size in (1.0, 4.0):
            parameters = {name: _redraw(value, size, generator) for name, value in self.parameters.items()}
            try:
                with torch.no_grad():
                    results.append(self._call(parameters, self.inputs))
            except (RuntimeError, ValueError):
                continue
        return results

    def redrawn(self) -> list[Tensor]:
        """The scores under two redrawn sets of parameters; fewer where they are not finite or the call fails."""
        return [result for result in self.redrawn_outputs() if bool(result.isfinite().all())]

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
            scores: Tensor = self._call({**self.parameters, **moved}, self.inputs)
            return scores

    @property
    def trainable(self) -> bool:
        """Whether the model is a module with parameters that require a gradient."""
        return (
            bool(self.parameters)
            and isinstance(self.model, nn.Module)
            and any(value.requires_grad for value in self.model.parameters())
        )

    def gradients(self, loss: Callable[[Tensor], Tensor]) -> "Gradients | None":
        """Which layers with trainable parameters, and whether the inputs, a gradient reaches; None where that fails.

        Args:
            loss: From scores to a number.
        """
        if not isinstance(self.model, nn.Module):
            return None
        trained = {name for name, value in self.model.named_parameters() if value.requires_grad}
        parameters = {
            name: self.parameters[name].clone().requires_grad_() for name in self.parameters if name in trained
        }
        inputs, leaves = _with_gradients(self.inputs)
        order: dict[str, bool] = {}

        def note(name: str) -> Callable[..., None]:
            def hook(module: nn.Module, given: object, output: object) -> None:
                order[name] = order.get(name, False) or (torch.is_grad_enabled() and module.training)

            return hook

        owners = {name.rpartition(".")[0] for name in trained}
        layers = {name: module for name, module in self.model.named_modules() if name in owners}
        hooks = [module.register_forward_hook(note(name)) for name, module in layers.items()]
        found: tuple[Tensor | None, ...] = (None,) * (len(parameters) + len(leaves))
        try:
            with torch.inference_mode(mode=False), torch.enable_grad():
                value = loss(self._call({**self.parameters, **parameters}, inputs)).sum()
                if value.requires_grad:
                    found = torch.autograd.grad(value, [*parameters.values(), *leaves], allow_unused=True)
        except (RuntimeError, ValueError, IndexError, TypeError):
            return None
        finally:
            for hook in hooks:
                hook.remove()
        of_parameters, of_inputs = found[: len(parameters)], found[len(parameters) :]
        reached = {
            name.rpartition(".")[0]: bool(gradient.any())
            for name, gradient in zip(parameters, of_parameters, strict=True)
            if gradient is not None
        }
        return Gradients(
            called=tuple(name for name, counts in order.items() if counts or name in reached) or tuple(owners),
            reached=tuple(reached),
            all_zero=bool(reached) and not any(bool(g.any()) for g in of_parameters if g is not None),
            reaches_inputs=any(gradient is not None for gradient in of_inputs) if leaves else None,
        )

    def called_layers(self, kinds: tuple[type[nn.Module], ...]) -> list[tuple[str, Any]]:
        """Names and modules of the layers of these kinds that a forward pass calls, in their order.

        Args:
            kinds: Classes of layers.
        """
        if not isinstance(self.model, nn.Module) or not self.parameters:
            return []
        order: list[tuple[str, Any]] = []
        hooks = [
            layer.register_forward_hook(lambda module, _i, _o, name=name: order.append((name, module)))
            for name, layer in self.model.named_modules()
            if isinstance(layer, kinds)
        ]
        try:
            self.scores()
        finally:
            for hook in hooks:
                hook.remove()
        return order

    def changed_by_unit(self, layer: str, unit: int) -> Tensor | None:
        """Which scores change with the weights of one output unit of a layer; None where these cannot be found.

        Args:
            layer: Name of the layer.
            unit: Its output.
        """
        name = f"{layer}.weight" if layer else "weight"
        if name not in self.parameters:
            return None
        weight = self.parameters[name].clone()
        generator = torch.Generator().manual_seed(_SEED)
        weight[unit] += torch.randn(weight[unit].shape, generator=generator).to(weight)
        before = self.scores()
        with torch.no_grad():
            after = self._call({**self.parameters, name: weight}, self.inputs)
        changed: Tensor = before != after
        return changed

    def uses(self, parameters: list[nn.Parameter]) -> bool:
        """Whether a gradient of the scores reaches one of these parameters, which the model may not have registered."""
        try:
            with torch.inference_mode(mode=False), torch.enable_grad():
                value = self._call(self.parameters, self.inputs).float().sum()
                found = torch.autograd.grad(value, parameters, allow_unused=True) if value.requires_grad else ()
        except (RuntimeError, ValueError):
            return False
        return any(gradient is not None for gradient in found)

    def seeded(self, seed: int) -> Tensor:
        """The scores of the batch under another random seed, such as another draw of dropout.

        Args:
            seed: The seed.
        """
        with torch.no_grad():
            scores: Tensor = self._call(self.parameters, self.inputs, seed=seed)
            return scores

    def depends_on(self, layer: str) -> bool:
        """Whether the scores change with the parameters of a layer."""
        inside = {name: value for name, value in self.parameters.items() if name.rpartition(".")[0] == layer}
        generator = torch.Generator().manual_seed(_SEED)
        redrawn = {name: _redraw(value, 2.0, generator) for name, value in inside.items()}
        with torch.no_grad():
            return not torch.equal(self._call({**self.parameters, **redrawn}, self.inputs), self.scores())

    def on_larger_inputs(self) -> Tensor | None:
        """The scores for inputs a hundred times as large; None where these are no floating point numbers."""
        if not isinstance(self.inputs, Tensor) or not self.inputs.is_floating_point():
            return None
        with torch.no_grad():
            scores: Tensor = self._call(self.parameters, self.inputs * 100)
            return scores

    def takes_fewer_rows(self) -> bool:
        """Whether the model takes a batch of one row less; one that knows its rows, like a graph's nodes, does not."""
        try:
            with torch.no_grad():
                self._call(self.parameters, self.inputs[:-1])
        except (RuntimeError, ValueError, IndexError):
            return False
        return True

    def changed_rows(self, row: int, *, evaluating: bool = False) -> Tensor | None:
        """Which rows of scores change when one row of the inputs does; None where the inputs cannot be changed so.

        Args:
            row: The row of the inputs.
            evaluating: Whether to ask the model in evaluation mode, where no batch statistics join the rows.
        """
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
        with torch.no_grad():
            before = self._call(self.parameters, self.inputs, evaluating=evaluating)
            after = self._call(self.parameters, other, evaluating=evaluating)
        changed: Tensor = before != after
        return changed.flatten(1).any(1) if before.dim() > 1 else changed

    def on_inputs(self, inputs: Any) -> Tensor:  # noqa: ANN401 - whatever the model takes
        """The scores in evaluation mode for other inputs.

        Args:
            inputs: As the batch's.
        """
        with torch.no_grad():
            scores: Tensor = self._call(self.parameters, inputs, evaluating=True)
            return scores

    def _call(
        self,
        parameters: Mapping[str, Tensor],
        inputs: Any,  # noqa: ANN401 - whatever the model takes
        *,
        seed: int = _SEED,
        evaluating: bool = False,
    ) -> Any:  # noqa: ANN401 - whatever the model gives
        arguments: tuple[Any, ...] = inputs if isinstance(inputs, tuple) else (inputs,)
        keywords: dict[str, Any] = {}
        if isinstance(inputs, Mapping):
            arguments, keywords = (), dict(inputs)
        devices = sorted({value.device.index or 0 for value in parameters.values() if value.is_cuda})
        with random_state_kept(devices):
            seed_all(seed)  # the same dropout in each call, so that only what was changed can make a difference
            if isinstance(self.model, nn.Module) and (parameters or self.buffers):
                state = {**parameters, **{name: value.clone() for name, value in self.buffers.items()}}
                with module_state_kept(self.model, buffers=False):
                    if evaluating:
                        self.model.eval()
                    result = self.select(functional_call(self.model, state, arguments, keywords))
            else:
                with module_state_kept(self.model):
                    result = self.select(self.model(*arguments, **keywords))
        if torch_private.autocast_is_enabled():
            torch.clear_autocast_cache()  # casts made without gradients must not serve the training step
        return result


def _with_gradients(inputs: Any) -> tuple[Any, list[Tensor]]:  # noqa: ANN401 - whatever the model takes
    """Inputs whose floating point tensors record gradients, and these tensors."""
    leaves: list[Tensor] = []

    def leaf(value: Any) -> Any:  # noqa: ANN401 - as above
        if isinstance(value, Tensor) and value.is_floating_point():
            leaves.append(value.detach().clone().requires_grad_())
            return leaves[-1]
        return value.clone() if isinstance(value, Tensor) and value.is_inference() else value

    with torch.inference_mode(mode=False):
        if isinstance(inputs, Mapping):
            return {name: leaf(value) for name, value in inputs.items()}, leaves
        return (tuple(map(leaf, inputs)) if isinstance(inputs, tuple) else leaf(inputs)), leaves


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
