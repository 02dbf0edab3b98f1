"""Findings about numbers that are not finite and gradients that do not reach the parameters.

See also: `diagnosis.py`, which calls the checks.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from polylogit.misuse.findings import MisuseFinding
from polylogit.misuse.layer_probes import Gradients, depends_on, gradients_of
from polylogit.misuse.probes import Probe

__all__ = ["cut_gradient_findings", "losses_not_finite", "nonfinite_findings", "one_hot_scores", "zero_gradient"]


def nonfinite_findings(
    model: Callable[..., Any],
    inputs: Any,  # noqa: ANN401 - whatever the model takes
    scores: Tensor,
    targets: Any,  # noqa: ANN401 - whatever the loss takes
    value: float,
) -> Iterator[MisuseFinding]:
    """The first of parameters, inputs, scores, targets and loss that is NaN or infinite; -inf is a mask in scores.

    Args:
        model: For the names of its parameters.
        inputs: A tensor, or a tuple or mapping of the model's arguments.
        scores: The model's output.
        targets: As the loss gets them.
        value: The loss of the batch; NaN also where the loss raises an error.
    """
    wrong = scores.isnan() | (scores == torch.inf) if scores.is_floating_point() else torch.zeros_like(scores).bool()
    if bool(wrong.any()):
        parameters = model.named_parameters() if isinstance(model, nn.Module) else ()
        named = next((name for name, tensor in parameters if not bool(tensor.isfinite().all())), None)
        tensors = inputs.values() if isinstance(inputs, dict) else inputs if isinstance(inputs, tuple) else (inputs,)
        place = next(
            (
                (~tensor.isfinite()).nonzero()[0].tolist()
                for tensor in tensors
                if isinstance(tensor, Tensor) and tensor.is_floating_point() and not bool(tensor.isfinite().all())
            ),
            None,
        )
        row = int(wrong.nonzero()[0][0]) if wrong.dim() else 0
        if named is not None:
            code, what, fix = "non-finite-parameters", f"the parameter {named} is", "Load or initialise it again."
        elif place is not None:
            code, what, fix = "non-finite-inputs", f"inputs{place} is", "Impute or drop missing and infinite values."
        else:
            code, what = "non-finite-scores", f"inputs and parameters are finite, but scores[{row}] is"
            fix = "Look for a logarithm, root or division in the model whose argument reaches 0."
        yield MisuseFinding(
            code,
            f"{what} NaN or infinite; {int(wrong.sum())} of {wrong.numel()} scores are, the first in row {row}",
            "NaN and infinity spread to the loss and, with the first step, to every parameter",
            "nothing is learned, and the parameters are lost",
            fix,
            0.99,
        )
    elif isinstance(targets, Tensor) and targets.is_floating_point() and not bool(targets.isfinite().all()):
        place = (~targets.isfinite()).nonzero()[0].tolist()
        yield MisuseFinding(
            "non-finite-targets",
            f"targets{place} is {float(targets[tuple(place)])}",
            "the loss of a row with such a target is NaN",
            "nothing is learned, and the parameters are lost",
            "Drop rows without a label, or mark them with ignore_index.",
            0.99,
        )
    elif value in (torch.inf, -torch.inf):
        yield MisuseFinding(
            "non-finite-loss",
            f"the scores are no NaN, but the loss is {value}",
            "a target's class has the score -inf or the probability 0: a mask hides it, or a logarithm meets 0",
            "the gradient is NaN, and the parameters are lost with the first step",
            "Keep the class of each target out of the mask; use log_softmax, not the logarithm of a softmax.",
            0.95,
        )


def one_hot_scores(scores: Tensor) -> bool:
    """Whether scores are the result of an argmax: integers, or rows of zeros with a one."""
    if not scores.is_floating_point():
        return True
    if scores.dim() < 2 or scores.shape[1] < 2 or scores.numel() == 0:
        return False
    return bool(((scores == 0) | (scores == 1)).all()) and bool((scores.sum(1) == 1).all())


def cut_gradient_findings(probe: Probe, reached: Gradients | None, scores: Tensor | None) -> Iterator[MisuseFinding]:
    """The finding for parameters that no gradient reaches.

    A layer counts as cut off where the scores depend on it, no layer called before it gets a gradient, and the inputs
    get none: so a head beside the way to the scores, a codebook behind a straight-through estimator or a hard choice
    between experts is no cut. Neither is a part of several layers under one name before a single trained layer: that is
    how features of a fixed network are evaluated (linear probing).

    Args:
        probe: The model and the inputs.
        reached: Where a backward pass arrives; None where there was none.
        scores: The scores of the batch; None where the model gives something else than one tensor.
    """
    hard = scores is not None and (one_hot_scores(scores) or _zeros_and_ones(scores))
    if reached is None:
        if scores is not None and not scores.is_floating_point():
            yield _cut("the scores are class numbers, as from argmax", 0.99)
        return
    if not reached.reached:
        first = f"; the first without is {reached.called[0]}" if reached.called else ""
        argmax = "; the scores are class numbers or one-hot rows, as from argmax" if hard else ""
        yield _cut(f"no gradient reaches the parameters{first}{argmax}", 0.99)
        return
    if hard and reached.all_zero:
        yield _cut("each gradient is 0; the scores are 0 and 1 only, as from round, sign or a threshold", 0.95)
        return
    cut = list(itertools.takewhile(lambda layer: layer not in reached.reached, reached.called))
    if scores is None or not cut or reached.reaches_inputs or _is_linear_probe(cut, reached):
        return
    if depends_on(probe, cut[-1]):
        yield _cut(
            f"{cut[-1] or 'the model itself'} is used and trainable, but gets no gradient; the layers after it do", 0.75
        )


def _zeros_and_ones(scores: Tensor) -> bool:
    return bool(((scores == 0) | (scores == 1)).all()) and bool((scores == 0).any()) and bool((scores == 1).any())


def _is_linear_probe(cut: list[str], gradients: Gradients) -> bool:
    parents = {layer.partition(".")[0] for layer in cut}
    return len(cut) > 1 and len(parents) == 1 and len(set(gradients.reached)) == 1


def _cut(seen: str, confidence: float) -> MisuseFinding:
    return MisuseFinding(
        "cut-gradient",
        seen,
        "detach, no_grad, argmax, round, .item(), .tolist() or numpy between the layers cut the graph of gradients",
        "the layers before the cut are never trained",
        "Hand the scores to the loss as they are, without argmax; drop detach and no_grad on the way to it.",
        confidence,
    )


def zero_gradient(
    probe: Probe, loss: Callable[[Tensor], Tensor], reached: Gradients | None, value: float
) -> Iterator[MisuseFinding]:
    """The finding for a loss above 0 whose gradients, or those of the first layers and of the inputs, are exactly 0.

    A last layer that starts at 0 gives the layers before it a gradient of 0 once: so the first layers count only where
    a step of the others leaves their gradient at 0.

    Args:
        probe: The model and the inputs.
        loss: From scores to a number.
        reached: Where a backward pass arrives; None where there was none.
        value: The loss of the batch.
    """
    if reached is None or not value > 0.01:
        return
    what = "each gradient that reaches a parameter"
    if not reached.all_zero:
        first = _first_layers_at_zero(reached)
        again = gradients_of(probe, loss, at=reached.after_a_step) if first else None
        if again is None or _first_layers_at_zero(again) != first:
            return
        what = f"each gradient of {', '.join(name or 'the model itself' for name in first)} and of the inputs"
    yield MisuseFinding(
        "zero-gradient",
        f"the loss is {value:.4g}, and {what} is exactly 0",
        "round, sign, clamp outside its bounds, a saturated sigmoid or a multiplication by 0 has slope 0",
        "no step changes these parameters",
        "Look for such an operation between the parameters and the loss; scale the inputs.",
        0.9,
    )


def _first_layers_at_zero(reached: Gradients) -> list[str]:
    """The layers called before any gradient other than 0, where the inputs get none either."""
    if reached.inputs_at_zero is not True:
        return []
    return list(itertools.takewhile(lambda layer: layer not in reached.not_zero, reached.called))


def losses_not_finite(value: float, number: int, times: int) -> MisuseFinding:
    """The finding for a loop whose losses have become NaN or infinite.

    Args:
        value: The last loss.
        number: Its number in the loop.
        times: How many losses in a row were not finite.
    """
    return MisuseFinding(
        "non-finite-loss",
        f"the loss is {value} at loss {number}; the last {times} were not finite",
        "steps that are too large have moved the parameters to infinity, a row holds NaN, or a whole batch was ignored",
        "the parameters are lost: each further step only spreads NaN",
        "Lower the learning rate or clip the gradients; look for NaN in the inputs and for batches without a label.",
        0.9,
    )
