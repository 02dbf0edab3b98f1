"""Limits on what a table may expand to, so that a small file cannot fill memory, disk or hours.

Every reader of tables compares with the limits of the process. `--limit NAME=VALUE` changes them for a command,
`reading_limits` in Python. Nothing that a file says can change them.
"""

import io
import mmap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path

from polylogit.errors import DataError, RecipeError

__all__ = ["Limits", "Unpacked", "current_limits", "limits_from", "reading_limits"]

ALWAYS_TAKEN = 16 * 2**20
"""Bytes that any file may expand to, however small it is."""

BYTES_OF_A_CELL = 8
"""What a cell counts as where a file says how many there are, without bytes for each."""

_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


@dataclass(frozen=True)
class Limits:
    """What a table may be at most; each is the name of `--limit NAME=VALUE`.

    Args:
        expansion: Bytes per byte of a file after decompression, or 8 bytes for each of its cells where they are not
            written one by one, as in Parquet. Up to 16 MiB are always taken.
        bytes: Bytes of a file after decompression.
        columns: Columns of a table.
        other_columns: Columns of a table to train on or to audit whose cells are not all numbers; each takes many times
            as long.
        line: Bytes of a line of text, the header included.
    """

    expansion: int = 100
    bytes: int = 64 * 2**30
    columns: int = 100_000
    other_columns: int = 20_000
    line: int = 16 * 2**20

    def check_columns(self, path: Path, columns: int) -> None:
        """Raise an error if a table is too wide, before work starts that would take minutes.

        Raises:
            DataError: It is.
        """
        if columns > self.columns:
            raise DataError(
                f"{path}: {columns} columns; at most {self.columns} are taken. Keep those that matter, hand over the "
                "numbers as an array to polylogit.SoftmaxRegression, or raise the limit with --limit "
                f"columns={columns}."
            )

    def check_other_columns(self, place: str, columns: int) -> None:
        """Raise an error if too many columns of a table are not all numbers.

        Args:
            place: What the message calls the table.
            columns: The number of these columns.

        Raises:
            DataError: They are.
        """
        if columns > self.other_columns:
            raise DataError(
                f"{place}: {columns} columns that are not all numbers; at most {self.other_columns} are taken. "
                f"Keep those that matter, or raise the limit with --limit other_columns={columns}."
            )

    def check_cells(self, path: Path, rows: int, columns: int, size: int) -> None:
        """Raise an error if a file of so many bytes claims more cells than its size explains.

        Args:
            path: The file, for the message.
            rows: The rows that it claims.
            columns: Its columns.
            size: Its bytes.

        Raises:
            DataError: It does.

        Example:
            >>> Limits().check_cells(Path("a.parquet"), rows=10**9, columns=10, size=4096)
            Traceback (most recent call last):
            ...
            polylogit.errors.DataError: a.parquet: 1000000000 rows of 10 columns in 4096 bytes; ...
        """
        unpacked = rows * columns * BYTES_OF_A_CELL
        if unpacked > self._most(size):
            raise DataError(
                f"{path}: {rows} rows of {columns} columns in {size} bytes; at most {self.expansion} times its size "
                f"is taken, at {BYTES_OF_A_CELL} bytes a cell. If you trust the file, raise the limit with --limit "
                f"expansion={unpacked // max(size, 1) + 1}."
            )

    def check_unpacked(self, path: Path, unpacked: int, packed: int) -> None:
        """Raise an error if a compressed file expands too far.

        Args:
            path: The file, for the message.
            unpacked: Bytes after decompression, so far.
            packed: Bytes of the compressed file, or of its part.

        Raises:
            DataError: It does.
        """
        if unpacked > self.bytes:
            raise DataError(
                f"{path}: more than {self.bytes} bytes after decompression. If you trust the file, raise the limit "
                "with --limit bytes=N."
            )
        if unpacked > self._most(packed):
            raise DataError(
                f"{path}: {packed} bytes that expand to more than {self.expansion} times their size. If you trust the "
                "file, raise the limit with --limit expansion=N."
            )

    def blocks_of_lines(self, path: Path, content: mmap.mmap) -> Iterator[tuple[int, int]]:
        """Whole lines, together at most as long as one line may be; no byte is looked at twice.

        Args:
            path: The file, for the message.
            content: Its bytes.

        Yields:
            Where a block starts and ends.

        Raises:
            DataError: A line is longer than the limit.
        """
        start = 0
        while len(content) - start > self.line:
            end = content.rfind(b"\n", start, start + self.line + 1)
            if end < 0:
                line = content[:start].count(b"\n") + 1
                raise DataError(
                    f"{path}, line {line}: longer than {self.line} bytes. Is this a text table? If you trust the file, "
                    "raise the limit with --limit line=N."
                )
            yield start, end + 1
            start = end + 1
        yield start, len(content)

    def _most(self, size: int) -> int:
        return max(ALWAYS_TAKEN, self.expansion * size)


class Unpacked(io.RawIOBase):
    """A stream of decompressed bytes that ends in an error where it expands beyond the limits.

    Args:
        source: The decompressed bytes.
        path: The file, for messages.
        packed: Bytes of the compressed file, or of its part.
    """

    def __init__(self, source: io.BufferedIOBase, path: Path, packed: int) -> None:
        self._source = source
        self._path = path
        self._packed = packed
        self._unpacked = 0
        self._limits = current_limits()

    def readable(self) -> bool:
        """Whether the stream can be read: always."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Read into a buffer.

        Raises:
            DataError: The bytes so far are more than the limits allow.
        """
        chunk = self._source.read(len(buffer))
        self._unpacked += len(chunk)
        self._limits.check_unpacked(self._path, self._unpacked, self._packed)
        buffer[: len(chunk)] = chunk
        return len(chunk)


_current = Limits()


def current_limits() -> Limits:
    """The limits of this process."""
    return _current


@contextmanager
def reading_limits(limits: Limits) -> Iterator[None]:
    """Read tables under other limits, in the whole process.

    Args:
        limits: The limits.

    Example:
        >>> with reading_limits(Limits(columns=500_000)):
        ...     current_limits().columns
        500000
    """
    global _current  # noqa: PLW0603 - polars reads in threads of its own, which share no context
    before, _current = _current, limits
    try:
        yield
    finally:
        _current = before


def limits_from(settings: Sequence[str]) -> Limits:
    """The limits that `--limit NAME=VALUE` asks for.

    Args:
        settings: One entry for each; a number of bytes may end in KB, MB, GB, KiB, MiB or GiB.

    Returns:
        The limits.

    Raises:
        RecipeError: A name is not known, or a value is no positive whole number.

    Example:
        >>> limits_from(["expansion=2000", "line=64MB"])
        Limits(expansion=2000, bytes=68719476736, columns=100000, other_columns=20000, line=64000000)
    """
    limits = Limits()
    known = [field.name for field in fields(Limits)]
    for setting in settings:
        name, _, value = setting.partition("=")
        if name not in known:
            raise RecipeError(f"--limit {setting}: expected NAME=VALUE, with one of the names {', '.join(known)}.")
        digits = value.rstrip("KMGBkmgbIi")
        unit = _UNITS.get(value[len(digits) :].upper()) if len(digits) < len(value) else 1
        if not digits.isdecimal() or unit is None or int(digits) < 1:
            raise RecipeError(
                f"--limit {setting}: expected a positive whole number, as in 5000 or 64MB; got {value!r}."
            )
        limits = replace(limits, **{name: int(digits) * unit})
    return limits
