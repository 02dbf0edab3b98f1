"""The error that ends a request, and its answer."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from polylogit.serve.json_text import json_bytes

__all__ = ["ClientDisconnectedError", "RequestError", "error_response", "internal_error", "json_response"]


class RequestError(Exception):
    """A request that is not answered with predictions.

    Args:
        status: HTTP status.
        kind: A word for programs, also counted in the metrics.
        message: What was wrong, what was expected and what to do.
        headers: Further headers of the answer.
        details: Further entries of the answer.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        headers: Mapping[str, str] | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.headers = dict(headers or {})
        self.details = dict(details or {})


class ClientDisconnectedError(Exception):
    """The client has closed the connection: nobody waits for the answer."""


def error_response(request: Request, error: RequestError) -> Response:
    """The answer to a request that failed; under `/v2` in the form of the Open Inference Protocol."""
    if request.url.path.startswith("/v2"):
        content: dict[str, object] = {"error": error.message}
    else:
        identifier = request.scope.get("polylogit.request_id")
        content = {"error": {"kind": error.kind, "message": error.message, "request_id": identifier}} | error.details
    request.scope["polylogit.error_kind"] = error.kind
    return Response(json_bytes(content), error.status, error.headers, "application/json")


def json_response(content: object, status: int = 200) -> Response:
    """An answer in JSON."""
    return Response(json_bytes(content), status, media_type="application/json")


def internal_error() -> RequestError:
    """The error where code fails; nothing of the fault is in it."""
    return RequestError(500, "internal", "the service failed. Its log has the place under the request_id.")
