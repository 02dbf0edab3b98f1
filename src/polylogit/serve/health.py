"""Health: `/livez` says whether the process works, `/readyz` whether it can predict."""

from starlette.requests import Request
from starlette.responses import Response

from polylogit.serve.models import Models
from polylogit.serve.request_error import json_response
from polylogit.serve.settings import ServeSettings

__all__ = ["Health"]


class Health:
    """Answers about the health of a process.

    Args:
        models: The models.
        settings: Says when a batch counts as stalled.
    """

    def __init__(self, models: Models, settings: ServeSettings) -> None:
        self._models = models
        self._settings = settings

    @property
    def is_live(self) -> bool:
        """Whether no batch is stalled in a network."""
        return self._models.busy_seconds < self._settings.stalled_seconds

    @property
    def is_ready(self) -> bool:
        """Whether each model has predicted, and no batch is stalled."""
        return self._models.ready and self.is_live

    async def live(self, request: Request) -> Response:
        """`GET /livez`."""
        del request
        return json_response({"status": "live" if self.is_live else "stalled"}, 200 if self.is_live else 503)

    async def ready(self, request: Request) -> Response:
        """`GET /readyz`."""
        del request
        return json_response({"status": "ready" if self.is_ready else "not ready"}, 200 if self.is_ready else 503)
