"""Standard input as a table file, for as long as the process lives."""

import atexit
import re
import sys
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from polylogit.errors import DataError
from polylogit.system.temporary_folder import temporary_folder

__all__ = ["STANDARD_INPUT_NAME", "standard_input_file", "without_its_path"]

STANDARD_INPUT_NAME = "standard input"
"""What messages call it."""

_PATH = re.compile(r"\S*/standard-input\.[a-z]+\b")
_CHUNK = 2**20
_ENDINGS = ((b"PAR1", ".parquet"), (b"ARROW1", ".arrow"), (b"{", ".jsonl"), (b"[", ".json"), (b"PK\x03\x04", ".zip"))


def without_its_path(message: str) -> str:
    """A message that names standard input in place of the temporary file."""
    return _PATH.sub(STANDARD_INPUT_NAME, message)


@cache
def standard_input_file() -> Path:
    """A file with all that stands on standard input; its ending is found in the first bytes, and .csv otherwise.

    Raises:
        DataError: Standard input is empty.
    """
    content = sys.stdin.buffer
    start = content.read(_CHUNK)
    if not start.strip():
        raise DataError(
            "standard input: there is nothing on it. Expected a table, as in: polylogit check - < table.csv"
        )
    ending = next((ending for mark, ending in _ENDINGS if start.lstrip().startswith(mark)), ".csv")
    files = ExitStack()
    atexit.register(files.close)
    path = files.enter_context(temporary_folder()) / f"standard-input{ending}"
    with path.open("wb") as file:
        while start:
            file.write(start)
            start = content.read(_CHUNK)
    return path
