"""Findings about how the rows of Parquet files are grouped: a group is decoded as a whole."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from polylogit.data.tables.audit.findings import AuditFinding
from polylogit.data.tables.table_size import largest_row_group
from polylogit.system.available_memory import in_words

__all__ = ["audit_row_groups"]

_MOST_OF_FREE = 4
"""A row group may take the free memory divided by this: beside it stand what is made of it, and the rest of the run."""


def audit_row_groups(paths: Sequence[Path], free: int | None) -> Iterator[AuditFinding]:
    """Parquet files that cannot be read in small pieces, because a row group of them takes much of the free memory.

    Args:
        paths: Table files of any format.
        free: Bytes of memory that are free; None: not known, which finds nothing.

    Yields:
        A warning for each such file.
    """
    if free is None:
        return
    for path in paths:
        size = largest_row_group(path)
        if size * _MOST_OF_FREE > free:
            yield AuditFinding(
                "large-row-group",
                "warning",
                f"{path} has a row group of about {in_words(size)}, which is decoded as a whole, and {in_words(free)} "
                "of memory are free.",
                "Write the file with row groups of some 100,000 rows.",
            )
