"""Findings about numbers that are not finite and gradients that do not reach the parameters.

See also: `diagnosis.py`, which calls the checks.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from polylogit.misuse.findings import MisuseFinding
from polylogit.misuse.probes import Probe

__all__ = ["cut_gradient_findings", "nonfinite_findings", "one_hot_scores"]


def nonfinite_findings(
    model: Callable[..., Any],
    inputs: Any,  # noqa: ANN401 - whatever the model takes
    scores: Tensor,
    targets: Tensor,
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


def cut_gradient_findings(probe: Probe, loss: Callable[[Tensor], Tensor], scores: Tensor) -> Iterator[MisuseFinding]:
    """The finding for parameters that no gradient reaches, by one backward pass.

    Args:
        probe: The model and the inputs.
        loss: From scores to a number.
        scores: The scores of the batch.
    """
    hard = one_hot_scores(scores)
    reached = probe.gradients(loss) if probe.trainable else None
    if reached is None and not ((hard and scores.is_floating_point() is False) or (hard and probe.trainable)):
        return
    cut = [] if reached is None else [layer for layer, state in reached.items() if state == "none"]
    if reached is not None and not cut:
        return
    if reached is not None and len(cut) < len(reached):
        seen = f"{cut[-1]} is used and trainable, but gets no gradient; the layers after it do"
        confidence = 0.75
    else:
        seen = "no gradient reaches the parameters" + (f"; the first without is {cut[0]}" if cut else "")
        confidence = 0.99
    if hard:
        seen += "; the scores are class numbers or one-hot rows, as from argmax"
    yield MisuseFinding(
        "cut-gradient",
        seen,
        "detach, no_grad, argmax, round, .item(), .tolist() or numpy between the layers cut the graph of gradients",
        "the layers before the cut are never trained",
        "Hand the scores to the loss as they are, without argmax; drop detach and no_grad on the way to it.",
        confidence,
    )
