"""What the decisions of a rule cost on labelled rows, against those without it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from polylogit.calibration.decision_rule import DecisionRule
from polylogit.evaluation import ScoredRows

__all__ = ["DecisionEvaluation", "evaluate_decisions"]


@dataclass(frozen=True)
class DecisionEvaluation:
    """Mean costs of decisions on labelled rows, in the unit of the costs; without costs the share of errors.

    Attributes:
        rows: Number of rows.
        rule: The rule in words.
        mean_cost: Of the decisions by the rule.
        interval: 95 % interval of it.
        most_probable: Mean cost of always taking the most probable class.
        saving: How much less the rule costs.
        saving_interval: 95 % interval of the saving, from the differences row by row.
        constant: The class that costs least if every row is decided for it.
        constant_cost: Mean cost of that.
        changed: Share of rows that get another class than the most probable.
        recalls: Share of the rows of each class that are decided for it; None where there is no row.
        reweighted: Whether the rows were weighted to the class shares where the model is used.
    """

    rows: int
    rule: str
    mean_cost: float
    interval: tuple[float, float]
    most_probable: float
    saving: float
    saving_interval: tuple[float, float]
    constant: str
    constant_cost: float
    changed: float
    recalls: tuple[float | None, ...]
    reweighted: bool

    def sentence(self, noun: str = "row") -> str:
        """The figures in words, for a terminal and a page.

        Args:
            noun: What one row is called.
        """
        low, high = self.saving_interval
        where = " weighted to the class shares where the model is used" if self.reweighted else ""
        nouns = noun if self.rows == 1 else f"{noun}s"
        verdict = "lower" if low > 0 else "higher" if high < 0 else "not measurably different"
        return (
            f"{self.rule} On the {self.rows:,} test {nouns}{where} a decision costs {self.mean_cost:.4g} on average; "
            f"the most probable class would cost {self.most_probable:.4g}, and always “{self.constant}” "
            f"{self.constant_cost:.4g}. The rule changes {self.changed:.1%} of the decisions, and its cost is "
            f"{verdict} (saving {self.saving:.4g}, 95% interval {low:.4g} to {high:.4g})."
        )

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return asdict(self) | {
            "interval": list(self.interval),
            "saving_interval": list(self.saving_interval),
            "recalls": list(self.recalls),
        }


def evaluate_decisions(rule: DecisionRule, rows: ScoredRows, class_names: Sequence[str]) -> DecisionEvaluation:
    """Evaluate the decisions of a rule.

    With a prior every row is weighted by prior[k] over the share of its class k among the rows, so that the
    figures are those where the model is used.

    Args:
        rule: The rule.
        rows: Labelled rows with calibrated logits.
        class_names: Name of each class.

    Returns:
        The mean costs.

    Example:
        >>> rule = DecisionRule(costs=((0.0, 10.0), (1.0, 0.0)))
        >>> rows = ScoredRows.check(torch.tensor([[0.2, 0.8], [0.05, 0.95]]).log(), torch.tensor([0, 1]))
        >>> found = evaluate_decisions(rule, rows, ("ill", "well"))
        >>> found.mean_cost, found.most_probable, found.constant, found.changed
        (0.0, 5.0, 'ill', 0.5)
    """
    classes = rows.logits.shape[1]
    if rule.prior is not None:
        support = torch.bincount(rows.targets, weights=rows.weights, minlength=classes)
        factors = (rows.logits.new_tensor(rule.prior) / support)[rows.targets]
        counted = factors > 0
        if counted.any():
            rows = ScoredRows(
                rows.logits[counted], rows.targets[counted], (rows.weights * factors * len(factors))[counted]
            )
    matrix = 1 - torch.eye(classes).double() if rule.costs is None else rows.logits.new_tensor(rule.costs)
    decided, likely = rule.decide(rows.logits), rows.predictions

    def costs(decisions: Int[Tensor, " N"]) -> Tensor:
        return matrix[rows.targets, decisions]

    mean, error = rows.mean_and_error(costs(decided))
    saving, saving_error = rows.mean_and_error(costs(likely) - costs(decided))
    constants = [rows.mean(matrix[rows.targets, k]) for k in range(classes)]
    best = min(range(classes), key=constants.__getitem__)
    hits, counts = (
        torch.bincount(rows.targets, weights=rows.weights * values, minlength=classes).tolist()
        for values in ((decided == rows.targets).double(), torch.ones_like(rows.weights))
    )
    return DecisionEvaluation(
        rows=len(rows.targets),
        rule=rule.in_words(),
        mean_cost=mean,
        interval=(mean - 1.96 * error, mean + 1.96 * error),
        most_probable=rows.mean(costs(likely)),
        saving=saving,
        saving_interval=(saving - 1.96 * saving_error, saving + 1.96 * saving_error),
        constant=class_names[best],
        constant_cost=constants[best],
        changed=rows.mean((decided != likely).double()),
        recalls=tuple(hit / count if count else None for hit, count in zip(hits, counts, strict=True)),
        reweighted=rule.prior is not None,
    )
