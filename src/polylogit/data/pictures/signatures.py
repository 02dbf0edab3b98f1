"""Formats of picture files by the first bytes of their content, whatever their names end in."""

from pathlib import Path

__all__ = ["UNREADABLE_FORMATS", "format_by_content"]

UNREADABLE_FORMATS = ("HEIC", "SVG", "JPEG XL", "PDF")
"""Formats that `format_by_content` knows and that cannot be read."""

_STARTS = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG 2000",
    b"\xff\n": "JPEG XL",
    b"\0\0\0\x0cJXL \r\n\x87\n": "JPEG XL",
    b"%PDF-": "PDF",
}
_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_BYTES = 512


def format_by_content(path: Path) -> str | None:
    """The format of a picture file.

    Args:
        path: A file.

    Returns:
        "PNG", "JPEG", "GIF", "TIFF", "WebP", "AVIF", "BMP", "JPEG 2000", or one of `UNREADABLE_FORMATS`; None where the
        file is empty, cannot be opened, or starts like none of these.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "picture"
        >>> _ = path.write_bytes(b"GIF89a")
        >>> format_by_content(path)
        'GIF'
    """
    try:
        with path.open("rb") as file:
            start = file.read(_BYTES)
    except OSError:
        return None
    by_start = next((name for signature, name in _STARTS.items() if start.startswith(signature)), None)
    return by_start or _of_container(start) or _of_text(start)


def _of_container(start: bytes) -> str | None:
    """The format of a file whose first bytes are a size or a general container's."""
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WebP"
    if start[:2] == b"BM" and start[6:10] == b"\0\0\0\0" and start[14:15] in (b"\x0c", b"(", b"l", b"|"):
        return "BMP"
    if start[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(start[:4], "big"), _BYTES)
    brands = {start[place : place + 4] for place in (8, *range(16, end, 4))}
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    return "HEIC" if brands & set(_HEIC_BRANDS) else None


def _of_text(start: bytes) -> str | None:
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    begins = text.startswith((b"<svg", b"<?xml", b"<!DOCTYPE svg", b"<!--"))
    return "SVG" if begins and b"<svg" in text else None
