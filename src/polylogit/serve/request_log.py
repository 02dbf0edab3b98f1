"""What every request gets: an identifier, a line in the log, its place in the metrics, and an answer if code fails."""

import logging
import re
import traceback
from pathlib import Path
from secrets import token_hex
from time import perf_counter

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from polylogit.serve.metrics import Metrics
from polylogit.serve.request_error import ClientDisconnectedError, error_response, internal_error

__all__ = ["RequestLog"]

_IDENTIFIER = re.compile(r"[A-Za-z0-9._:-]{1,100}")
_CLIENT_CLOSED = 499
"""The status in the log of a request whose client went before the answer."""

_FIXED_HEADERS = {"x-content-type-options": "nosniff", "cache-control": "no-store", "referrer-policy": "no-referrer"}

_log = logging.getLogger("polylogit.serve")


class RequestLog:
    """Wraps the whole application.

    A log line has the route, not the address, and never what was sent: an address can carry values too.

    Args:
        app: What answers.
        metrics: Where requests are counted.
        log_requests: Whether each request is logged; faults of the code always are.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, *, log_requests: bool) -> None:
        self._app = app
        self._metrics = metrics
        self._log_requests = log_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        given = Headers(scope=scope).get("x-request-id", "")
        identifier = given if _IDENTIFIER.fullmatch(given) else token_hex(8)
        scope["polylogit.request_id"] = identifier
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = identifier
                for name, value in _FIXED_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        self._metrics.request_started()
        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnectedError:
            status = _CLIENT_CLOSED
        except Exception as fault:
            _log.error("internal error", extra={"entries": {"id": identifier, **_where(fault)}})
            if not status:
                await error_response(Request(scope), internal_error())(scope, receive, send_with_headers)
        finally:
            seconds = perf_counter() - started
            route = _route(scope)
            error_kind = "disconnected" if status == _CLIENT_CLOSED else scope.get("polylogit.error_kind")
            self._metrics.request_finished(route, _method(scope), status, seconds, error_kind)
            if self._log_requests:
                entries = {
                    "id": identifier,
                    "method": _method(scope),
                    "route": route,
                    "status": status,
                    "milliseconds": round(1000 * seconds, 3),
                    "model": scope.get("polylogit.model"),
                    "rows": scope.get("polylogit.rows"),
                    "error": error_kind,
                }
                _log.info("request", extra={"entries": {name: e for name, e in entries.items() if e is not None}})


def _route(scope: Scope) -> str:
    """The route as it is declared, such as `/models/{name}/predict`: few values, and nothing of the client's."""
    route = scope.get("polylogit.route")
    return route if isinstance(route, str) else "other"


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in ("GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE") else "other"


def _where(fault: BaseException) -> dict[str, object]:
    """The kind of a fault and its place in the code; its message may hold values."""
    frames = traceback.extract_tb(fault.__traceback__)[-4:]
    return {
        "error": type(fault).__name__,
        "at": [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames],
    }
