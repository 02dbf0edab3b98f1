"""Decisions by costs: the class of the least expected cost, with the class shares where the classifier is used.

See also: docs/decision_costs.md.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Bool, Float, Int
from torch import Tensor

from polylogit.errors import RecipeError, did_you_mean

__all__ = ["DecisionRule"]

TIE_MARGIN = 1e-4
"""Two least expected costs that differ by at most this share of the largest cost are a near tie."""


@dataclass(frozen=True)
class DecisionRule:
    """The class of the least expected cost.

    expected cost of deciding for j = sum over k of q(k) costs[k][j],   q(k) proportional to p(k) prior[k] / trained[k]

    Without costs an error costs 1, and the decision is the most probable class. The first of several equal costs wins.

    Attributes:
        costs: For each true class the cost of deciding for each class; None: 1 for each error.
        prior: Share of each class where the classifier is used, summing to 1; None: as in training.
        trained: Share of each class among the training rows, by weight; needed with a prior.

    Example:
        >>> import torch
        >>> costs = {"ill": {"ill": 0, "well": 10}, "well": {"ill": 1, "well": 0}}
        >>> rule = DecisionRule.by_name(("ill", "well"), costs=costs)
        >>> logits = torch.tensor([[0.2, 0.8], [0.05, 0.95]]).log()
        >>> expected = rule.expected_costs(logits).tolist()
        >>> rule.decide(logits).tolist(), [[round(cost, 3) for cost in row] for row in expected]
        ([0, 1], [[0.8, 2.0], [0.95, 0.5]])

    Source: Elkan (2001), The Foundations of Cost-Sensitive Learning, eq. 1; Saerens, Latinne and Decaestecker (2002),
        Adjusting the Outputs of a Classifier to New a Priori Probabilities, eq. 4.
    """

    costs: tuple[tuple[float, ...], ...] | None = None
    prior: tuple[float, ...] | None = None
    trained: tuple[float, ...] | None = None

    @classmethod
    def by_name(
        cls,
        class_names: Sequence[str],
        *,
        costs: Mapping[str, Mapping[str, int | float]] | None = None,
        prior: Mapping[str, int | float] | None = None,
        trained: Sequence[float] | None = None,
    ) -> "DecisionRule":
        """The rule of costs and shares that are given by class names.

        Args:
            class_names: The classes in the order of the logits.
            costs: The cost of each decision by true class, for every pair of classes.
            prior: The share of every class, or numbers in proportion to it.
            trained: The share of each class among the training rows.

        Returns:
            The rule.

        Raises:
            RecipeError: A class is unknown or missing, a number is not finite, a share is negative or all are 0, or a
                prior is given and the shares of the training rows are not known.
        """
        matrix = None
        if costs is not None:
            _check_names(costs, class_names, "costs, true classes")
            for true in class_names:
                _check_names(costs[true], class_names, f'costs of the true class "{true}"')
            matrix = tuple(tuple(float(costs[true][decided]) for decided in class_names) for true in class_names)
            if not all(math.isfinite(cost) for row in matrix for cost in row):
                raise RecipeError("costs: expected finite numbers, got NaN or infinity.")
        shares = None
        if prior is not None:
            _check_names(prior, class_names, "prior")
            given = [float(prior[name]) for name in class_names]
            if not all(math.isfinite(share) and share >= 0 for share in given) or not sum(given):
                raise RecipeError(f"prior: expected shares of 0 or more, not all 0, got {given}.")
            shares = tuple(share / sum(given) for share in given)
            if trained is None:
                raise RecipeError(
                    "prior: the model does not know the class shares that its probabilities rest on, because it was "
                    "written before they were kept, or trained with balanced class weights. Train it again without "
                    "training.class_weight, or give costs only."
                )
        return cls(matrix, shares, None if trained is None or shares is None else tuple(trained))

    def as_header(self) -> dict[str, Any]:
        """Its entry in the header of a model file; the class shares of the training rows are in another one."""
        return {
            "costs": None if self.costs is None else [list(row) for row in self.costs],
            "prior": None if self.prior is None else list(self.prior),
        }

    @classmethod
    def from_header(cls, entry: Mapping[str, Any], trained: Sequence[float] | None) -> "DecisionRule":
        """The rule of a validated header entry.

        Args:
            entry: As `as_header` gives it.
            trained: The share of each class among the training rows.
        """
        costs, prior = entry["costs"], entry["prior"]
        return cls(
            None if costs is None else tuple(map(tuple, costs)),
            None if prior is None else tuple(prior),
            None if prior is None or trained is None else tuple(trained),
        )

    def log_ratios(self) -> tuple[float, ...] | None:
        """What a prior adds to each logit: log(prior / trained), -inf for a share of 0; None without a prior."""
        if self.prior is None or self.trained is None:
            return None
        pairs = zip(self.prior, self.trained, strict=True)
        return tuple(math.log(share / trained) if share else -math.inf for share, trained in pairs)

    def log_probabilities(self, logits: Float[Tensor, "N K"]) -> Float[Tensor, "N K"]:
        """Log-probabilities of the classes under the prior, float64; without one those of the logits."""
        shifted = logits.double()
        ratios = self.log_ratios()
        if ratios is not None:
            shifted = shifted + shifted.new_tensor(ratios)
        return shifted.log_softmax(dim=1)

    def expected_costs(self, logits: Float[Tensor, "N K"]) -> Float[Tensor, "N K"]:
        """The expected cost of deciding for each class, float64.

        Args:
            logits: Calibrated logits.
        """
        probabilities = self.log_probabilities(logits).exp()
        if self.costs is None:
            return 1 - probabilities
        return probabilities @ probabilities.new_tensor(self.costs)

    def decide(self, logits: Float[Tensor, "N K"]) -> Int[Tensor, " N"]:
        """The class of the least expected cost.

        Args:
            logits: Calibrated logits.

        Returns:
            Its index.
        """
        return self.expected_costs(logits).argmin(dim=1)

    def least_expected_costs(self, logits: Float[Tensor, "N K"]) -> Float[Tensor, " N"]:
        """The expected cost of the class that `decide` chooses, float64."""
        return self.expected_costs(logits).amin(dim=1)

    def near_ties(self, logits: Float[Tensor, "N K"]) -> Bool[Tensor, " N"]:
        """Rows whose two least expected costs are so close that rounding of the logits could exchange them."""
        return self.nearly_least(logits).sum(dim=1) > 1

    def nearly_least(self, logits: Float[Tensor, "N K"]) -> Bool[Tensor, "N K"]:
        """The classes whose expected cost is so close to the least that rounding of the logits could exchange them."""
        expected = self.expected_costs(logits)
        scale = 1.0 if self.costs is None else max(abs(cost) for row in self.costs for cost in row) or 1.0
        return expected - expected.amin(dim=1, keepdim=True) <= TIE_MARGIN * scale

    def in_words(self) -> str:
        """One sentence for a terminal and a report."""
        chosen = "the most probable class" if self.costs is None else "the class of the least expected cost"
        where = "" if self.prior is None else " under the class shares where the model is used"
        return f"Each row gets {chosen}{where}; the probabilities are those of the training data."


def _check_names(given: Mapping[str, object], class_names: Sequence[str], place: str) -> None:
    """Check that the keys are the class names."""
    for name in given:
        if name not in class_names:
            raise RecipeError(f'{place}: there is no class "{name}".{did_you_mean(name, class_names)}')
    for name in class_names:
        if name not in given:
            raise RecipeError(f'{place}: the class "{name}" is missing. Every class needs a number.')
