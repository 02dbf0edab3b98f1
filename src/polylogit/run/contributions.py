"""Contributions of the columns to the prediction of a linear model: exact, because its logits are sums over columns."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polylogit.classifier import Classifier
from polylogit.data.tables.encoder import TableEncoder
from polylogit.data.tables.text.vocabulary import Vocabulary
from polylogit.errors import DataError
from polylogit.networks.linear import LinearNetwork
from polylogit.system.sparse_rows import SparseRows

__all__ = ["MOST_TERMS_SHOWN", "Contributions", "can_explain", "column_contributions"]


MOST_TERMS_SHOWN = 5
"""The most terms of a text column that are named as reasons for a prediction."""


@dataclass(frozen=True)
class Contributions:
    """Why a linear model prefers a class to the runner-up in a row.

    The network's logit of the winner minus that of the runner-up is `intercept` plus the sum of `columns`; where there
    is no calibration, that is the logarithm of the ratio of their probabilities. A number counts from its mean in
    training, a category from a row in which no level has a feature.

    Attributes:
        winner: The most probable class.
        runner_up: The next one.
        intercept: The difference of the two biases.
        columns: The contribution of each column by name; above 0 it speaks for the winner.
        terms: For each text column those of its terms that contribute most, up to `MOST_TERMS_SHOWN`, with their part
            of the contribution, the largest first.
    """

    winner: str
    runner_up: str
    intercept: float
    columns: dict[str, float]
    terms: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def difference(self) -> float:
        """The difference of the two logits of the network."""
        return self.intercept + sum(self.columns.values())


def can_explain(classifier: Classifier) -> bool:
    """Whether contributions can be computed: for linear models of tables."""
    return isinstance(classifier.network, LinearNetwork) and isinstance(classifier.preprocessing, TableEncoder)


def column_contributions(
    classifier: Classifier, inputs: Float[Tensor, "N D"] | SparseRows, logits: Float[Tensor, "N K"]
) -> Sequence[Contributions]:
    """The contributions of each column in each row.

    Args:
        classifier: A linear model of tables.
        inputs: Encoded rows.
        logits: The calibrated logits of the rows, which say which classes are first and second.

    Returns:
        One for each row.

    Raises:
        DataError: The model is of another kind.

    Example:
        >>> import polars as pl
        >>> import torch
        >>> from polylogit.model_header import NetworkSpec, TrainedOn
        >>> encoder = TableEncoder.fit(pl.DataFrame({"milk": [1, 0], "legs": [4, 2]}))
        >>> classifier = Classifier(
        ...     preprocessing=encoder,
        ...     network=LinearNetwork.with_weights(torch.tensor([[0.0, 0.0], [2.0, 0.5]]), torch.tensor([0.0, 0.25])),
        ...     network_spec=NetworkSpec(kind="linear", options={"features": 2, "classes": 2}),
        ...     class_names=("bird", "mammal"),
        ...     trained_on=TrainedOn(data="two", target="type", fingerprint="0" * 64, rows_train=2, rows_test=0),
        ... )
        >>> inputs = encoder.encode(pl.DataFrame({"milk": [1], "legs": [4]}))
        >>> found = column_contributions(classifier, inputs, classifier.logits_of_inputs(inputs))[0]
        >>> found.winner, found.runner_up, found.intercept, found.columns, found.difference
        ('mammal', 'bird', 0.25, {'milk': 2.0, 'legs': 0.5}, 2.75)
    """
    encoder, network = classifier.preprocessing, classifier.network
    if not isinstance(network, LinearNetwork) or not isinstance(encoder, TableEncoder):
        raise DataError("contributions of columns: expected a linear model of a table, got a model of another kind.")
    weight, bias = network.linear.weight.detach().double(), network.linear.bias.detach().double()
    ends = list(accumulate((column.width for column in encoder.columns), initial=0))
    names = classifier.class_names
    found = []
    for number, (first, second) in enumerate(logits.topk(2, dim=1).indices.tolist()):
        if isinstance(inputs, SparseRows):
            row = inputs[number : number + 1]
            products = (weight[first, row.columns.long()] - weight[second, row.columns.long()]) * row.values.double()
            places = torch.searchsorted(row.columns, torch.tensor(ends, dtype=row.columns.dtype)).tolist()
        else:
            products, places = (weight[first] - weight[second]) * inputs[number].double(), ends
        columns, terms = {}, {}
        for column, at, start, end in zip(encoder.columns, ends, places, places[1:], strict=False):
            columns[column.name] = float(products[start:end].sum())
            if column.vocabulary is not None and isinstance(inputs, SparseRows):
                of_column = row.columns[start:end] - at
                terms[column.name] = _strongest(of_column, products[start:end], column.vocabulary)
        found.append(Contributions(names[first], names[second], float(bias[first] - bias[second]), columns, terms))
    return found


def _strongest(
    terms: Int[Tensor, " T"], contributions: Float[Tensor, " T"], vocabulary: Vocabulary
) -> dict[str, float]:
    """The terms that contribute most, either way; the feature of a missing text is no term."""
    is_term = terms < len(vocabulary)
    terms, contributions = terms[is_term], contributions[is_term]
    order = contributions.abs().argsort(descending=True, stable=True)[:MOST_TERMS_SHOWN].tolist()
    return {vocabulary.terms[int(terms[place])]: float(contributions[place]) for place in order}
