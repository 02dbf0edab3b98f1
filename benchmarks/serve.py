"""Latency and throughput of `polylogit serve` beside a scikit-learn pipeline behind FastAPI and behind LitServe.

Each client of a number of concurrent ones sends a row of 12 columns as JSON over a connection that it keeps, waits for
the answer, and sends the next. The servers run one after the other, in rounds, each in a process of its own with one
thread for arithmetic; all clients are one process. With --soak, a server answers that many requests and its memory is
compared. LitServe is no dependency: `pip install litserve` where it is to be compared.

    python benchmarks/serve.py [--quick] [--peers fastapi litserve] [--soak 200000]
"""

import asyncio
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
from timing import arguments, write_result

CLIENTS = (1, 8, 64)
ROWS = 2000
FOLDER = Path(__file__).parent


def table() -> pl.DataFrame:
    """Customers with numbers, categories and booleans, and a class that depends on them."""
    draw = np.random.default_rng(0)
    columns: dict[str, object] = {f"number_{n}": draw.normal(10 * n, 1 + n, ROWS).round(3) for n in range(6)}
    columns |= {f"city_{n}": draw.choice([f"town {k}" for k in range(5 + 10 * n)], ROWS) for n in range(4)}
    columns |= {f"flag_{n}": draw.choice(["yes", "no"], ROWS) for n in range(2)}
    score = (
        columns["number_0"] + (columns["city_0"] == "town 1") + (columns["flag_0"] == "yes") + draw.normal(0, 1, ROWS)
    )
    columns["tier"] = np.digitize(score, [-0.5, 1.0]).astype(str)
    return pl.DataFrame(columns)


def fit(folder: Path) -> list[bytes]:
    """Train both models on the table; the bodies of requests."""
    import joblib
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    from polylogit.recipes import recipe_from_entries
    from polylogit.run import train

    frame = table()
    frame.write_csv(folder / "customers.csv")
    train(
        str(folder / "customers.csv"), recipe_from_entries({"data": {"target": "tier"}}), out=folder / "m.safetensors"
    )
    inputs = frame.drop("tier").to_pandas()
    numbers = [name for name in inputs if name.startswith("number")]
    others = [name for name in inputs if not name.startswith("number")]
    encode = make_column_transformer((StandardScaler(), numbers), (OneHotEncoder(handle_unknown="ignore"), others))
    pipeline = make_pipeline(encode, LogisticRegression(max_iter=1000)).fit(inputs, frame["tier"].to_list())
    joblib.dump(pipeline, folder / "pipeline.joblib")
    return [json.dumps(row).encode() for row in frame.drop("tier").head(256).to_dicts()]


@contextmanager
def running(command: list[str]) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A server in processes of its own, and the free port that it was given as last word."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    nothing = subprocess.DEVNULL
    process = subprocess.Popen(
        [*command, str(port)], stdout=nothing, stderr=nothing, env=environment, start_new_session=True
    )
    try:
        for _ in range(1200):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, command
                time.sleep(0.1)
        yield process, port
        assert process.poll() is None, command
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


class Client(asyncio.Protocol):
    """Sends requests one after the other over one connection, and keeps the seconds of each."""

    def __init__(self, requests: list[bytes], go_on: Callable[[], bool], done: asyncio.Future[None]) -> None:
        self.requests, self.go_on, self.done = requests, go_on, done
        self.seconds: list[float] = []
        self.received, self.at = b"", 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self.transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """Wait for the whole answer, then send the next request."""
        self.received += data
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        if len(body) < length:
            return
        assert head.startswith(b"HTTP/1.1 200"), self.received[:500]
        self.seconds.append(time.perf_counter() - self.began)
        self.received = b""
        if self.go_on():
            self._send()
        else:
            self.transport.close()
            self.done.set_result(None)

    def _send(self) -> None:
        self.at = (self.at + 1) % len(self.requests)
        self.began = time.perf_counter()
        self.transport.write(self.requests[self.at])


async def load(port: int, bodies: list[bytes], clients: int, go_on: Callable[[], bool]) -> list[float]:
    """The seconds of each request of so many clients."""
    loop = asyncio.get_running_loop()
    head = "POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"
    requests = [head.format(len(body)).encode() + body for body in bodies]
    found = []
    for number in range(clients):
        done = loop.create_future()
        turned = requests[number:] + requests[:number]
        _, client = await loop.create_connection(lambda t=turned, d=done: Client(t, go_on, d), "127.0.0.1", port)
        found.append((client, done))
    await asyncio.gather(*(done for _, done in found))
    return [seconds for client, _ in found for seconds in client.seconds]


def measured(port: int, bodies: list[bytes], clients: int, seconds: float) -> list[float]:
    """The seconds of each request in a stretch of time."""
    until = time.perf_counter() + seconds
    return asyncio.run(load(port, bodies, clients, lambda: time.perf_counter() < until))


def memory(process: subprocess.Popen[bytes]) -> float:
    """Resident memory in MiB."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")


def soak(command: list[str], bodies: list[bytes], requests: int) -> dict[str, float]:
    """Memory after ten thousand requests and after all of them."""
    with running(command) as (process, port):
        after: dict[str, float] = {}
        answered = 0
        for goal in (10_000, requests):
            left = [goal - answered]

            def go_on(left: list[int] = left) -> bool:
                left[0] -= 1
                return left[0] > 0

            asyncio.run(load(port, bodies, 16, go_on))
            answered = goal
            after[f"MiB_after_{goal}"] = round(memory(process), 1)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez") as alive:
            assert alive.status == 200
    return after


def main() -> None:
    """Run the servers in turn and write the result."""
    parser = arguments(__doc__)
    parser.add_argument("--peers", nargs="*", default=["fastapi"], choices=["fastapi", "litserve"])
    parser.add_argument("--soak", type=int, default=0)
    options = parser.parse_args()
    rounds, seconds = (1, 1.0) if options.quick else (3, 2.0)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bodies = fit(folder)
        serve = [sys.executable, "-m", "polylogit", "serve", str(folder / "m.safetensors"), "--port"]
        peer = [sys.executable, str(FOLDER / "serve_peers.py")]
        commands = {"polylogit": [*serve[:-1], "--no-log-requests", "--port"], "polylogit_with_log": serve} | {
            each: [*peer, each, str(folder / "pipeline.joblib")] for each in options.peers
        }
        samples: dict[tuple[str, int], list[list[float]]] = {}
        for _ in range(rounds):
            for server, command in commands.items():
                with running(command) as (_, port):
                    measured(port, bodies, 8, 0.5)
                    for clients in CLIENTS:
                        samples.setdefault((server, clients), []).append(measured(port, bodies, clients, seconds))
        for (server, clients), parts in samples.items():
            rates = [len(part) / seconds for part in parts]
            every = sorted(value for part in parts for value in part)
            row = {
                "server": server,
                "clients": clients,
                "rows_per_second_median": round(statistics.median(rates)),
                "rows_per_second_least": round(min(rates)),
                "rows_per_second_most": round(max(rates)),
                "p50_ms": round(1e3 * every[len(every) // 2], 2),
                "p99_ms": round(1e3 * every[int(len(every) * 0.99)], 2),
            }
            rows.append(row)
        if options.soak:
            rows.append({"server": "polylogit", "soak_requests": options.soak} | soak(serve, bodies, options.soak))
    for row in rows:
        print(row)
    write_result(
        "serve",
        claim="At 64 clients polylogit serve answers at least three times the rows of FastAPI with a pipeline.",
        rows=rows,
        quick=options.quick,
    )


if __name__ == "__main__":
    main()
