"""Audit rules for whole rows: duplicates, contradictions, and copies on both sides of a split.

Rows are compared as they were read, by a 64-bit hash.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import polars as pl

from polylogit.data.tables.audit.findings import AuditFinding
from polylogit.data.tables.copies import Copies
from polylogit.plural import agreeing

__all__ = ["audit_leakage", "audit_rows"]


def audit_rows(
    hashes: pl.Series, targets: npt.NDArray[np.int64] | None, copies: Copies | None
) -> Iterator[AuditFinding]:
    """Rows that occur more than once, and rows that differ in their class alone.

    Args:
        hashes: A hash of the feature columns of each row, as read.
        targets: Class indices, -1 for rows that are of no class; None without a target.
        copies: The exact copies among the rows.

    Yields:
        At most two findings.
    """
    rows = pl.DataFrame({"features": hashes, "row": np.arange(1, len(hashes) + 1)})
    rows = rows.with_columns(pl.Series("class", np.zeros(len(hashes), np.int64) if targets is None else targets))
    rows = rows.filter(pl.col("class") >= 0)
    groups = rows.group_by("features", "class").agg(pl.col("row").min(), pl.len().alias("rows"))
    repeats = groups.filter(pl.col("rows") > 1)
    if copies is not None:
        yield AuditFinding(
            "duplicate-rows",
            "note",
            f"{copies.repeats:,} of {rows.height:,} rows {agreeing(copies.repeats, 'repeats', 'repeat')} an earlier "
            f"row, class included; {_reason(copies)}",
            "If they are the same observation, keep one of them.",
            row=int(repeats["row"].min()),  # type: ignore[arg-type]  # a column of integers, not empty
            count=copies.repeats,
        )
    disputed = (
        groups.group_by("features")
        .agg(pl.len().alias("classes"), pl.col("rows").sum(), pl.col("row").sort())
        .filter(pl.col("classes") > 1)
        .sort(pl.col("row").list.first())
    )
    if disputed.height:
        first, second, *_ = disputed["row"][0].to_list()
        yield AuditFinding(
            "contradictory-rows",
            "warning",
            f"{int(disputed['rows'].sum())} rows have the same features as a row of another class, as rows {first} and "
            f"{second} do.",
            "No model can tell these apart: check their labels, or add a column that tells them apart.",
            row=first,
            count=int(disputed["rows"].sum()),
        )


def _reason(copies: Copies) -> str:
    if copies.by_chance:
        return "the columns have few distinct values, so that different observations can agree in all of them."
    return "chance does not explain so many: they look like copies of one observation."


def audit_leakage(
    read: pl.DataFrame,
    train: npt.NDArray[np.int64],
    test: npt.NDArray[np.int64],
    locate: Callable[[int], tuple[str | None, int]] = lambda row: (None, row),
) -> Iterator[AuditFinding]:
    """Rows of the test part whose features occur in the training part too.

    Args:
        read: The feature columns, as read.
        train: Row numbers of the training part, from 0.
        test: Row numbers of the test part.
        locate: From a row's number in the table, from 1, to its file and its number there.

    Yields:
        At most one finding.
    """
    hashes = read.hash_rows()
    leaked = hashes.gather(test).is_in(hashes.gather(train).implode())  # a tenth of the time of np.isin
    if leaked.any():
        count = int(leaked.sum())
        file, row = locate(int(test[int(leaked.arg_max() or 0)]) + 1)
        yield AuditFinding(
            "leakage",
            "warning",
            f"{count} of {len(test)} rows of the test part {agreeing(count, 'has', 'have')} the same features as a "
            "training row.",
            "The test metrics are optimistic: split by group, or drop the copies.",
            row=row,
            count=count,
            file=file,
        )
