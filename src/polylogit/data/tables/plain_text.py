"""Text files as plain UTF-8 with line feeds: decompressed, decoded, and checked for bytes that are no text."""

import codecs
import mmap
import shutil
from pathlib import Path

from polylogit.data.tables.compression import is_compressed, opened
from polylogit.errors import DataError

__all__ = ["check_no_nul", "check_utf8", "written_plain"]

_CHUNK = 4 * 2**20
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ASCII = bytes(range(128))
_FEWEST_OF_MANY_BYTES = 10
"""Text in an encoding of several bytes a character may be UTF-8 by chance, but not with so many such characters."""
_FEWEST_NUL = 0.3
"""Text of western letters in UTF-16 has a NUL in every second byte; of other scripts, at least where line ends are."""


def written_plain(path: Path, encoding: str, folder: Path, notes: list[str]) -> Path:
    """The path itself where it is plain UTF-8 with line feeds already; else a copy of it that is.

    Args:
        path: A text file, perhaps compressed.
        encoding: Its encoding, unless it starts with the byte order mark of another one or shows to be UTF-8 or UTF-16.
        folder: Where the copy is written.
        notes: Gets a sentence where an encoding was found that no mark announces.

    Returns:
        The path of a file in UTF-8.

    Raises:
        DataError: The text is not in its encoding.
    """
    with opened(path) as source:
        start = source.read(_CHUNK)
    marked = next((name for mark, name in _BYTE_ORDER_MARKS if start.startswith(mark)), None)
    unmarked = None if marked else _utf16_without_mark(start)
    if unmarked is not None:
        notes.append(f"{path}: read as {unmarked.upper()}, which has no byte order mark in this file.")
    encoding = marked or unmarked or encoding
    if not (marked or unmarked) and _is_utf8_after_all(path, encoding):
        notes.append(f"{path}: read as UTF-8, which its bytes show, and not as {encoding}.")
        encoding = "utf-8"
    old_line_ends = b"\r" in start and b"\n" not in start
    is_utf8 = codecs.lookup(encoding).name in ("utf-8", "ascii", "utf-8-sig")
    copy = folder / "plain.csv"
    if is_utf8 and not old_line_ends:
        if not is_compressed(path):
            return path
        with opened(path) as source, copy.open("wb") as target:
            shutil.copyfileobj(source, target, _CHUNK)
        return copy
    with opened(path) as source, copy.open("w", encoding="utf-8", newline="") as target:
        decoder = codecs.getincrementaldecoder(encoding)()
        at = 0
        try:
            while chunk := source.read(_CHUNK):
                target.write(_line_feeds(decoder.decode(chunk), old_line_ends))
                at += len(chunk)
            target.write(_line_feeds(decoder.decode(b"", final=True), old_line_ends))
        except UnicodeError as fault:
            raise DataError(
                f"{path}: the text is not {encoding}, at or after byte {at} ({fault}). "
                "Say what it is with --set data.encoding=NAME."
            ) from fault
    return copy


def _is_utf8_after_all(path: Path, encoding: str) -> bool:
    """Whether a file that is said to be in an older encoding is valid UTF-8 with characters beyond ASCII."""
    name = codecs.lookup(encoding).name
    if name in ("utf-8", "utf-8-sig", "ascii") or _ASCII.decode(encoding, "replace") != _ASCII.decode("ascii"):
        return False
    several_bytes = len(bytes(range(256)).decode(encoding, "replace")) < 256
    fewest = _FEWEST_OF_MANY_BYTES if several_bytes else 1
    decoder = codecs.getincrementaldecoder("utf-8")()
    beyond = 0
    try:
        with opened(path) as source:
            while chunk := source.read(_CHUNK):
                text = decoder.decode(chunk)
                if beyond < fewest and not text.isascii():
                    beyond += sum(letter > "\x7f" for letter in text)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return beyond >= fewest


def _utf16_without_mark(start: bytes) -> str | None:
    """UTF-16 in one of its byte orders, where NUL bytes stand at every second place only."""
    sample = start[:4096]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if odd > _FEWEST_NUL * len(sample) / 2 and not even:
        return "utf-16-le"
    if even > _FEWEST_NUL * len(sample) / 2 and not odd:
        return "utf-16-be"
    return None


def _line_feeds(text: str, old_line_ends: bool) -> str:
    return text.replace("\r", "\n") if old_line_ends else text


def check_no_nul(path: Path, content: mmap.mmap) -> None:
    """Refuse a file with a NUL byte.

    Raises:
        DataError: There is one; the message names the line.
    """
    nul = content.find(b"\0")
    if nul >= 0:
        line = content[:nul].count(b"\n") + 1
        raise DataError(f"{path}, line {line}: a NUL byte. This is not a text table; export it again as CSV.")


def check_utf8(path: Path, file: Path) -> None:
    """Name the first line that is not UTF-8.

    Args:
        path: What messages name.
        file: The file to read.

    Raises:
        DataError: There is such a line.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    lines = 1
    with file.open("rb") as source:
        while chunk := source.read(_CHUNK):
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as fault:
                line = lines + fault.object.count(b"\n", 0, fault.start)
                raise DataError(
                    f"{path}, line {line}: byte 0x{fault.object[fault.start]:02x} is not UTF-8. Save the file as UTF-8 "
                    "(in a spreadsheet: 'CSV UTF-8'), or say what it is: --set data.encoding=cp1252."
                ) from fault
            lines += chunk.count(b"\n")
