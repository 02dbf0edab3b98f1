"""Expressions of SQL as trees of sqlglot, which quotes every name and text itself when it writes a dialect."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from sqlglot import exp

__all__ = ["as_number", "as_text", "case", "choice", "column", "exponential", "largest", "literal", "number", "sum_of"]


def column(name: str) -> Any:  # noqa: ANN401 - sqlglot has few types, here and below
    """A column by its exact name."""
    return exp.column(exp.to_identifier(name, quoted=True))


def literal(text: str) -> Any:  # noqa: ANN401
    """A text."""
    return exp.Literal.string(text)


def number(value: int | float) -> Any:  # noqa: ANN401 - type checks of tests tell them apart
    """A number with an exponent: without one it would be a decimal number of fixed point in some databases.

    Example:
        >>> number(-0.25).sql()
        '-2.5e-01'
    """
    written = np.format_float_scientific(abs(value), unique=True, trim="0")
    positive = exp.Literal.number(written)
    return exp.Neg(this=positive) if value < 0 else positive


def as_number(value: Any) -> Any:  # noqa: ANN401
    """A value as a float of 64 bits."""
    return exp.cast(value, "double")


def as_text(value: Any) -> Any:  # noqa: ANN401
    """A value as text without spaces around it."""
    return exp.Trim(this=exp.cast(value, "text"))


def case(branches: Iterable[tuple[Any, Any]], otherwise: Any = None) -> Any:  # noqa: ANN401
    """CASE WHEN condition THEN value ... ELSE otherwise END; without branches the last value."""
    whens = [exp.If(this=condition, true=value) for condition, value in branches]
    otherwise = exp.null() if otherwise is None else otherwise
    return exp.Case(ifs=whens, default=otherwise) if whens else otherwise


def choice(value: Any, results: Mapping[str, Any] | Sequence[tuple[Any, Any]], otherwise: Any) -> Any:  # noqa: ANN401
    """CASE value WHEN key THEN result ... ELSE otherwise END; keys are expressions, or texts in a mapping."""
    pairs = [(literal(key), result) for key, result in results.items()] if isinstance(results, Mapping) else results
    if not pairs:
        return otherwise
    whens = [exp.If(this=key, true=result) for key, result in pairs]
    return exp.Case(this=value, ifs=whens, default=otherwise)


def sum_of(terms: Sequence[Any]) -> Any:  # noqa: ANN401
    """A sum as a balanced tree: SQLite accepts a depth of 1,000 at most."""
    if len(terms) == 1:
        return terms[0]
    half = len(terms) // 2
    return exp.Paren(this=exp.Add(this=sum_of(terms[:half]), expression=sum_of(terms[half:])))


def largest(values: Sequence[Any], dialect: str) -> Any:  # noqa: ANN401
    """The largest of values that are all there, or all null."""
    # SQLite's function gives null for a null, which sqlglot would prevent at length.
    return exp.Greatest(this=values[0], expressions=list(values[1:]), ignore_nulls=dialect != "sqlite")


def exponential(value: Any) -> Any:  # noqa: ANN401
    """exp(value), and 0 where PostgreSQL would raise an error for so small a result."""
    return case([(exp.LT(this=value, expression=number(-700)), number(0))], exp.Exp(this=exp.paren(value)))
