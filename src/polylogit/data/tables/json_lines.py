"""JSON lines checked before polars reads them, and the line named that it cannot read.

polars takes one of the values of a name that stands in an object twice, and reads half of a surrogate pair as a NUL
character; it names no line.
"""

import json
import mmap
import re
from pathlib import Path

from polylogit.data.tables.compression import opened
from polylogit.data.tables.json_objects import JsonObject
from polylogit.data.tables.limits import current_limits
from polylogit.errors import DataError

__all__ = ["check_json_lines", "check_lines"]

_NAME = re.compile(rb'"([^"\\]*)"\s*:')
"""A name in a JSON object, up to escapes; one inside a nested object counts too."""

_ESCAPED_NAME = re.compile(rb'\\[^"]*"\s*:')
"""The end of a name with an escape, which may be another way to write a name that stands there already."""

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def check_json_lines(path: Path, plain: Path) -> None:
    """Raise an error at what polars would read as something else, or as a table that is mostly empty.

    Args:
        path: The file as the user named it.
        plain: The same, decompressed.

    Raises:
        DataError: The objects have too many names, or a line is longer than the limit, has half of a surrogate pair or
            a name twice.
    """
    if not plain.stat().st_size:
        return
    limits, names, rows = current_limits(), set[bytes](), 0
    with plain.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for start, end in limits.blocks_of_lines(path, content):
            lines = content[start:end].split(b"\n")
            for line, text in enumerate(lines, start=rows + 1):
                found = _NAME.findall(text)
                different = set(found)
                names |= different
                if len(different) < len(found) or (b"\\" in text and _ESCAPED_NAME.search(text)):
                    _check_repeated(path, line, text)
            if _SURROGATE.search(content, start, end):
                _check_surrogates(path, lines, rows)
            rows += len(lines) - 1
            limits.check_columns(path, len(names))
            limits.check_cells(path, rows, len(names), path.stat().st_size)


def _check_repeated(path: Path, line: int, text: bytes) -> None:
    """Raise an error if a name stands twice in an object."""
    try:
        found = json.loads(text, object_pairs_hook=JsonObject)
    except (ValueError, RecursionError):
        return  # polars says so, and `check_lines` where
    if isinstance(found, JsonObject) and found.repeated is not None:
        raise DataError(f"{path}, line {line}: {found.repeated}")


def _check_surrogates(path: Path, lines: list[bytes], lines_before: int) -> None:
    """Name the first line with half of a surrogate pair, which is no character."""
    for line, text in enumerate(lines, start=lines_before + 1):
        if not _SURROGATE.search(text):
            continue
        try:
            json.dumps(json.loads(text), ensure_ascii=False).encode()
        except UnicodeEncodeError as fault:
            half = fault.object[fault.start].encode("ascii", "backslashreplace").decode()
            raise DataError(
                f"{path}, line {line}: {half} is half of a surrogate pair and no character. Write the whole pair, or "
                "leave it out."
            ) from fault
        except (ValueError, RecursionError):
            continue


def check_lines(path: Path) -> None:
    """Raise an error at the first line that is no JSON object.

    Args:
        path: A file that polars cannot read.

    Raises:
        DataError: There is one; the message names the line.
    """
    with opened(path) as source:
        for line, content in enumerate(source, start=1):
            if not content.strip():
                continue
            try:
                found = json.loads(content)
            except (ValueError, RecursionError) as fault:
                raise DataError(f"{path}, line {line}: not JSON ({fault}). Expected one object a line.") from fault
            if not isinstance(found, dict):
                raise DataError(f'{path}, line {line}: expected a JSON object, as in {{"legs": 4, "type": "mammal"}}.')
