"""How columns were read: the level counts of categories, the gaps, the levels that share a feature, and fewer bins."""

from collections.abc import Iterator, Sequence

import polars as pl

from polylogit.data.tables.audit.findings import AuditFinding, ColumnProfile
from polylogit.data.tables.encoded_column import Column
from polylogit.data.tables.fitted_columns import bins_that_fit
from polylogit.plural import counted

__all__ = ["audit_bins", "audit_levels", "column_profiles"]


def audit_levels(columns: Sequence[Column], rows: int) -> Iterator[AuditFinding]:
    """Categories whose rarer levels share one feature.

    Args:
        columns: The columns with the features that they become.
        rows: The rows that they were learned from.

    Yields:
        A warning for each such column.
    """
    for column in columns:
        if column.pooled:
            count = round((column.rare_share or 0.0) * rows)
            yield AuditFinding(
                "pooled-levels",
                "warning",
                f"the {len(column.levels):,} most frequent levels have a feature each; the other "
                f"{column.rare_levels:,}, in {counted(count, 'row')} ({count / max(rows, 1):.0%}), share one.",
                "Keep more levels with --set data.most_levels=N, or write rare levels as fewer ones.",
                column=column.name,
                count=count,
            )


def audit_bins(columns: Sequence[Column], rows: int, most_bins: int | None) -> Iterator[AuditFinding]:
    """Fewer bins of numbers than were asked for, because the features of more would not fit memory.

    Args:
        columns: The columns with the features that they become.
        rows: The rows that they were learned from.
        most_bins: The most bins of a number that were asked for; None: none.

    Yields:
        A note, if there is room for fewer.
    """
    fit = bins_that_fit(columns, rows, most_bins)
    if most_bins is not None and fit is not None and fit < most_bins:
        yield AuditFinding(
            "fewer-bins",
            "note",
            f"numbers have at most {fit} {'bin' if fit == 1 else 'bins'} in place of {most_bins}, because memory has "
            f"no room for the features of more in {rows:,} rows.",
            "Leave columns out with --drop to have more.",
        )


def column_profiles(columns: Sequence[Column], read: pl.DataFrame) -> dict[str, ColumnProfile]:
    """How each column was read.

    Args:
        columns: The columns with the features that they become.
        read: Their cells, as read.

    Returns:
        A profile for each column, by its name.

    Example:
        >>> from polylogit.data.tables.column_types import Reading
        >>> frame = pl.DataFrame({"skin": ["fur", None, "scales"]})
        >>> str(column_profiles([Column.fit(frame["skin"], Reading("category"))], frame)["skin"])
        'category, 2 levels, 1 missing'
    """
    return {
        column.name: ColumnProfile(
            column.type,
            column.format,
            missing=read[column.name].null_count(),
            levels=len(column.levels) + column.rare_levels,
            pooled_levels=column.rare_levels,
            terms=column.terms,
        )
        for column in columns
    }
