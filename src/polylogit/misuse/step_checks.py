"""Findings about optimizer steps that `watch` sees: a missing step, a learning rate of 0.

See also: `watching.py`.
"""

from polylogit.misuse.findings import MisuseFinding

__all__ = ["learning_rate_zero", "step_missing"]


def step_missing(times: int) -> MisuseFinding:
    """The finding for gradients that are cleared again and again without a step."""
    return MisuseFinding(
        "missing-step",
        f"gradients were computed and cleared {times} times, and no optimizer step has changed the model",
        "zero_grad() and backward() alone change no parameter",
        "nothing is learned",
        "Call optimizer.step() after backward(), with an optimizer of this model's parameters().",
        0.95,
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
