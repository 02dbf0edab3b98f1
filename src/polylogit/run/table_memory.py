"""Whether a table is kept in memory while a model is fitted, or in files from which the system reads what is needed."""

from collections.abc import Sequence
from pathlib import Path

import torch

from polylogit.data.tables.audit.findings import AuditFinding
from polylogit.data.tables.audit.row_groups import audit_row_groups
from polylogit.data.tables.sources import TableSource, source_paths
from polylogit.data.tables.table_size import memory_of_tables
from polylogit.system.available_memory import available_memory, in_words
from polylogit.system.mapped_file import check_room, store_folder

__all__ = ["is_kept_in_files", "note_on_files", "row_group_findings"]

COPIES = 3
"""A fit in memory takes about so many times what the table itself does: for its cells, its features and temporaries."""

_SMALL = 100
"""A file of so many times less than the free memory is not looked into."""


def is_kept_in_files(tables: Sequence[str], in_memory: str) -> bool:
    """Whether tables that are used together are kept in mapped files.

    Args:
        tables: DATA as given on the command line, and what else is read beside it.
        in_memory: The option `data.in_memory`; where it is "auto", the estimate of the memory that a fit needs decides.

    Returns:
        Whether they are.

    Raises:
        DataError: A table is not there, or the disk has no room for the files.
    """
    if in_memory == "always":
        return False
    paths = [path for table in tables for path in source_paths(table)]
    if in_memory == "auto":
        free = available_memory(torch.device("cpu"))
        size = sum(path.stat().st_size for path in paths if path.is_file())
        if free is None or size * _SMALL < free or COPIES * memory_of_tables(paths) <= free:
            return False
    check_room(memory_of_tables(paths))
    return True


def note_on_files(in_memory: str) -> str:
    """What a reader must know of a table that is kept in files, in a sentence."""
    free = available_memory(torch.device("cpu"))
    reason = f"{in_words(free)} of memory are free" if in_memory == "auto" and free else "data.in_memory"
    return (
        f"the table is read from files in {store_folder()} as it is needed ({reason}); they are removed at the end. "
        "The model is the same as in memory."
    )


def row_group_findings(source: TableSource) -> tuple[AuditFinding, ...]:
    """What the audit finds in the row groups of the files of a table; see `audit_row_groups`."""
    paths = [Path(path) for path, _ in source.files]
    return tuple(audit_row_groups(paths, available_memory(torch.device("cpu"))))
