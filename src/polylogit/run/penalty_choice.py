"""The choice of the inverse penalty C by cross-validated log loss, along a path of rising C.

See also: `polylogit.run.linear_fit`, which fits the models of the path; `polylogit.estimators.linear_path`, a path for
users of scikit-learn.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from polylogit.calibration.temperature import losses_after_temperature
from polylogit.evaluation.metrics import row_losses
from polylogit.evaluation.rows import ScoredRows
from polylogit.fitting.out_of_fold import HeldOutLogits

__all__ = ["PathPoint", "PenaltyChoice", "choose_penalty"]

USUAL_POWERS = (-5, -12, 12)
"""Powers of the square root of 10: where the path starts, the lowest and the highest."""

_PATIENCE = 2
"""Points in a row that are worse than the best before the path ends."""

_LEAST_GAIN = 1e-3
"""A smaller relative gain of log loss is none: the path of separable classes would go on without end."""


_ROWS_FOR_TEMPERATURE = 1000
"""With fewer held-out rows a temperature for each C adds more noise to the comparison than it takes away."""


@dataclass(frozen=True)
class PathPoint:
    """One C of the path.

    Attributes:
        C: The inverse penalty.
        log_loss: Mean log loss of the rows held out, in nats; after temperature scaling where `choose_penalty` says so.
        behind: By how much that is above the lowest of the path.
        standard_error: Of `behind`, from the differences row by row; 0 for the best.
    """

    C: float
    log_loss: float
    behind: float
    standard_error: float


@dataclass(frozen=True)
class PenaltyChoice:
    """The chosen C, and the path that it was chosen from.

    Attributes:
        C: The chosen inverse penalty.
        path: Each C that was tried, in ascending order.
        rows: How many rows were held out.
        fits: How many models were fitted.
        at_the_edge: Whether C is the lowest or highest that the path may reach, so that one beyond may be better.
        held_out: The logits at the chosen C of the rows held out.
        after_temperature: Whether the log losses of the path are those after temperature scaling.
    """

    C: float
    path: tuple[PathPoint, ...]
    rows: int
    fits: int
    at_the_edge: bool
    held_out: HeldOutLogits
    after_temperature: bool = False

    @property
    def in_words(self) -> str:
        """The choice as a sentence."""
        chosen = next(point for point in self.path if point.C == self.C)
        edge = " It is the limit of what is tried." if self.at_the_edge else ""
        scaled = " after temperature scaling" if self.after_temperature else ""
        return (
            f"C = {self.C:.3g}, of {len(self.path)} values from {self.path[0].C:.3g} to {self.path[-1].C:.3g} the one "
            f"nearest to 1 within a standard error of the lowest log loss{scaled} of {self.rows:,} held-out training "
            f"rows ({chosen.log_loss:.4f}).{edge}"
        )

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "C": self.C,
            "rows": self.rows,
            "fits": self.fits,
            "at_the_edge": self.at_the_edge,
            "after_temperature": self.after_temperature,
            "path": [asdict(point) for point in self.path],
        }


def choose_penalty(
    logits_at: Callable[[float], HeldOutLogits | None],
    targets: Int[Tensor, " N"],
    weights: Float[Tensor, " N"] | None = None,
    *,
    powers: tuple[int, int, int] = USUAL_POWERS,
    calibrated: bool = False,
) -> PenaltyChoice | None:
    """Try rising values of C, and lower ones where the lowest is the best; choose by log loss.

    A strong penalty makes probabilities timid and a weak one makes them bold, which a calibration will correct. So the
    log loss of a model that will be calibrated is that after the best temperature for its held-out rows, where these
    are 1,000 or more.

    The path rises by factors of the square root of 10 and ends where two values in a row do not improve on the best.
    Of the values whose log loss is within one standard error of the lowest, the one nearest to 1 is chosen: few rows
    are no reason to leave the usual penalty for one that is far from it. The standard error is that of the difference
    to the lowest, row by row. docs/choosing.md compares this rule with others.

    Args:
        logits_at: Logits of held-out rows at a C, of the same rows each time.
        targets: The class of each row that `HeldOutLogits.rows` numbers.
        weights: Their weights, above zero; None: all weigh the same.
        powers: Of the square root of 10: where the path starts, the lowest and the highest.
        calibrated: Whether the model will be calibrated.

    Returns:
        The choice; None where no row can be held out.

    Example:
        >>> import torch
        >>> targets = torch.tensor([0, 1])
        >>> def logits_at(C):
        ...     scale = 10 * C / (100 + C * C)  # the best is at C = 10
        ...     return HeldOutLogits(torch.arange(2), scale * torch.eye(2), (2,))
        >>> choose_penalty(logits_at, targets).C
        10.0

    Source: the rule of one standard error is that of Breiman, Friedman, Olshen and Stone (1984), "Classification and
        regression trees", section 3.4.3, towards C = 1 instead of the strongest penalty; the log loss after temperature
        scaling: Berta, Holzmüller, Jordan and Bach (2025), "Rethinking early stopping: refine, then calibrate".
    """
    found: dict[int, tuple[HeldOutLogits, Tensor]] = {}
    means: dict[int, float] = {}

    def tried(power: int, held_out: HeldOutLogits | None) -> None:
        if held_out is not None:
            losses = losses_of(scored.with_logits(held_out.logits.double()))
            found[power], means[power] = (held_out, losses), scored.mean(losses)

    start, lowest, highest = powers
    first = logits_at(_inverse_penalty(start))
    if first is None:
        return None
    scored = ScoredRows.check(first.logits, targets[first.rows], None if weights is None else weights[first.rows])
    after_temperature = calibrated and scored.effective_rows >= _ROWS_FOR_TEMPERATURE
    losses_of = losses_after_temperature if after_temperature else row_losses
    tried(start, first)
    for direction in (range(start + 1, highest + 1), range(start - 1, lowest - 1, -1)):
        worse = 0
        if direction.step < 0 and min(means, key=lambda power: means[power]) > start + 1:
            break
        for power in direction:
            best = min(means.values())
            tried(power, logits_at(_inverse_penalty(power)))
            worse = 0 if means[power] < best * (1 - _LEAST_GAIN) else worse + 1
            if worse == _PATIENCE:
                break
    best_power = min(means, key=lambda power: (means[power], power))
    path, near = [], []
    for power in sorted(means):
        behind, error = scored.mean_and_error(found[power][1] - found[best_power][1])
        path.append(PathPoint(_inverse_penalty(power), means[power], behind, error))
        if behind <= error:
            near.append(power)
    chosen = min(near, key=abs)
    held_out = found[chosen][0]
    return PenaltyChoice(
        C=_inverse_penalty(chosen),
        path=tuple(path),
        rows=len(held_out.rows),
        fits=len(path) * held_out.fits,
        at_the_edge=len(path) > 1 and chosen in {lowest, highest},
        held_out=held_out,
        after_temperature=after_temperature,
    )


def _inverse_penalty(power: int) -> float:
    return float(10.0 ** (power / 2))
