"""Limits: bytes, rows, pixels, requests at a time, deadline; token and host."""

import asyncio
import gzip
import io
import json
import time

import numpy as np
import polars as pl
import pytest
from PIL import Image

from polylogit.errors import RecipeError
from polylogit.serve.bodies import BODY_IS_READ, decompressed
from polylogit.serve.request_error import RequestError
from polylogit.serve.settings import ServeSettings, read_token
from polylogit.serve.table_bodies import read_table_body

JSON = {"content-type": "application/json"}


def test_a_long_body_is_refused(animal_model, serving, row):
    with serving(animal_model, max_bytes=1000) as client:
        assert client.post("/predict", json=row).status_code == 200
        answer = client.post("/predict", json={"rows": [row] * 50})
        assert (answer.status_code, answer.json()["error"]["kind"]) == (413, "too_large")
        chunks = client.post("/predict", content=iter([b" " * 600] * 3), headers=JSON)  # no length is declared
        assert chunks.status_code == 413


def test_a_gzip_bomb_is_refused_without_unpacking_it(animal_client):
    bomb = gzip.compress(b" " * 200_000_000, compresslevel=1)
    answer = animal_client.post("/predict", content=bomb, headers=JSON | {"content-encoding": "gzip"})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "body",
    [b"no gzip", gzip.compress(b"{}" * 50)[:-9], gzip.compress(b"{}") + b"rest"],
    ids=["no gzip", "cut short", "more behind"],  # what gzip writes holds the time
)
def test_damaged_gzip(animal_client, body):
    answer = animal_client.post("/predict", content=body, headers=JSON | {"content-encoding": "gzip"})
    assert answer.status_code == 422


def test_an_unknown_compression(animal_client):
    answer = animal_client.post("/predict", content=b"x", headers=JSON | {"content-encoding": "br"})
    assert answer.status_code == 415


def test_gzip_in_several_parts():
    assert decompressed(gzip.compress(b"ab") + gzip.compress(b"cd"), "gzip", 4) == b"abcd"
    with pytest.raises(RequestError, match="longer"):
        decompressed(gzip.compress(b"ab") + gzip.compress(b"cd"), "gzip", 3)


@pytest.mark.parametrize("kind", ["application/json", "text/csv", "application/x-ndjson"])
def test_many_rows_are_refused(animal_model, serving, row, table, kind):
    bodies = {
        "application/json": json.dumps([row] * 21).encode(),
        "application/x-ndjson": json.dumps(row).encode() + b"\n" + b"{}\n" * 20,
        "text/csv": table.head(21).write_csv().encode(),
    }
    with serving(animal_model, max_rows=20) as client:
        answer = client.post("/predict", content=bodies[kind], headers={"content-type": kind})
        assert answer.status_code == 413


def test_parquet_whose_texts_are_long_once_written_out():
    file = io.BytesIO()
    pl.DataFrame({"a": ["x" * 100_000] * 1000}).write_parquet(file)
    assert len(file.getvalue()) < 1_000_000
    from polylogit.data.tables.delimited import Dialect

    with pytest.raises(RequestError, match="texts"):
        read_table_body(file.getvalue(), "application/x-parquet", Dialect(), 10_000, 1_000_000)


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_an_arrow_bomb_is_refused_before_it_is_unpacked(compression):
    file = io.BytesIO()
    pl.DataFrame({"a": np.zeros(2_000_000)}).write_ipc(file, compression=compression)
    assert len(file.getvalue()) < 1_000_000
    from polylogit.data.tables.delimited import Dialect

    with pytest.raises(RequestError, match="after decompression"):
        read_table_body(file.getvalue(), "application/vnd.apache.arrow.file", Dialect(), 10**7, 1_000_000)


def test_a_decompression_bomb_of_a_picture(picture_client):
    file = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(file, "PNG")
    started = time.perf_counter()
    answer = picture_client.post("/predict", content=file.getvalue(), headers={"content-type": "image/png"})
    assert answer.status_code == 422
    assert time.perf_counter() - started < 5


def test_too_many_requests_at_a_time(animal_model, serving, row, monkeypatch):
    from polylogit.serve.predict_endpoint import Predictor

    with serving(animal_model, max_requests=1) as client:
        inner = {}

        async def slow(self, request):
            if "at" not in inner:
                inner["at"] = True
                with pytest.raises(RequestError) as caught:
                    await self.predict(request)
                inner["status"] = (caught.value.status, caught.value.headers["retry-after"])
            return await original(self, request)

        original = Predictor._predict
        monkeypatch.setattr(Predictor, "_predict", slow)
        assert client.post("/predict", json=row).status_code == 200
        assert inner["status"] == (503, "1")


def test_the_deadline(animal_model, serving, row, monkeypatch):
    from polylogit.serve.predict_endpoint import Predictor

    async def slow(self, request):
        request.scope[BODY_IS_READ] = request.query_params["read"] == "yes"
        await asyncio.sleep(10)

    with serving(animal_model, deadline=0.05) as client:
        monkeypatch.setattr(Predictor, "_predict", slow)
        assert client.post("/predict?read=yes", json=row).status_code == 504
        assert client.post("/predict?read=no", json=row).status_code == 408


def test_faults_of_the_code_leak_nothing(animal_model, serving, row, monkeypatch):
    from polylogit.serve.predict_endpoint import Predictor

    async def broken(self, request):
        raise KeyError("secret value")

    with serving(animal_model) as client:
        monkeypatch.setattr(Predictor, "_predict", broken)
        answer = client.post("/predict", json=row)
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


def test_the_token(animal_model, serving, row):
    with serving(animal_model, token="a-long-enough-token") as client:  # noqa: S106
        assert client.post("/predict", json=row).status_code == 401
        for wrong in ("Bearer", "Bearer x", "Basic a-long-enough-token", "Bearer a-long-enough-token2"):
            assert client.post("/predict", json=row, headers={"authorization": wrong}).status_code == 401
        right = {"authorization": "Bearer a-long-enough-token"}
        assert client.post("/predict", json=row, headers=right).status_code == 200
        assert client.get("/metrics").status_code == 401
        assert client.get("/livez").status_code == client.get("/readyz").status_code == 200


def test_where_the_token_comes_from(tmp_path, monkeypatch):
    monkeypatch.delenv("POLYLOGIT_TOKEN", raising=False)
    assert read_token(None) is None
    monkeypatch.setenv("POLYLOGIT_TOKEN", "from-the-environment")
    assert read_token(None) == "from-the-environment"
    path = tmp_path / "token"
    path.write_text("from-the-file-it-is\n")
    assert read_token(path) == "from-the-file-it-is"
    for bad in ("short", "with a space in between", "ümlaut-are-no-header", ""):
        path.write_text(bad)
        with pytest.raises(RecipeError, match="printable"):
            read_token(path)
    with pytest.raises(RecipeError, match="cannot be read"):
        read_token(tmp_path / "none")


def test_names_that_the_service_does_not_have(animal_model, serving, row):
    with serving(animal_model, allowed_hosts=("models.example",)) as client:
        assert client.post("/predict", json=row, headers={"host": "evil.example"}).status_code == 421
        for host in ("localhost:8000", "127.0.0.1", "[::1]:8000", "models.example"):
            assert client.post("/predict", json=row, headers={"host": host}).status_code == 200
    with serving(animal_model, host="0.0.0.0") as client:  # noqa: S104
        assert client.post("/predict", json=row, headers={"host": "anything"}).status_code == 200


def test_settings_survive_the_way_to_a_worker(tmp_path):
    settings = ServeSettings(
        (tmp_path / "a.safetensors",), token_file=tmp_path / "t", allowed_hosts=("b",), deadline=2.5
    )
    assert ServeSettings.from_json(settings.as_json()) == settings
    with pytest.raises(RecipeError, match="--max-rows"):
        ServeSettings((), max_rows=0)
