"""Files of costs and of class shares: CSV or JSON, by class names. Imports no torch."""

import csv
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polylogit.errors import RecipeError
from polylogit.system.regular_file import check_regular

__all__ = ["read_costs", "read_shares"]

MOST_BYTES = 2**26
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")


def read_costs(path: Path) -> dict[str, dict[str, float]]:
    r"""Costs by true class and decision.

    Args:
        path: A .csv file with a row for each true class and a column for each decision, whose first column and first
            row are class names, separated by commas, or by semicolons or tabs with a decimal comma or point; or a .json
            file with an object for each true class.

    Returns:
        The costs.

    Raises:
        RecipeError: The file cannot be read or has another form; the message names the row and the column.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "costs.csv"
        >>> _ = path.write_text("true,ill,well\nill,0,10\nwell,1,0\n")
        >>> read_costs(path)
        {'ill': {'ill': 0.0, 'well': 10.0}, 'well': {'ill': 1.0, 'well': 0.0}}
    """
    if path.suffix.lower() == ".json":
        found = _json(path)
        return {true: _numbers(_object(costs, path), f'{path}, "{true}"') for true, costs in found.items()}
    lines = _lines(path)
    decisions, costs = lines[0][1:], {}
    for number, (true, *cells) in enumerate(lines[1:], start=2):
        if len(cells) != len(decisions):
            raise RecipeError(f"{path}, line {number}: expected {len(decisions)} costs, got {len(cells)}.")
        costs[true] = _numbers(dict(zip(decisions, cells, strict=True)), f"{path}, line {number}")
    return costs


def read_shares(path: Path) -> dict[str, float]:
    """The share of each class.

    Args:
        path: A .csv file with a header and two columns, class and share; or a .json file with one object.

    Returns:
        The shares.

    Raises:
        RecipeError: The file cannot be read or has another form.
    """
    if path.suffix.lower() == ".json":
        return _numbers(_json(path), str(path))
    lines = _lines(path)
    for number, cells in enumerate(lines, start=1):
        if len(cells) != 2:
            raise RecipeError(f"{path}, line {number}: expected a class and its share, got {len(cells)} cells.")
    return _numbers(dict(lines[1:]), str(path))


def _text(path: Path) -> str:
    if path.suffix.lower() not in {".csv", ".json"}:
        raise RecipeError(f"{path}: expected a .csv or .json file.")
    try:
        check_regular(path)
        if path.stat().st_size > MOST_BYTES:
            raise RecipeError(f"{path}: the file is larger than {MOST_BYTES:,} bytes.")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else "not UTF-8"
        raise RecipeError(f"{path}: the file cannot be read ({reason}).") from fault


def _lines(path: Path) -> list[list[str]]:
    text = _text(path).splitlines()
    header = next((line for line in text if line.strip()), "")
    separator = next((mark for mark in ",;\t" if mark in header), ",")
    lines = [[cell.strip() for cell in line] for line in csv.reader(text, delimiter=separator) if any(line)]
    if separator != ",":
        lines[1:] = [[name, *map(_with_point, cells)] for name, *cells in lines[1:]]
    if len(lines) < 2:
        raise RecipeError(f"{path}: expected a header and a line for each class, got {len(lines)} lines.")
    names = [line[0] for line in lines[1:]]
    for names_of in (names, lines[0]):
        if len(set(names_of)) < len(names_of):
            raise RecipeError(f"{path}: a name occurs twice among {', '.join(names_of[:10])}.")
    return lines


def _with_point(cell: str) -> str:
    """A number with a decimal comma, as spreadsheets of many countries write it, with a point."""
    return cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell) else cell


def _json(path: Path) -> Mapping[str, Any]:
    try:
        return _object(json.loads(_text(path)), path)
    except (ValueError, RecursionError) as fault:
        if isinstance(fault, RecipeError):
            raise
        raise RecipeError(f"{path}: not a JSON file: {fault}.") from fault


def _object(found: object, path: Path) -> Mapping[str, Any]:
    if not isinstance(found, dict):
        raise RecipeError(f"{path}: expected an object with a key for each class, got {type(found).__name__}.")
    return found


def _numbers(cells: Mapping[str, Any], place: str) -> dict[str, float]:
    numbers = {}
    for name, cell in cells.items():
        try:
            numbers[name] = float(cell)
        except (TypeError, ValueError) as fault:
            raise RecipeError(f'{place}, "{name}": expected a number, got {cell!r}.') from fault
    return numbers
