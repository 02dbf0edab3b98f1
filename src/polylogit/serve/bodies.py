"""The bytes of a request's body, within the limit."""

import zlib

from starlette.requests import Request

from polylogit.serve.request_error import ClientDisconnectedError, RequestError

__all__ = ["BODY_IS_READ", "decompressed", "read_body"]

BODY_IS_READ = "polylogit.body_is_read"
"""The entry of a request's scope that is set once its body has come."""

_DROPPED = 4
"""So many times the limit is received of a body that is too large, before the connection is closed."""

_GZIP = 16 + zlib.MAX_WBITS


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Read the body as it was sent.

    Args:
        request: The request.
        max_bytes: Most bytes.

    Returns:
        The body, still compressed where it came so.

    Raises:
        RequestError: The body is longer, or compressed in a way that is not known.
        ClientDisconnectedError: The client has gone.
    """
    _check_encoding(request.headers.get("content-encoding"))
    declared = request.headers.get("content-length", "")
    too_large = declared.isdecimal() and int(declared[:20]) > max_bytes
    parts, size = [], 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnectedError
        part = message.get("body", b"")
        size += len(part)
        if too_large or size > max_bytes:
            # A client that is still sending sees no answer: the rest is received, within reason, and dropped.
            if message.get("more_body", False) and size < _DROPPED * max_bytes:
                too_large = True
                continue
            raise _too_large(max_bytes)
        parts.append(part)
        if not message.get("more_body", False):
            request.scope[BODY_IS_READ] = True
            return parts[0] if len(parts) == 1 else b"".join(parts)


def decompressed(body: bytes, encoding: str | None, max_bytes: int) -> bytes:
    """The content of a body, without ever holding more than the limit.

    Args:
        body: The body as it was sent.
        encoding: Its header `Content-Encoding`.
        max_bytes: Most bytes of the content.

    Returns:
        The content.

    Raises:
        RequestError: The content is longer, or the body is damaged.

    Example:
        >>> import gzip
        >>> decompressed(gzip.compress(b"{}"), "gzip", 100)
        b'{}'
    """
    if not encoding or encoding.strip().lower() == "identity":
        return body
    content, rest = [], body
    room = max_bytes
    while rest:  # a gzip file may have several members
        stream = zlib.decompressobj(_GZIP)
        try:
            part = stream.decompress(rest, room + 1)
        except zlib.error as fault:
            raise RequestError(422, "unreadable", "the body is not valid gzip.") from fault
        room -= len(part)
        if room < 0:
            raise _too_large(max_bytes)
        if not stream.eof:
            raise RequestError(422, "unreadable", "the body is not valid gzip: it is cut short.")
        content.append(part)
        rest = stream.unused_data
    return b"".join(content)


def _check_encoding(encoding: str | None) -> None:
    if encoding and encoding.strip().lower() not in ("gzip", "identity"):
        raise RequestError(
            415,
            "unsupported",
            "the Content-Encoding is not known. Expected gzip, or none.",
            {"accept-encoding": "gzip"},
        )


def _too_large(max_bytes: int) -> RequestError:
    return RequestError(
        413,
        "too_large",
        f"the body is longer than {max_bytes} bytes. Send fewer rows at a time, or raise --max-bytes.",
        {"connection": "close"},
    )
