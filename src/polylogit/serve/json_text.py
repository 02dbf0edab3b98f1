"""JSON as the service writes and reads it."""

import json

__all__ = ["json_bytes"]


def json_bytes(content: object) -> bytes:
    r"""Compact JSON in UTF-8. A lone surrogate, which UTF-8 cannot carry, is written as an escape.

    Raises:
        ValueError: A number is NaN or infinite, which JSON cannot carry.

    Example:
        >>> json_bytes({"class": "동물"}).decode(), json_bytes(["\ud800"])
        ('{"class":"동물"}', b'["\\ud800"]')
    """
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", errors="backslashreplace")
