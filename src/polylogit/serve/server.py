"""The server process: uvicorn with the application, alone or with several worker processes."""

import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType

import uvicorn
from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from polylogit.errors import PolylogitError
from polylogit.model_header import read_header
from polylogit.serve.connections import LimitedProtocol
from polylogit.serve.json_log import configure_logging
from polylogit.serve.settings import ServeSettings, read_token

__all__ = ["serve", "worker_app"]

_SETTINGS_VARIABLE = "POLYLOGIT_SERVE"
_METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_SWITCH_SECONDS = 0.0005
"""How long the event loop may keep Python's lock while the thread of the network waits for it; the default is 0.005."""


class _Server(uvicorn.Server):
    """A server that says when it is ready, and returns after SIGTERM or SIGINT, where uvicorn's raises it again."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._captured_signals.clear()


def serve(settings: ServeSettings, on_listening: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; then answer what is in progress and return.

    Args:
        settings: What to serve, and where.
        on_listening: Called with the address once the models are loaded; of several worker processes, before.

    Raises:
        PolylogitError: The address cannot be listened at, or a model file is at fault.
    """
    read_token(settings.token_file)
    for path in settings.models:
        read_header(path)
    configure_logging()
    with ExitStack() as stack:
        if settings.workers > 1:
            folder = tempfile.mkdtemp(prefix="polylogit-metrics-")
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            os.environ[_METRICS_VARIABLE] = folder
            stack.callback(os.environ.pop, _METRICS_VARIABLE, None)
        os.environ[_SETTINGS_VARIABLE] = settings.as_json()
        stack.callback(os.environ.pop, _SETTINGS_VARIABLE, None)
        config = _config(settings)
        listening = _bound_socket(settings.host, settings.port)
        stack.callback(listening.close)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        address = f"http://{host}:{listening.getsockname()[1]}"
        if settings.workers > 1:
            on_listening(address)
            supervisor = Multiprocess(config, [listening])
            supervisor.run()
            if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
                raise PolylogitError("a worker process could not start; its log lines say why.")
        else:
            _check_models(settings)
            _Server(config, lambda: on_listening(address)).run(sockets=[listening])


def worker_app() -> ASGIApp:
    """The application of a process, from the settings in its environment."""
    import torch  # noqa: PLC0415 - the parent of worker processes needs none

    from polylogit.serve.app import create_app  # noqa: PLC0415

    configure_logging()
    settings = ServeSettings.from_json(os.environ[_SETTINGS_VARIABLE])
    sys.setswitchinterval(_SWITCH_SECONDS)
    if settings.workers > 1:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // settings.workers))
    LimitedProtocol.header_seconds = settings.header_seconds
    return create_app(settings, read_token(settings.token_file))


def _bound_socket(host: str, port: int) -> socket.socket:
    """The socket to listen at.

    uvicorn's own names no protocol, and asyncio switches Nagle's algorithm off only for sockets that do: an answer in
    two packets would wait for the client's delayed acknowledgement, 40 milliseconds.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[
            0
        ]
        listening = socket.socket(family, kind, socket.IPPROTO_TCP)
    except OSError as fault:
        raise PolylogitError(f"--host {host}: not an address of this machine ({fault.strerror}).") from fault
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as fault:
        listening.close()
        raise PolylogitError(
            f"{host}:{port} cannot be listened at ({fault.strerror}). Name another with --host or --port."
        ) from fault
    listening.set_inheritable(True)
    return listening


def _check_models(settings: ServeSettings) -> None:
    """Load each file once before the server starts, so that a fault is a message and not a failed start."""
    from polylogit.classifier import Classifier  # noqa: PLC0415

    for path in settings.models:
        Classifier.load(path)


def _config(settings: ServeSettings) -> uvicorn.Config:
    return uvicorn.Config(
        "polylogit.serve.server:worker_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        http="polylogit.serve.connections:LimitedProtocol",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=int(settings.deadline) + 1,
        timeout_worker_healthcheck=30,
    )
