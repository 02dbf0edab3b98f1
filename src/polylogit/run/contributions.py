"""Contributions of the columns to the prediction of a linear model: exact, because its logits are sums over columns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polylogit.classifier import Classifier
from polylogit.data.tables.encoder import TableEncoder
from polylogit.errors import DataError
from polylogit.networks.linear import LinearNetwork
from polylogit.system.sparse_rows import SparseRows

__all__ = ["MOST_TERMS_SHOWN", "Contributions", "can_explain", "column_contributions"]

MOST_TERMS_SHOWN = 5
"""The most terms of a text column that are named as reasons for a prediction."""

_NUMBERS_AT_ONCE = 2**22


@dataclass(frozen=True)
class Contributions:
    """Why a linear model prefers a class to the runner-up in a row.

    The network's logit of the winner minus that of the runner-up is `intercept` plus the sum of `columns`; where there
    is no calibration, that is the logarithm of the ratio of their probabilities. A number counts from its mean in
    training, a category from a row in which no level has a feature, a text from one without a known term.

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

    def as_json(self) -> dict[str, Any]:
        """Plain data, for JSON lines and the service; `terms` only where there is text."""
        entries: dict[str, Any] = {
            "winner": self.winner,
            "runner_up": self.runner_up,
            "intercept": self.intercept,
            "difference": self.difference,
            "columns": self.columns,
        }
        if self.terms:
            entries["terms"] = {
                name: [{"term": term, "contribution": value} for term, value in terms.items()]
                for name, terms in self.terms.items()
            }
        return entries


def can_explain(classifier: Classifier) -> bool:
    """Whether contributions can be computed: for linear and additive models of tables."""
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
    at_once = max(1, _NUMBERS_AT_ONCE // max(encoder.features, 1))
    found: list[Contributions] = []
    for start in range(0, len(logits), at_once):
        first, second = logits[start : start + at_once].topk(2, dim=1).indices.T
        rows = inputs[start : start + at_once]
        found += _of_rows(classifier, encoder, network, rows, (first, second))
    return found


def _of_rows(
    classifier: Classifier,
    encoder: TableEncoder,
    network: LinearNetwork,
    inputs: Float[Tensor, "N D"] | SparseRows,
    leading: tuple[Int[Tensor, " N"], Int[Tensor, " N"]],
) -> Iterator[Contributions]:
    weight, bias = network.linear.weight.detach(), network.linear.bias.detach().double()
    names, (first, second) = classifier.class_names, leading
    rows, features, values = _stored(inputs)
    products = (weight[first[rows], features].double() - weight[second[rows], features].double()) * values.double()
    widths = torch.tensor([column.width for column in encoder.columns])
    places = torch.arange(len(widths)).repeat_interleave(widths)[features]
    sums = torch.zeros(len(first) * len(widths), dtype=torch.float64)
    sums.index_add_(0, rows * len(widths) + places, products)
    ends = torch.searchsorted(rows, torch.arange(len(first) + 1)).tolist()
    intercepts = (bias[first] - bias[second]).tolist()
    texts = _text_columns(encoder)
    for row, of_columns in enumerate(sums.view(len(first), -1).tolist()):
        some = slice(ends[row], ends[row + 1])
        yield Contributions(
            names[int(first[row])],
            names[int(second[row])],
            intercepts[row],
            {column.name: value for column, value in zip(encoder.columns, of_columns, strict=True)},
            {name: _strongest(features[some] - at, products[some], terms) for name, at, terms in texts},
        )


def _stored(inputs: Float[Tensor, "N D"] | SparseRows) -> tuple[Tensor, Tensor, Tensor]:
    """The row, the feature and the value of each number that is not 0, row by row."""
    if isinstance(inputs, SparseRows):
        rows = torch.arange(len(inputs)).repeat_interleave(inputs.starts.diff())
        return rows, inputs.columns.long(), inputs.values
    rows, features = inputs.nonzero(as_tuple=True)
    return rows, features, inputs[rows, features]


def _text_columns(encoder: TableEncoder) -> list[tuple[str, int, Sequence[str]]]:
    """The name of each text column, the number of the feature of its first term, and its terms."""
    firsts = accumulate((column.width for column in encoder.columns), initial=0)
    return [
        (column.name, at, column.vocabulary.terms.to_list())
        for column, at in zip(encoder.columns, firsts, strict=False)
        if column.vocabulary is not None
    ]


def _strongest(places: Int[Tensor, " T"], contributions: Float[Tensor, " T"], terms: Sequence[str]) -> dict[str, float]:
    """The terms that contribute most, either way; features of other columns and of a missing text are no terms."""
    is_term = (places >= 0) & (places < len(terms))
    places, contributions = places[is_term], contributions[is_term]
    order = contributions.abs().argsort(descending=True, stable=True)[:MOST_TERMS_SHOWN].tolist()
    return {terms[int(places[place])]: float(contributions[place]) for place in order}
