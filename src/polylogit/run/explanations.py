"""Contributions of the columns as columns of a file of predictions."""

from typing import Literal

import polars as pl
from jaxtyping import Float
from torch import Tensor

from polylogit.classifier import Classifier
from polylogit.data.tables.encoder import TableEncoder
from polylogit.errors import RecipeError
from polylogit.run.contributions import can_explain, column_contributions
from polylogit.system.sparse_rows import SparseRows

__all__ = ["ExplanationForm", "check_can_explain", "explanation_columns", "explanation_frame"]

ExplanationForm = Literal["columns", "object"]
"""Columns beside those of the prediction, for CSV and Parquet; or one column of objects, for JSON lines."""


def check_can_explain(classifier: Classifier) -> None:
    """Refuse to explain the predictions of a model whose logits are no sums over columns.

    Raises:
        RecipeError: It is no linear or additive model of a table.
    """
    if not can_explain(classifier):
        raise RecipeError(
            f"--explain: applies to linear and additive models of tables, and this is a model of kind "
            f"{classifier.model_kind}, whose logits are no sums over columns. Leave the option out, or train "
            "with --model linear."
        )


def explanation_columns(classifier: Classifier, form: ExplanationForm) -> tuple[str, ...]:
    """The names of the columns that explain a prediction.

    Args:
        classifier: A linear or additive model of a table.
        form: How it is written.
    """
    if form == "object" or not isinstance(classifier.preprocessing, TableEncoder):
        return ("explanation",)
    columns = classifier.preprocessing.columns
    return (
        *("winner", "runner_up", "contribution_(intercept)"),
        *(f"contribution_{column.name}" for column in columns),
        *(f"terms_{column.name}" for column in columns if column.vocabulary is not None),
    )


def explanation_frame(
    classifier: Classifier,
    inputs: Float[Tensor, "N D"] | SparseRows,
    logits: Float[Tensor, "N K"],
    form: ExplanationForm,
) -> pl.DataFrame:
    """What explains the predictions of some rows, in the columns that `explanation_columns` names.

    Args:
        classifier: A linear or additive model of a table.
        inputs: Encoded rows.
        logits: Their calibrated logits.
        form: How it is written.

    Returns:
        One row a row. Contributions are in nats, and terms are written as `term +0.52; other -0.10`.
    """
    found = column_contributions(classifier, inputs, logits)
    names = explanation_columns(classifier, form)
    if form == "object":
        return pl.DataFrame({"explanation": [each.as_json() for each in found]})
    columns = [column.name for column in classifier.preprocessing.columns]  # type: ignore[union-attr]  # a table's
    cells: list[pl.Series] = [
        pl.Series([each.winner for each in found], dtype=pl.String),
        pl.Series([each.runner_up for each in found], dtype=pl.String),
        pl.Series([each.intercept for each in found], dtype=pl.Float64),
        *(pl.Series([each.columns[name] for each in found], dtype=pl.Float64) for name in columns),
    ]
    texts = found[0].terms if found else {}
    cells += [pl.Series([_terms_in_words(each.terms[name]) for each in found], dtype=pl.String) for name in texts]
    return pl.DataFrame([series.alias(name) for name, series in zip(names, cells, strict=bool(found))])


def _terms_in_words(terms: dict[str, float]) -> str:
    return "; ".join(f"{term} {value:+.4f}" for term, value in terms.items())
