"""Micro-batching: rows that wait together go together, and nobody suffers from a neighbour."""

import asyncio
import threading

import pytest
import torch

from polylogit.serve.batching import MicroBatcher, QueueFullError


class Scorer:
    """Twice the inputs; remembers the batches, waits where it is asked to, and fails on negative inputs."""

    def __init__(self):
        self.batches = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, inputs):
        self.batches.append(len(inputs))
        self.gate.wait(5)
        if bool((inputs < 0).any()):
            raise ValueError("negative")
        return 2 * inputs


@pytest.fixture
def scorer():
    return Scorer()


def rows(*values):
    return torch.tensor(values, dtype=torch.float32)[:, None]


def run(work):
    return asyncio.run(asyncio.wait_for(work, 10))


async def until_busy(batcher):
    while not batcher.busy_seconds:
        await asyncio.sleep(0.001)


def test_what_waits_while_the_network_is_busy_is_one_batch(scorer):
    reports = []

    async def work():
        batcher = MicroBatcher(scorer, on_batch=reports.append)
        scorer.gate.clear()
        first = asyncio.create_task(batcher.score(rows(0)))
        await until_busy(batcher)
        others = [asyncio.create_task(batcher.score(rows(n, n + 0.5))) for n in range(1, 6)]
        await asyncio.sleep(0.01)
        assert batcher.waiting_rows == 10
        scorer.gate.set()
        return [(await task).flatten().tolist() for task in (first, *others)]

    found = run(work())
    assert found == [[0.0], *([2.0 * n, 2.0 * n + 1] for n in range(1, 6))]
    assert scorer.batches == [1, 10]
    assert [(report.rows, report.requests) for report in reports] == [(1, 1), (10, 5)]


def test_a_lone_request_does_not_wait(scorer):
    reports = []

    async def work():
        batcher = MicroBatcher(scorer, on_batch=reports.append)
        for n in range(5):
            await batcher.score(rows(n))

    run(work())
    assert scorer.batches == [1] * 5
    assert all(report.requests == 1 for report in reports)


def test_quick_batches_are_computed_in_the_event_loop(scorer):
    threads = []

    def score(inputs):
        threads.append(threading.current_thread())
        return inputs

    async def work():
        batcher = MicroBatcher(score)
        for n in range(30):
            await batcher.score(rows(n))

    run(work())
    assert threads[0] is not threading.main_thread()  # nothing is known about its time yet
    assert threading.main_thread() in threads


def test_a_batch_is_limited_in_rows(scorer):
    async def work():
        batcher = MicroBatcher(scorer, most_rows=4)
        scorer.gate.clear()
        tasks = [asyncio.create_task(batcher.score(rows(n, n, n))) for n in range(4)]
        await until_busy(batcher)
        scorer.gate.set()
        await asyncio.gather(*tasks)

    run(work())
    assert scorer.batches == [3, 3, 3, 3]


def test_a_long_request_takes_turns(scorer):
    async def work():
        batcher = MicroBatcher(scorer, most_rows=4)
        scorer.gate.clear()
        order = []
        long = asyncio.create_task(batcher.score(rows(*range(20))))
        long.add_done_callback(lambda _: order.append("long"))
        await until_busy(batcher)
        short = asyncio.create_task(batcher.score(rows(7)))
        short.add_done_callback(lambda _: order.append("short"))
        await asyncio.sleep(0.01)
        scorer.gate.set()
        assert (await long).flatten().tolist() == [2.0 * n for n in range(20)]
        await short
        return order

    assert run(work()) == ["short", "long"]


def test_a_bad_request_does_not_spoil_its_neighbours(scorer):
    async def work():
        batcher = MicroBatcher(scorer)
        scorer.gate.clear()
        tasks = [asyncio.create_task(batcher.score(rows(n))) for n in (1, 2, -3, 4)]
        await until_busy(batcher)
        scorer.gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = run(work())
    assert isinstance(found[2], ValueError)
    assert [found[n].item() for n in (0, 1, 3)] == [2, 4, 8]


def test_cancelled_requests_are_dropped(scorer):
    async def work():
        batcher = MicroBatcher(scorer)
        scorer.gate.clear()
        first = asyncio.create_task(batcher.score(rows(1)))
        await until_busy(batcher)
        gone = asyncio.create_task(batcher.score(rows(2, 3)))
        stays = asyncio.create_task(batcher.score(rows(4)))
        await asyncio.sleep(0.01)
        gone.cancel()
        first.cancel()  # its batch is under way
        await asyncio.sleep(0.01)
        scorer.gate.set()
        assert (await stays).item() == 8
        assert batcher.waiting_rows == 0

    run(work())
    assert scorer.batches == [1, 1]


def test_rows_that_wait_are_limited(scorer):
    async def work():
        batcher = MicroBatcher(scorer, most_waiting=3)
        scorer.gate.clear()
        first = asyncio.create_task(batcher.score(rows(1)))
        await until_busy(batcher)
        second = asyncio.create_task(batcher.score(rows(1, 2)))
        await asyncio.sleep(0.01)
        with pytest.raises(QueueFullError):
            await batcher.score(rows(1, 2))
        scorer.gate.set()
        await asyncio.gather(first, second)

    run(work())
