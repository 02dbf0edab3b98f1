"""Who may ask: the bearer token, compared in constant time, and the names by which the service may be addressed."""

import hmac

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from polylogit.serve.request_error import RequestError, error_response
from polylogit.serve.settings import LOOPBACK, ServeSettings

__all__ = ["Access"]

_OPEN = ("/livez", "/readyz", "/v2/health/live", "/v2/health/ready", "/", "/docs")
"""What needs no token: the state of health, and pages that hold no data."""


class Access:
    """Lets requests through that carry the token and address the service by a name that it has.

    A service on the loopback address could otherwise be reached by a page of another site, whose name its owner lets
    point at 127.0.0.1 (DNS rebinding).

    Args:
        app: What answers.
        settings: Host, and further names.
        token: The bearer token; None: none is needed.
    """

    def __init__(self, app: ASGIApp, settings: ServeSettings, token: str | None) -> None:
        self._app = app
        self._token = None if token is None else token.encode()
        self._hosts = {*LOOPBACK, "[::1]", *settings.allowed_hosts} if settings.is_local else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        error = self._fault(scope["path"], headers)
        if error is None:
            await self._app(scope, receive, send)
        else:
            await error_response(Request(scope), error)(scope, receive, send)

    def _fault(self, path: str, headers: Headers) -> RequestError | None:
        if self._hosts is not None and _without_port(headers.get("host", "")) not in self._hosts:
            return RequestError(
                421, "host", "the service does not have the name in the Host header. Add it with --allow-host."
            )
        if self._token is None or path in _OPEN:
            return None
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._token):
            return None
        return RequestError(
            401, "unauthorized", "expected the header Authorization: Bearer TOKEN.", {"www-authenticate": "Bearer"}
        )


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name.lower() if colon and port.isdecimal() else host.lower()
