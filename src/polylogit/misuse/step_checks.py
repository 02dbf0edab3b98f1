"""Findings about optimizer steps, gradients and modes that `watch` sees.

See also: `step_watch.py`, which counts them.
"""

from polylogit.misuse.findings import MisuseFinding

__all__ = [
    "evaluated_in_training_mode",
    "gradients_cleared_too_early",
    "gradients_never_cleared",
    "head_not_in_optimizer",
    "learning_rate_zero",
    "parameters_unchanged",
    "step_missing",
    "trained_in_evaluation_mode",
]


def step_missing(times: int, *, cleared: bool) -> MisuseFinding:
    """The finding for gradients that no optimizer step follows.

    Args:
        times: Number of backward passes, or of gradients cleared.
        cleared: Whether they were cleared each time; otherwise the loop has ended without a step.
    """
    what = f"gradients were computed and cleared {times} times" if cleared else f"{times} backward passes were made"
    return MisuseFinding(
        "missing-step",
        f"{what}, and no optimizer step has changed the model",
        "zero_grad() and backward() alone change no parameter",
        "nothing is learned",
        "Call optimizer.step() after backward(), with an optimizer of this model's parameters().",
        0.95 if cleared else 0.8,
    )


def gradients_never_cleared(steps: int) -> MisuseFinding:
    """The finding for gradients that are added up over optimizer steps."""
    return MisuseFinding(
        "missing-zero-grad",
        f"in each of the last {steps} optimizer steps the gradients of earlier steps were still there, and the new "
        "ones were added to them",
        "backward() adds to .grad; a step moves by the sum of all gradients since they were cleared",
        "steps grow and point in old directions: training is unstable or stops early",
        "Call optimizer.zero_grad() once for each optimizer step, before backward().",
        0.9,
    )


def gradients_cleared_too_early(steps: int) -> MisuseFinding:
    """The finding for optimizer steps that find no gradients, though backward passes were made."""
    return MisuseFinding(
        "gradients-cleared",
        f"backward passes were made, and each of the first {steps} optimizer steps found no gradient in any parameter",
        "zero_grad() stands between backward() and step(), or step() before backward(): the step finds no gradient",
        "nothing is learned",
        "Keep the order: zero_grad(), the loss, backward(), step().",
        0.9,
    )


def learning_rate_zero(steps: int) -> MisuseFinding:
    """The finding for an optimizer whose learning rate is 0 in all groups of the model's parameters."""
    return MisuseFinding(
        "learning-rate-zero",
        f"the learning rate was 0 in each of the last {steps} optimizer steps",
        "a step with a learning rate of 0 changes no parameter; a schedule has ended or never started",
        "nothing is learned",
        "Set a learning rate above 0, and check the schedule: its steps per epoch, its warm-up and its end.",
        0.95,
    )


def parameters_unchanged(steps: int) -> MisuseFinding:
    """The finding for a model whose gradients no step of any optimizer uses, though optimizers make steps."""
    return MisuseFinding(
        "parameters-unchanged",
        f"{steps} optimizer steps were made by optimizers that have none of the model's trainable parameters, and each "
        "of these is what it was",
        "another model's parameters, or copies made before .to(device) or deepcopy, were given to the optimizer",
        "nothing is learned",
        "Make the optimizer from this model's parameters(), after the model has its final form.",
        0.9,
    )


def head_not_in_optimizer(name: str, steps: int) -> MisuseFinding:
    """The finding for a last layer that gets gradients and is in no optimizer, though most other layers are.

    Args:
        name: Name of the layer.
        steps: Optimizer steps that left it out.
    """
    return MisuseFinding(
        "parameters-not-in-optimizer",
        f"{name}, the last layer, gets gradients, but was in none of the optimizers that made the last {steps} steps; "
        "the layers before it were",
        "a layer that is replaced or added after the optimizer was made is not in it",
        "the last layer keeps its random weights; the layers before it adapt to them",
        "Make the optimizer after the model has its final form, or add_param_group the new layer's parameters.",
        0.85,
    )


def trained_in_evaluation_mode(layers: str, steps: int) -> MisuseFinding:
    """The finding for optimizer steps after forward passes in evaluation mode.

    Args:
        layers: Which layers that changes.
        steps: Optimizer steps made so.
    """
    return MisuseFinding(
        "evaluation-mode",
        f"the model was in evaluation mode in {steps} optimizer steps in a row; that changes what {layers} does",
        "dropout drops nothing and batch normalisation neither uses the batch nor learns its statistics there",
        "no regularisation, or activations that are never normalised",
        "Call model.train() before training, and after each evaluation.",
        0.8,
    )


def evaluated_in_training_mode(layers: str, times: int) -> MisuseFinding:
    """The finding for losses without gradients from forward passes in training mode.

    Args:
        layers: Which layers that changes.
        times: Number of losses.
    """
    return MisuseFinding(
        "training-mode",
        f"{times} losses were computed under no_grad while the model was in training mode, with {layers}",
        "an evaluation needs model.eval(): dropout makes it random, and batch normalisation normalises by the batch "
        "and takes the validation rows into its running statistics",
        "validation figures that are noisy and depend on the batch; statistics that have seen validation rows",
        "Call model.eval() before evaluation and model.train() after it.",
        0.7,
    )
