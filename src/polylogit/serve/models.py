"""The models that are served, by name; a changed file replaces its model at once or not at all."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from polylogit.errors import PolylogitError
from polylogit.serve.metrics import Metrics
from polylogit.serve.request_error import RequestError
from polylogit.serve.served_model import ServedModel, file_state, model_names

__all__ = ["Models"]

_SECONDS_BETWEEN_LOOKS = 1.0

_log = logging.getLogger("polylogit.serve")


class Models:
    """The models that are served.

    Args:
        paths: Their files.
        metrics: Where batches and reloads are counted.
        warm_up: Predicts with a model that is loaded: the first calls are slow, and a fault shows before it is used.
    """

    def __init__(
        self, paths: tuple[Path, ...], metrics: Metrics, warm_up: Callable[[ServedModel], Awaitable[None]]
    ) -> None:
        self._warm_up = warm_up
        self._paths = model_names(paths)
        self._metrics = metrics
        self._models: dict[str, ServedModel] = {}

    @property
    def by_name(self) -> Mapping[str, ServedModel]:
        """The models that are loaded."""
        return self._models

    @property
    def ready(self) -> bool:
        """Whether each model is loaded and has predicted."""
        return len(self._models) == len(self._paths)

    @property
    def busy_seconds(self) -> float:
        """For how long the longest batch has been in a network."""
        return max((model.batcher.busy_seconds for model in self._models.values()), default=0.0)

    def get(self, name: str | None) -> ServedModel:
        """The model of a name; without a name the only one.

        Raises:
            RequestError: There is none of that name, several models and no name, or none is ready.
        """
        if not self._models:
            raise RequestError(503, "not_ready", "the models are being loaded.", {"retry-after": "1"})
        if name is None and len(self._paths) == 1:
            return next(iter(self._models.values()))
        if name is None:
            raise RequestError(400, "which_model", f"several models are served; name one: {', '.join(self._paths)}.")
        if name not in self._models:
            raise RequestError(404, "unknown_model", f"there is no such model. Known: {', '.join(self._paths)}.")
        return self._models[name]

    async def load(self) -> None:
        """Load each model and predict with it.

        Raises:
            PolylogitError: A file is at fault.
        """
        for name, path in self._paths.items():
            self._models[name] = await self._loaded(name, path)

    async def watch(self) -> None:
        """Look every second whether a file has changed, and load it if so. A damaged file leaves the model as it is."""
        refused = {name: model.state for name, model in self._models.items()}
        gone: set[str] = set()
        while True:
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
            for name, path in self._paths.items():
                state = file_state(path)
                if not state[0]:
                    if name not in gone:
                        gone.add(name)
                        _log.warning("file is gone; its model is still served", extra={"entries": {"model": name}})
                    continue
                gone.discard(name)
                if state in (refused[name], self._models[name].state):
                    continue
                if file_state(path) != state:  # it is being written
                    continue
                refused[name] = state
                try:
                    loaded = await self._loaded(name, path)
                except Exception as fault:
                    reason = str(fault) if isinstance(fault, PolylogitError) else type(fault).__name__
                    _log.error("reload refused", extra={"entries": {"model": name, "reason": reason}})
                    self._metrics.reload(name, "refused")
                    continue
                self._models[name] = loaded
                _log.info("reloaded", extra={"entries": {"model": name, "digest": loaded.digest}})
                self._metrics.reload(name, "loaded")

    def close(self) -> None:
        """End the threads of the models."""
        for model in self._models.values():
            model.batcher.close()

    async def _loaded(self, name: str, path: Path) -> ServedModel:
        model = await asyncio.to_thread(ServedModel.load, name, path, self._metrics.batch)
        await self._warm_up(model)
        return model
