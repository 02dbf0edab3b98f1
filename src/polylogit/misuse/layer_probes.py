"""Which layers of a model a gradient reaches, the scores depend on, and a forward pass calls.

See also: `probes.py`, whose calls leave the model unchanged.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from polylogit.misuse.probes import SEED, Probe, redrawn_parameter

__all__ = ["Gradients", "called_layers", "changed_by_unit", "depends_on", "gradients_of", "uses"]


@dataclass(frozen=True, slots=True)
class Gradients:
    """Where one backward pass arrives.

    Attributes:
        called: Layers with trainable parameters, in the order of their calls. Layers that are in evaluation mode, or
            called with gradients switched off in a model that is otherwise trained, count as frozen on purpose and are
            left out.
        reached: Those of them that get a gradient.
        not_zero: Those of them that get one other than 0.
        all_zero: Whether each gradient that arrives is exactly 0.
        reaches_inputs: Whether a gradient reaches the inputs; None where none of them is a floating point tensor.
        inputs_at_zero: Whether each gradient of the inputs is exactly 0; None where none reaches them.
        after_a_step: The parameters after a step of length 1 against the gradients.
    """

    called: tuple[str, ...]
    reached: tuple[str, ...]
    not_zero: tuple[str, ...]
    all_zero: bool
    reaches_inputs: bool | None
    inputs_at_zero: bool | None
    after_a_step: dict[str, Tensor]


def gradients_of(
    probe: Probe, loss: Callable[[Tensor], Tensor], at: Mapping[str, Tensor] | None = None
) -> "Gradients | None":
    """Which layers with trainable parameters, and whether the inputs, a gradient reaches; None where that fails.

    Args:
        probe: The model and the inputs.
        loss: From scores to a number.
        at: Parameters; those of the model when left out.
    """
    if not isinstance(probe.model, nn.Module):
        return None
    start = {**probe.parameters, **(at or {})}
    trained = {name for name, value in probe.model.named_parameters() if value.requires_grad}
    parameters = {name: start[name].detach().clone().requires_grad_() for name in start if name in trained}
    inputs, leaves = _with_gradients(probe.inputs)
    order: dict[str, bool] = {}

    def note(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, given: object, output: object) -> None:
            order[name] = order.get(name, False) or (torch.is_grad_enabled() and module.training)

        return hook

    owners = {name.rpartition(".")[0] for name in trained}
    layers = {name: module for name, module in probe.model.named_modules() if name in owners}
    hooks = [module.register_forward_hook(note(name)) for name, module in layers.items()]
    found: tuple[Tensor | None, ...] = (None,) * (len(parameters) + len(leaves))
    try:
        with torch.inference_mode(mode=False), torch.enable_grad():
            value = loss(probe.call({**start, **parameters}, inputs)).sum()
            if value.requires_grad:
                found = torch.autograd.grad(value, [*parameters.values(), *leaves], allow_unused=True)
    except (RuntimeError, ValueError, IndexError, TypeError):
        return None
    finally:
        for hook in hooks:
            hook.remove()
    of_parameters, of_inputs = found[: len(parameters)], found[len(parameters) :]
    gradients = {name: g for name, g in zip(parameters, of_parameters, strict=True) if g is not None}
    reached = dict.fromkeys(name.rpartition(".")[0] for name in gradients)
    not_zero = dict.fromkeys(name.rpartition(".")[0] for name, g in gradients.items() if bool(g.any()))
    norm = sum(float(g.cpu().double().square().sum()) for g in gradients.values()) ** 0.5 or 1.0
    inputs_reached = [g for g in of_inputs if g is not None]
    return Gradients(
        called=tuple(name for name, counts in order.items() if counts or name in reached) or tuple(owners),
        reached=tuple(reached),
        not_zero=tuple(not_zero),
        all_zero=bool(reached) and not not_zero,
        reaches_inputs=bool(inputs_reached) if leaves else None,
        inputs_at_zero=not any(bool(g.any()) for g in inputs_reached) if inputs_reached else None,
        after_a_step={name: (parameters[name] - g / norm).detach() for name, g in gradients.items()},
    )


def called_layers(probe: Probe, kinds: tuple[type[nn.Module], ...]) -> list[tuple[str, Any]]:
    """Names and modules of the layers of these kinds that a forward pass calls, in their order.

    Args:
        probe: The model and the inputs.
        kinds: Classes of layers.
    """
    if not isinstance(probe.model, nn.Module) or not probe.parameters:
        return []
    order: list[tuple[str, Any]] = []
    hooks = [
        layer.register_forward_hook(lambda module, _i, _o, name=name: order.append((name, module)))
        for name, layer in probe.model.named_modules()
        if isinstance(layer, kinds)
    ]
    try:
        probe.scores()
    finally:
        for hook in hooks:
            hook.remove()
    return order


def changed_by_unit(probe: Probe, layer: str, unit: int) -> Tensor | None:
    """Which scores change with the weights of one output unit of a layer; None where these cannot be found.

    Args:
        probe: The model and the inputs.
        layer: Name of the layer.
        unit: Its output.
    """
    name = f"{layer}.weight" if layer else "weight"
    if name not in probe.parameters:
        return None
    weight = probe.parameters[name].clone()
    generator = torch.Generator().manual_seed(SEED)
    weight[unit] += torch.randn(weight[unit].shape, generator=generator).to(weight)
    before = probe.scores()
    with torch.no_grad():
        after = probe.call({**probe.parameters, name: weight}, probe.inputs)
    changed: Tensor = before != after
    return changed


def uses(probe: Probe, parameters: list[nn.Parameter]) -> bool:
    """Whether a gradient of the scores reaches one of these parameters, which the model may not have registered.

    Args:
        probe: The model and the inputs.
        parameters: Parameters of any module.
    """
    try:
        with torch.inference_mode(mode=False), torch.enable_grad():
            value = probe.call(probe.parameters, probe.inputs).float().sum()
            found = torch.autograd.grad(value, parameters, allow_unused=True) if value.requires_grad else ()
    except (RuntimeError, ValueError):
        return False
    return any(gradient is not None for gradient in found)


def depends_on(probe: Probe, layer: str) -> bool:
    """Whether the scores change with the parameters of a layer.

    Args:
        probe: The model and the inputs.
        layer: Name of the layer.
    """
    inside = {name: value for name, value in probe.parameters.items() if name.rpartition(".")[0] == layer}
    generator = torch.Generator().manual_seed(SEED)
    redrawn = {name: redrawn_parameter(value, 2.0, generator) for name, value in inside.items()}
    with torch.no_grad():
        return not torch.equal(probe.call({**probe.parameters, **redrawn}, probe.inputs), probe.scores())


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
