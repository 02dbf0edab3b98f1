"""What differs between the dialects of SQL beyond what sqlglot translates: dates, NaN, and rounding to float32."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from polylogit.system.optional import import_extra

__all__ = ["DIALECTS", "SqlDialect", "SqlDialectName"]

SqlDialectName = Literal["duckdb", "postgres", "sqlite", "bigquery", "snowflake"]


@dataclass(frozen=True)
class SqlDialect:
    """A dialect.

    Args:
        name: As sqlglot calls it.
        has_float32: Whether it has a type of 32 bits, so that features are rounded as the model rounds them.
        has_materialized: Whether a stage is kept as it is, with AS MATERIALIZED. SQLite and PostgreSQL put the
            expressions of one stage into the next, where they grow with each stage, in SQLite beyond all memory.
        nan: How a column of numbers is compared with NaN; None where the database has none.
        days: The days from 1970-01-01 to a date, with {} for the date.
        year: The year of a date.
        month: The month of a date, from 1.
    """

    name: SqlDialectName
    has_float32: bool
    has_materialized: bool
    nan: str | None
    days: str
    year: str = "EXTRACT(YEAR FROM {})"
    month: str = "EXTRACT(MONTH FROM {})"

    def expression(self, template: str, value: Any) -> Any:  # noqa: ANN401 - sqlglot has few types
        """A template with a value in place of {}, as a tree.

        Example:
            >>> from sqlglot import exp
            >>> dialect = DIALECTS["postgres"]
            >>> dialect.expression(dialect.year, exp.column("d", quoted=True)).sql("postgres")
            'EXTRACT(YEAR FROM "d")'
        """
        sqlglot = import_extra("sqlglot")
        tree = sqlglot.parse_one(template.format("placeholder__"), read=self.name)
        return tree.transform(
            lambda node: (
                value.copy() if isinstance(node, sqlglot.exp.Column) and node.name.lower() == "placeholder__" else node
            )
        )


DIALECTS: Mapping[str, SqlDialect] = {
    dialect.name: dialect
    for dialect in (
        SqlDialect(
            "duckdb",
            has_float32=True,
            has_materialized=False,
            nan="ISNAN({})",
            days="DATE_DIFF('day', CAST('1970-01-01' AS DATE), CAST({} AS DATE))",
        ),
        SqlDialect(
            "postgres",
            has_float32=True,
            has_materialized=True,
            nan="{} = CAST('NaN' AS DOUBLE PRECISION)",
            days="CAST({} AS DATE) - CAST('1970-01-01' AS DATE)",
        ),
        SqlDialect(
            "sqlite",
            has_float32=False,
            has_materialized=True,
            nan=None,
            days="CAST(JULIANDAY(DATE({})) - 2440587.5 AS INTEGER)",
            year="CAST(STRFTIME('%Y', {}) AS INTEGER)",
            month="CAST(STRFTIME('%m', {}) AS INTEGER)",
        ),
        SqlDialect(
            "bigquery",
            has_float32=False,
            has_materialized=False,
            nan="IS_NAN({})",
            days="DATE_DIFF(CAST({} AS DATE), CAST('1970-01-01' AS DATE), DAY)",
        ),
        SqlDialect(
            "snowflake",
            has_float32=False,
            has_materialized=False,
            nan="{} = CAST('NaN' AS DOUBLE)",
            days="DATEDIFF(DAY, CAST('1970-01-01' AS DATE), CAST({} AS DATE))",
        ),
    )
}
"""The dialects that a model can be exported in."""
