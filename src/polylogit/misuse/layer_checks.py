"""Findings about layers: units that are all alike, layers that no parameter list knows, dropout of scores, axes.

See also: `diagnosis.py`, which calls the checks.
"""

from collections.abc import Iterator

from torch import Tensor, nn

from polylogit.misuse.findings import MisuseFinding
from polylogit.misuse.layer_probes import called_layers, changed_by_unit, uses
from polylogit.misuse.probes import Probe

__all__ = ["axis_findings", "dropout_on_scores", "identical_units", "unregistered_layers"]


def identical_units(probe: Probe) -> Iterator[MisuseFinding]:
    """The finding for a hidden layer whose units have all the same weights, other than 0.

    Args:
        probe: The model and the inputs.
    """
    layers = called_layers(probe, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d))
    for name, layer in layers[:-1]:
        weight = layer.weight.detach()
        if not layer.weight.requires_grad or len(weight) < 2 or getattr(layer, "groups", 1) > 1:
            continue
        if bool((weight == weight[:1]).all()) and bool(weight.any()):
            yield MisuseFinding(
                "identical-units",
                f"the {len(weight)} units of {name} have all the same weights",
                "units that start alike get the same gradient and stay alike",
                "the layer is as good as one unit",
                "Initialise weights at random: nn.init.kaiming_normal_ or the layer's reset_parameters().",
                0.9,
            )
            return


def unregistered_layers(probe: Probe) -> Iterator[MisuseFinding]:
    """The finding for trainable layers in a list or dictionary of a module, which parameters() does not know.

    Args:
        probe: The model and the inputs.
    """
    if not isinstance(probe.model, nn.Module):
        return
    known = {id(value) for value in probe.model.parameters()}
    for owner, module in probe.model.named_modules():
        for name, value in vars(module).items():
            if name.startswith("_") or not isinstance(value, list | tuple | dict):
                continue
            parts = value.values() if isinstance(value, dict) else value
            hidden = [p for part in parts for p in _parameters(part) if p.requires_grad and id(p) not in known]
            if hidden and uses(probe, hidden):
                place = f"{owner}.{name}" if owner else name
                yield MisuseFinding(
                    "unregistered-layers",
                    f"{place}, a {type(value).__name__}, holds {len(hidden)} trainable parameters that parameters() "
                    "does not give",
                    "modules find layers in attributes, nn.ModuleList, nn.ModuleDict and nn.ParameterList only",
                    "these layers are in no optimizer and in no saved state, and stay on their device",
                    f"Wrap it: self.{name} = nn.Module{'Dict' if isinstance(value, dict) else 'List'}(...).",
                    0.9,
                )
                return


def _parameters(part: object) -> list[nn.Parameter]:
    if isinstance(part, nn.Module):
        return list(part.parameters())
    return [part] if isinstance(part, nn.Parameter) else []


def dropout_on_scores(samples: list[Tensor]) -> Iterator[MisuseFinding]:
    """The finding for scores of both signs of which some, others in each call, are exactly 0.

    Args:
        samples: The scores of the same batch under several random seeds.
    """
    if len(samples) < 2 or samples[0].numel() < 20 or samples[0].dim() < 2:
        return
    zeros = [sample == 0 for sample in samples]
    share = [float(zero.float().mean()) for zero in zeros]
    signs = all(bool((sample < 0).any()) and bool((sample > 0).any()) for sample in samples)
    if signs and min(share) > 0.02 and max(share) < 0.98 and bool((zeros[0] != zeros[1]).any()):
        yield MisuseFinding(
            "dropout-on-scores",
            f"{share[0]:.0%} of the scores are exactly 0, others with each call",
            "dropout after the last layer sets logits to 0 at random, and the softmax takes them as they are",
            "the loss has noise that no training removes, and the other logits are too large by 1 / (1 - p)",
            "Put dropout before the last layer.",
            0.9,
        )


def axis_findings(probe: Probe, scores: Tensor) -> Iterator[MisuseFinding]:
    """The finding for classes on another axis than 1, seen from what one output unit of the last layer changes.

    Args:
        probe: The model and the inputs.
        scores: The scores of the batch, of shape (N, K, ...).
    """
    if scores.dim() < 2 or scores.shape[1] < 2:
        return
    layers = called_layers(probe, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d))
    if not layers or len(layers[-1][1].weight) != scores.shape[1]:
        return
    changed = changed_by_unit(probe, layers[-1][0], 0)
    if changed is None or changed.shape != scores.shape or int(changed.sum()) * scores.shape[1] != changed.numel():
        return
    axes = [axis for axis in range(1, scores.dim()) if bool(changed.select(axis, 0).all())]
    if 1 in axes:
        return
    if axes:
        yield MisuseFinding(
            "class-axis",
            f"scores of shape {tuple(scores.shape)}: the outputs of the last layer are on axis {axes[0]}",
            "the loss takes classes on axis 1; these two axes happen to be equally long",
            "a softmax over the wrong axis: classes are compared between positions",
            "Move the axis: scores.movedim(-1, 1), or lay positions as rows: scores.flatten(0, 1).",
            0.95,
        )
        return
    yield MisuseFinding(
        "shuffled-classes",
        f"one output of the last layer ({layers[-1][0] or 'the model itself'}) fills no single class of the scores of "
        f"shape {tuple(scores.shape)}",
        "a view or reshape after the last layer has mixed classes with positions or rows",
        "the scores of a row are those of other classes and positions",
        "Use permute or movedim to change the order of axes; view and reshape keep the order in memory.",
        0.9,
    )
