"""JSON records: one array of flat objects, as in `[{"legs": 4, "type": "mammal"}]`."""

import json
from pathlib import Path

import polars as pl

from polylogit.data.tables.compression import opened
from polylogit.data.tables.json_objects import JsonObject
from polylogit.data.tables.limits import current_limits
from polylogit.errors import DataError

__all__ = ["read_records"]


def read_records(path: Path) -> pl.DataFrame:
    """Read an array of objects.

    Args:
        path: A JSON file, perhaps compressed.

    Returns:
        A frame with a column for each name that occurs.

    Raises:
        DataError: The file is not JSON or holds something else, an object has a name twice, or the values of a name are
            of several types.
    """
    try:
        with opened(path) as source:
            rows = json.load(source, object_pairs_hook=JsonObject)
    except OSError as fault:
        raise DataError(f"{path}: cannot be read ({fault.strerror or fault}).") from fault
    except (ValueError, RecursionError) as fault:
        raise DataError(
            f"{path}: not JSON ({fault}). Expected one array of objects; a file with an object a line ends in .jsonl."
        ) from fault
    if not isinstance(rows, list) or not all(isinstance(row, JsonObject) for row in rows):
        raise DataError(f'{path}: expected one array of objects, as in [{{"legs": 4, "type": "mammal"}}].')
    for number, row in enumerate(rows, start=1):
        if row.repeated is not None:
            raise DataError(f"{path}, row {number}: {row.repeated}")
    names = {name for row in rows for name in row}
    current_limits().check_columns(path, len(names))
    current_limits().check_cells(path, len(rows), len(names), path.stat().st_size)
    try:
        return pl.DataFrame(rows, infer_schema_length=None)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as fault:
        raise DataError(
            f"{path}: the values of a name are of several types ({str(fault).splitlines()[0]}). Write them as one."
        ) from fault
