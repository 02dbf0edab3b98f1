"""Rows as JSON: one object, an object with `rows`, a list of objects, or one object a line."""

import json
from dataclasses import dataclass, field
from typing import Any

from polylogit.serve.request_error import RequestError

__all__ = ["JSON_LINES_TYPES", "JSON_TYPES", "RowsBody", "read_json_lines", "read_json_rows"]

JSON_TYPES = ("application/json",)
JSON_LINES_TYPES = ("application/x-ndjson", "application/jsonl", "application/json-lines", "application/jsonlines")

_NO_ROW = "expected at least one row."


@dataclass(frozen=True)
class RowsBody:
    """Rows from JSON.

    Args:
        rows: A mapping for each row; anything else is a fault of that row.
        single: Whether the body was one row alone, which gets one answer alone.
        unreadable: Rows that are no JSON, with what is wrong.
    """

    rows: list[Any]
    single: bool = False
    unreadable: dict[int, str] = field(default_factory=dict)


def read_json_rows(body: bytes) -> RowsBody:
    """Read one object, `{"rows": [...]}`, or a list of objects.

    Args:
        body: JSON in UTF-8.

    Returns:
        The rows.

    Raises:
        RequestError: The body is no JSON, or of another form.

    Example:
        >>> read_json_rows(b'{"legs": 4}').single, len(read_json_rows(b'{"rows": [{"legs": 4}, 7]}').rows)
        (True, 2)
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as fault:
        raise RequestError(422, "unreadable", f"the body is not JSON{_position(fault)}.") from fault
    if isinstance(content, dict) and isinstance(content.get("rows"), list):
        content = content["rows"]
    elif isinstance(content, dict):
        return RowsBody([content], single=True)
    if not isinstance(content, list):
        raise RequestError(
            422, "unreadable", 'expected a JSON object with a value for each column, or {"rows": [...]}.'
        )
    if not content:
        raise RequestError(422, "unreadable", _NO_ROW)
    return RowsBody(content)


def read_json_lines(body: bytes) -> RowsBody:
    r"""Read one object a line; blank lines are passed over.

    As in a file of JSON lines, a name that is absent from one line and present in another is a missing value.

    Args:
        body: Lines in UTF-8.

    Returns:
        The rows. A line that is no JSON is a fault of that row.

    Raises:
        RequestError: There is no row.

    Example:
        >>> read_json_lines(b'{"legs": 4}\n{"milk": 1}\nx\n')
        RowsBody(rows=[{'legs': 4, 'milk': None}, {'milk': 1, 'legs': None}, None], single=False, unreadable={2: ...})
    """
    rows: list[Any] = []
    unreadable: dict[int, str] = {}
    for line in body.split(b"\n"):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except (ValueError, RecursionError) as fault:
            unreadable[len(rows)] = f"the line is not JSON{_position(fault)}."
            rows.append(None)
    if not rows:
        raise RequestError(422, "unreadable", _NO_ROW)
    objects = [row for row in rows if isinstance(row, dict)]
    names = dict.fromkeys(name for row in objects for name in row)
    for row in objects:
        if len(row) < len(names):
            for name in names:
                row.setdefault(name)
    return RowsBody(rows, unreadable=unreadable)


def _position(fault: Exception) -> str:
    """Where JSON ends to be JSON; without what stands there."""
    if isinstance(fault, json.JSONDecodeError):
        return f" (line {fault.lineno}, column {fault.colno}: {fault.msg})"
    return " in UTF-8" if isinstance(fault, UnicodeDecodeError) else ""
