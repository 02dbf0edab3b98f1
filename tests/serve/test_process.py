"""The service as a process: load, hostile clients, signals, workers, and changed files."""

import asyncio
import errno
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
import uvicorn

from polylogit.classifier import Classifier


def post(address, body, path="/predict"):
    request = urllib.request.Request(f"{address}{path}", data=body, headers={"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read())


def place_of(address):
    host, _, port = address.removeprefix("http://").partition(":")
    return host, int(port)


@pytest.fixture(scope="module")
def path(animal_model):
    return f"/models/{animal_model.parent.name}/predict"


def test_a_thousand_good_and_bad_requests_in_parallel(server, path, row, animal_model):
    good = [row | {"legs": n % 5, "weight": 10 + n / 7, "skin": ["fur", "scales", "wool"][n % 3]} for n in range(500)]
    expected = Classifier.load(animal_model).predict_rows(good)
    bad = [
        (b"{", 422),
        (json.dumps(row | {"legs": "x"}).encode(), 422),
        (b"[" * 5000, 422),
        (b"\xff\xfe", 422),
        (b"{}", 422),
        (b" " * 1_000_001, 413),
    ]

    async def ask():
        async with httpx2.AsyncClient(base_url=server[0], timeout=60) as client:
            limit = asyncio.Semaphore(64)

            async def one(body):
                async with limit:
                    return await client.post(path, content=body, headers={"content-type": "application/json"})

            bodies = []
            for n, each in enumerate(good):
                bodies += [json.dumps(each).encode(), bad[n % len(bad)][0]]
            return await asyncio.gather(*map(one, bodies))

    answers = asyncio.run(ask())
    for n, own in enumerate(expected):
        content = answers[2 * n].json()
        assert content["class"] == own.class_name
        assert content["probabilities"] == pytest.approx(own.probabilities, abs=1e-6)
        assert answers[2 * n + 1].status_code == bad[n % len(bad)][1]


def test_clients_that_hang_up(server, path, row):
    body = json.dumps({"rows": [row] * 2000}).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    for sent in (body, body[:1000], b""):
        with socket.create_connection(place_of(server[0])) as client:
            client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + sent)
    assert post(server[0], json.dumps(row).encode(), path)["class"] in ("calm", "loud")


def test_a_body_that_comes_slowly_ends_at_the_deadline(server, path):
    with socket.create_connection(place_of(server[0]), timeout=20) as client:
        head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n"
        )
        client.sendall(head.encode() + b"{")
        assert client.recv(1000).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
    ],
)
def test_malformed_requests(server, sent):
    with socket.create_connection(place_of(server[0]), timeout=10) as client:
        answer = b""
        try:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            answer = client.recv(100)
        except ConnectionError:
            pass
        except OSError as fault:
            if fault.errno != errno.ENOTCONN:  # else the server has closed the connection already
                raise
    assert not answer.startswith(b"HTTP/1.1 5")
    with urllib.request.urlopen(f"{server[0]}/livez", timeout=5) as alive:
        assert alive.status == 200


def until(client, end):
    """Receive an answer to its end."""
    received = b""
    while not received.endswith(end):
        part = client.recv(1000)
        assert part, received
        received += part


async def hello(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"hi"})


def test_heads_that_come_slowly(monkeypatch):
    from polylogit.serve.connections import LimitedProtocol

    monkeypatch.setattr(LimitedProtocol, "header_seconds", 0.3)
    config = uvicorn.Config(hello, http=LimitedProtocol, ws="none", lifespan="off", log_config=None, port=0)
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        place = listening.getsockname()
        for sent in (
            b"",
            b"GET / HTTP/1.1\r\nHost: a\r\nX-",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nabGET",
        ):
            with socket.create_connection(place, timeout=5) as client:
                client.sendall(sent)
                if b"POST" in sent:  # a further request on the same connection
                    until(client, b"hi")
                    client.sendall(b"GET")
                began, received = time.monotonic(), b""
                try:
                    while part := client.recv(1000):
                        received += part
                except ConnectionResetError:
                    pass
                assert time.monotonic() - began < 4
                assert received == b""
        with socket.create_connection(place, timeout=5) as client:  # a body may take longer than a head
            client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na")
            time.sleep(0.6)
            client.sendall(b"b")
            until(client, b"hi")
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            until(client, b"hi")
    finally:
        server.should_exit = True
        thread.join(10)


def test_sigterm_answers_what_is_in_progress_and_reload_swaps(animal_model, start, tmp_path, row):
    model = tmp_path / "animals.safetensors"
    shutil.copy(animal_model, model)
    with start(model, options=["--reload"], folder=tmp_path) as (address, process, log):
        before = json.loads(urllib.request.urlopen(f"{address}/model").read())["digest"]
        broken = tmp_path / "broken"
        broken.write_bytes(model.read_bytes()[:-40] + b"\0" * 40)
        broken.replace(model)
        wait_for(lambda: "reload refused" in log.read_text())
        assert post(address, json.dumps(row).encode())["class"] in ("calm", "loud")
        other = Classifier.load(animal_model).uncalibrated
        other.network.linear.bias.data += 1.0
        other.save(model)
        wait_for(lambda: '"reloaded"' in log.read_text())
        assert json.loads(urllib.request.urlopen(f"{address}/model").read())["digest"] != before
        model.unlink()
        wait_for(lambda: "file is gone" in log.read_text())
        body = json.dumps({"rows": [row] * 9000}).encode()
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(post, address, body)
            wait_for(lambda: "polylogit_requests_in_progress 2.0" in text(address))
            process.send_signal(signal.SIGTERM)
            assert len(answer.result(20)["predictions"]) == 9000
        assert process.wait(20) == 0
        assert "Traceback" not in log.read_text()


def text(address):
    with urllib.request.urlopen(f"{address}/metrics", timeout=20) as answer:
        return answer.read().decode()


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_a_killed_worker_is_replaced_under_load(animal_model, start, tmp_path, row):
    with start(animal_model, options=["--workers", "2"], folder=tmp_path) as (address, _, log):
        wait_for(lambda: log.read_text().count("Application startup complete") == 2, 60)
        body = json.dumps(row).encode()
        stop, failed, answered = threading.Event(), [], []

        def ask():
            while not stop.is_set():
                try:
                    answered.append(post(address, body)["class"])
                except OSError:
                    failed.append(1)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        worker = int(re.findall(r"Started server process \[(\d+)\]", log.read_text())[0])
        os.kill(worker, signal.SIGKILL)
        wait_for(lambda: log.read_text().count("Application startup complete") == 3, 60)
        at_once = len(answered)
        wait_for(lambda: len(answered) > at_once + 50, 60)
        stop.set()
        for thread in threads:
            thread.join()
        assert len(failed) <= 8  # those that the killed worker had accepted
        assert len(set(answered)) == 1
        metrics = text(address)
        assert "polylogit_requests_total" in metrics


def test_answers_do_not_wait_for_acknowledgements():
    from polylogit.serve.server import _bound_socket

    with _bound_socket("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP  # asyncio then sets TCP_NODELAY


def test_what_cannot_be_served(animal_model, tmp_path):
    def serve(*words):
        command = [sys.executable, "-m", "polylogit", "serve", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    (tmp_path / "no.safetensors").write_bytes(b"nothing")
    missing = serve(tmp_path / "no.safetensors")
    assert missing.returncode == 1
    assert "no.safetensors" in missing.stderr
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(animal_model.read_bytes()[:-40] + b"\0" * 40)
    broken = serve(damaged, "--port", 0)
    assert broken.returncode == 1
    assert "Listening" not in broken.stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        occupied = serve(animal_model, "--port", taken.getsockname()[1])
    assert occupied.returncode == 1
    assert "in use" in occupied.stderr
    assert "Traceback" not in occupied.stderr + missing.stderr
    assert serve(animal_model, "--max-rows", "0").returncode == 2
