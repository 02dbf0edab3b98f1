"""The application: its routes, from the settings."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from polylogit.serve.access import Access
from polylogit.serve.health import Health
from polylogit.serve.metrics import CONTENT_TYPE, Metrics
from polylogit.serve.model_endpoint import ModelCards
from polylogit.serve.models import Models
from polylogit.serve.open_inference import OpenInference
from polylogit.serve.openapi import openapi_document
from polylogit.serve.pages import page_endpoint
from polylogit.serve.predict_endpoint import Predictor
from polylogit.serve.request_error import RequestError, error_response, internal_error, json_response
from polylogit.serve.request_log import RequestLog
from polylogit.serve.settings import ServeSettings

__all__ = ["create_app"]

Endpoint = Callable[[Request], Awaitable[Response]]


def create_app(
    settings: ServeSettings, token: str | None = None, on_ready: Callable[[], None] = lambda: None
) -> ASGIApp:
    """The service as an ASGI application.

    Args:
        settings: What to serve, and the limits.
        token: The bearer token that requests must carry; None: none.
        on_ready: Called once the models are loaded and have predicted.

    Returns:
        The application. It loads the models when it starts.
    """
    metrics = Metrics()
    predictor = Predictor(settings, metrics)
    models = predictor.models = Models(settings.models, metrics, predictor.warm_up)
    health = Health(models, settings)

    cards = ModelCards(models, settings)
    inference = OpenInference(models, predictor, health, settings)

    async def openapi(request: Request) -> Response:
        del request
        return json_response(openapi_document(models.by_name, settings, has_token=token is not None))

    async def metrics_text(request: Request) -> Response:
        del request
        return Response(metrics.text(), headers={"content-type": CONTENT_TYPE})

    routes = [
        _route("/predict", predictor.predict, "POST"),
        _route("/models/{name}/predict", predictor.predict, "POST"),
        _route("/models", cards.names),
        _route("/model", cards.card),
        _route("/models/{name}", cards.card),
        _route("/", page_endpoint("page")),
        _route("/docs", page_endpoint("docs")),
        _route("/openapi.json", openapi),
        _route("/livez", health.live),
        _route("/readyz", health.ready),
        _route("/metrics", metrics_text),
        _route("/v2", inference.server),
        _route("/v2/health/live", inference.live),
        _route("/v2/health/ready", inference.ready),
    ]
    for path in ("/v2/models/{name}", "/v2/models/{name}/versions/1"):
        routes += [
            _route(path, inference.model),
            _route(f"{path}/ready", inference.model_ready),
            _route(f"{path}/infer", inference.infer, "POST"),
        ]

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        await models.load()
        watcher = asyncio.create_task(models.watch()) if settings.reload else None
        on_ready()
        yield
        if watcher is not None:
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher
        models.close()

    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={RequestError: _request_error, HTTPException: _http_error, Exception: _internal_error},
    )
    return RequestLog(Access(app, settings, token), metrics, log_requests=settings.log_requests)


def _route(path: str, endpoint: Endpoint, method: str = "GET") -> Route:
    async def named(request: Request) -> Response:
        request.scope["polylogit.route"] = path
        return await endpoint(request)

    return Route(path, named, methods=[method])


async def _request_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)  # noqa: S101 - registered for these
    return error_response(request, error)


async def _http_error(request: Request, error: Exception) -> Response:
    """The answer to an address or a method that is not known."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for these
    if error.status_code == 404:
        found = RequestError(404, "not_found", "there is nothing at this address. /docs lists what there is.")
    else:
        found = RequestError(error.status_code, "method", "the method does not apply to this address.", error.headers)
    return error_response(request, found)


async def _internal_error(request: Request, error: Exception) -> Response:
    """The answer where code fails. `RequestLog` logs the fault, which passes through."""
    del error
    return error_response(request, internal_error())
