"""Micro-batching: rows of requests that arrive together go through the network together.

A batch starts as soon as the network is free, with the rows that wait by then. So a lone request never waits for
others, and the batches grow with the load. A batch is limited in rows, not in requests.

Small batches are computed in the event loop itself: handing them to a thread would take longer than computing them.
The others are computed in one thread, so that the service goes on answering.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, thread_time
from typing import NamedTuple

import torch
from torch import Tensor

from polylogit.system.sparse_rows import SparseRows, joined_rows

__all__ = ["BatchReport", "MicroBatcher", "QueueFullError"]

INLINE_SECONDS = 0.001
"""A batch that is expected to take less is computed in the event loop."""


class QueueFullError(Exception):
    """So many rows wait that further ones are not taken."""


class BatchReport(NamedTuple):
    """What is known about a batch when it is done.

    Attributes:
        rows: Its rows.
        requests: The parts of requests in it.
        waited: Seconds that each part has waited before the batch started.
        seconds: Seconds that the batch took.
    """

    rows: int
    requests: int
    waited: list[float]
    seconds: float


_Result = Tensor | Exception


class _Part(NamedTuple):
    inputs: Tensor | SparseRows
    result: "asyncio.Future[Tensor]"
    since: float


class MicroBatcher:
    """Collects rows and scores them in batches.

    Args:
        score: From inputs, N x ..., to logits, N x K.
        most_rows: Most rows of a batch.
        most_waiting: Most rows that wait.
        on_batch: Called after each batch.
    """

    def __init__(
        self,
        score: Callable[[Tensor | SparseRows], Tensor],
        most_rows: int = 256,
        most_waiting: int = 65_536,
        on_batch: Callable[[BatchReport], None] = lambda _: None,
    ) -> None:
        self._score = score
        self._most_rows = most_rows
        self._most_waiting = most_waiting
        self._on_batch = on_batch
        self._waiting: deque[_Part] = deque()
        self._waiting_rows = 0
        self._scheduled = False
        self._busy_since: float | None = None
        self._seconds_per_row = float("inf")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="polylogit-score")

    @property
    def waiting_rows(self) -> int:
        """Rows that wait for a batch."""
        return self._waiting_rows

    @property
    def busy_seconds(self) -> float:
        """For how long the batch that is computed now has been so; 0 where there is none."""
        return 0.0 if self._busy_since is None else monotonic() - self._busy_since

    async def score(self, inputs: Tensor | SparseRows) -> Tensor:
        """Logits of the rows of one request.

        A request with more rows than a batch takes its turn with the others after each batch.

        Args:
            inputs: N x ...

        Returns:
            N x K logits.

        Raises:
            QueueFullError: Too many rows wait.
        """
        if len(inputs) <= self._most_rows:
            return await self._enqueue(inputs)
        parts = [await self._enqueue(part) for part in _parts(inputs, self._most_rows)]
        return torch.cat(parts)

    def close(self) -> None:
        """End the thread once its batch is done."""
        self._thread.shutdown(wait=False)

    def _enqueue(self, inputs: Tensor | SparseRows) -> "asyncio.Future[Tensor]":
        if self._waiting_rows + len(inputs) > self._most_waiting:
            raise QueueFullError
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Tensor] = loop.create_future()
        self._waiting.append(_Part(inputs, result, monotonic()))
        self._waiting_rows += len(inputs)
        if not self._scheduled and self._busy_since is None:
            self._scheduled = True
            loop.call_soon(self._start)  # what else arrives in this turn of the loop joins the batch
        return result

    def _start(self) -> None:
        """Start batches until nothing waits or one is in the thread."""
        self._scheduled = False
        while self._busy_since is None and (parts := self._next_parts()):
            rows = sum(len(part.inputs) for part in parts)
            self._busy_since = monotonic()
            if rows * self._seconds_per_row <= INLINE_SECONDS:
                self._finish(parts, *_scored(self._score, parts))
            else:
                loop = asyncio.get_running_loop()
                done = loop.run_in_executor(self._thread, _scored, self._score, parts)
                done.add_done_callback(lambda done, parts=parts: self._finish_threaded(parts, done))  # type: ignore[misc]

    def _next_parts(self) -> list[_Part]:
        """The parts of the next batch, without those whose requests were cancelled."""
        parts: list[_Part] = []
        rows = 0
        while self._waiting:
            part = self._waiting[0]
            if not part.result.done():
                if parts and rows + len(part.inputs) > self._most_rows:
                    break
                parts.append(part)
                rows += len(part.inputs)
            self._waiting.popleft()
            self._waiting_rows -= len(part.inputs)
        return parts

    def _finish_threaded(self, parts: list[_Part], done: "asyncio.Future[tuple[list[_Result], float]]") -> None:
        fault = None if done.cancelled() else done.exception()
        if done.cancelled() or fault is not None:
            self._finish(parts, [RuntimeError("the batch was not computed")] * len(parts), 0.0)
        else:
            self._finish(parts, *done.result())
        self._start()

    def _finish(self, parts: list[_Part], results: "list[_Result]", computed: float) -> None:
        started, now = self._busy_since or 0.0, monotonic()
        self._busy_since = None
        rows = sum(len(part.inputs) for part in parts)
        seconds = now - started
        # Computing alone counts: with its waits for Python's lock, a thread would keep small batches for good.
        per_row, known = computed / rows, self._seconds_per_row
        self._seconds_per_row = per_row if known == float("inf") else 0.8 * known + 0.2 * per_row
        for part, result in zip(parts, results, strict=True):
            with contextlib.suppress(asyncio.InvalidStateError):  # the request was cancelled meanwhile
                if isinstance(result, Exception):
                    part.result.set_exception(result)
                else:
                    part.result.set_result(result)
        self._on_batch(BatchReport(rows, len(parts), [started - part.since for part in parts], seconds))


def _parts(inputs: Tensor | SparseRows, rows: int) -> Iterator[Tensor | SparseRows]:
    """Neighbouring rows, so many at a time."""
    return (inputs[start : start + rows] for start in range(0, len(inputs), rows))


def _scored(score: Callable[[Tensor | SparseRows], Tensor], parts: list[_Part]) -> "tuple[list[_Result], float]":
    """The logits of each part, and the seconds that this thread computed."""
    began = thread_time()
    results = _results(score, parts)
    return results, thread_time() - began


def _results(score: Callable[[Tensor | SparseRows], Tensor], parts: list[_Part]) -> "list[_Result]":
    """The logits of each part; where the batch fails, each part is scored alone, so that only its cause fails."""
    try:
        if len(parts) == 1:
            return [score(parts[0].inputs)]
        lengths = [len(part.inputs) for part in parts]
        return list(torch.split(score(joined_rows([part.inputs for part in parts])), lengths))
    except Exception as fault:
        if len(parts) == 1:
            return [fault]
        return [_results(score, [part])[0] for part in parts]
