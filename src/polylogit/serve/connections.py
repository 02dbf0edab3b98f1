"""Connections that send their head slowly, or never, are closed: uvicorn itself waits for them without end."""

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import H11Protocol as _Protocol
else:
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as _Protocol
    except ImportError:  # httptools is optional
        from uvicorn.protocols.http.h11_impl import H11Protocol as _Protocol

__all__ = ["LimitedProtocol"]


class LimitedProtocol(_Protocol):
    """uvicorn's HTTP protocol with a limit on the time that the head of a request may take.

    The time of a body is part of the request's deadline, and uvicorn closes connections that stay idle.
    """

    header_seconds = 10.0
    """Seconds from the connection, or from the first byte of a further request, to the end of the head."""

    _timer: asyncio.TimerHandle | None = None
    _answered: object = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock with the connection."""
        super().connection_made(transport)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        """Stop the clock where the data complete a head, or belong to a body."""
        if self._timer is None and (self.cycle is None or self.cycle.response_complete):
            self._start_timer()
        super().data_received(data)
        if self.cycle is not self._answered or (self.cycle is not None and not self.cycle.response_complete):
            self._answered = self.cycle
            self._stop_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop_timer()
        super().connection_lost(exc)

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(self.header_seconds, self._close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close(self) -> None:
        self._timer = None
        self.transport.abort()
