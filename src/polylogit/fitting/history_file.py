"""`history.jsonl`: one JSON object per epoch, written as the epochs end.

A line is written in one piece, so that a process that is killed leaves complete lines, and so does a full disk. See
also: `history.py`.
"""

import errno
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from polylogit.errors import PolylogitError
from polylogit.fitting.callbacks import FitPlan, TrainingCallback
from polylogit.fitting.history import EpochRecord, IterationRecord
from polylogit.system.atomic_file import atomic_write

__all__ = ["HistoryFile"]


class HistoryFile(TrainingCallback):
    """Writes what a fit tells to a file, row by row.

    Args:
        path: The file; what it held before is gone once a fit begins.

    Example:
        >>> import tempfile
        >>> history = HistoryFile(Path(tempfile.mkdtemp()) / "history.jsonl")
        >>> history.start([{"epoch": 1}])
        >>> history.append({"epoch": 2})
        >>> history.path.read_text().splitlines()
        ['{"epoch": 1}', '{"epoch": 2}']
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def start(self, rows: Sequence[Mapping[str, Any]] = ()) -> None:
        """Start a new file, with the rows of the epochs that a resumed fit has finished.

        A fit that was killed may have recorded epochs after its last checkpoint; they are run and recorded again.

        Raises:
            PolylogitError: The file cannot be written.
        """
        with atomic_write(self.path) as temporary:
            temporary.write_text("".join(_line(row) for row in rows), encoding="utf-8")

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row.

        Raises:
            PolylogitError: The file cannot be written.
        """
        try:
            with self.path.open("ab", buffering=0) as file:
                end, line = file.tell(), _line(row).encode()
                if file.write(line) < len(line):  # a disk that fills up takes the start of a line without an error
                    file.truncate(end)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as fault:
            raise PolylogitError(f"{self.path}: cannot be written ({fault.strerror}).") from fault

    def begun(self, plan: FitPlan) -> None:
        """Start the file."""
        self.start([asdict(record) for record in plan.history])

    def epoch_done(self, record: EpochRecord) -> None:
        """Add the epoch."""
        self.append(asdict(record))

    def iteration_done(self, record: IterationRecord) -> None:
        """Add the iteration; the first starts the file."""
        if record.iteration == 0:
            self.start()
        self.append(record.as_json())


def _line(row: Mapping[str, Any]) -> str:
    return f"{json.dumps(row)}\n"
