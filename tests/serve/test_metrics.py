"""Health, metrics and the log."""

import json
import logging

import pytest

from polylogit.serve.json_log import JsonFormatter


def metrics_of(client):
    lines = client.get("/metrics").text.splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def test_what_is_counted(animal_model, serving, row):
    with serving(animal_model) as client:
        client.post("/predict", json={"rows": [row, row | {"skin": "wool", "weight": None}, row | {"legs": "x"}]})
        client.post("/predict", json={"rows": 1})
        found = metrics_of(client)
    name = animal_model.parent.name
    assert found['polylogit_requests_total{method="POST",route="/predict",status="200"}'] == "1.0"
    assert found[f'polylogit_rows_total{{model="{name}",outcome="predicted"}}'] == "2.0"
    assert found[f'polylogit_rows_total{{model="{name}",outcome="failed"}}'] == "2.0"
    assert found[f'polylogit_unseen_values_total{{column="skin",model="{name}"}}'] == "1.0"
    assert found[f'polylogit_missing_values_total{{column="weight",model="{name}"}}'] == "1.0"
    assert found[f'polylogit_top_probability_count{{model="{name}"}}'] == "2.0"
    assert found['polylogit_errors_total{kind="rows"}'] == "1.0"
    classes = [float(value) for key, value in found.items() if key.startswith("polylogit_predictions_total")]
    assert sum(classes) == 2


def test_drift_is_counted_for_tables_too(animal_model, serving, table):
    import polars as pl

    body = table.head(10).with_columns(skin=pl.lit("wool"), weight=None).write_csv()
    with serving(animal_model) as client:
        client.post("/predict", content=body, headers={"content-type": "text/csv"})
        found = metrics_of(client)
    name = animal_model.parent.name
    assert found[f'polylogit_unseen_values_total{{column="skin",model="{name}"}}'] == "10.0"
    assert found[f'polylogit_missing_values_total{{column="weight",model="{name}"}}'] == "10.0"


def test_liveness_fails_while_a_batch_is_stalled(animal_model, serving, monkeypatch):
    from polylogit.serve.batching import MicroBatcher

    with serving(animal_model, stalled_seconds=5.0) as client:
        assert client.get("/livez").status_code == client.get("/readyz").status_code == 200
        monkeypatch.setattr(MicroBatcher, "busy_seconds", 6.0)
        assert client.get("/livez").status_code == client.get("/readyz").status_code == 503


def test_request_identifiers(animal_client):
    assert animal_client.get("/livez", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert animal_client.get("/livez", headers={"x-request-id": "a b"}).headers["x-request-id"] != "a b"


@pytest.fixture
def log_lines():
    """The lines that the service logs."""
    lines = []

    class Collector(logging.Handler):
        def emit(self, record):
            lines.append(json.loads(self.format(record)))

    logger = logging.getLogger("polylogit.serve")
    handler = Collector()
    handler.setFormatter(JsonFormatter())
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lines
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_the_log_has_no_values(animal_model, row, log_lines):
    from starlette.testclient import TestClient

    from polylogit.serve.app import create_app
    from polylogit.serve.settings import ServeSettings

    with TestClient(create_app(ServeSettings((animal_model,))), base_url="http://127.0.0.1") as client:
        client.post("/predict?abstain_below=0.123", json=row | {"skin": "secretword"})
        client.get("/secretword")
    entries = [line for line in log_lines if line["event"] == "request"]
    assert [(line["route"], line["status"]) for line in entries] == [("/predict", 200), ("other", 404)]
    assert entries[0]["rows"] == 1
    assert entries[0]["milliseconds"] > 0
    assert "secretword" not in json.dumps(log_lines)
    assert "0.123" not in json.dumps(log_lines)


def test_faults_are_logged_by_place(animal_model, serving, row, log_lines, monkeypatch):
    from polylogit.serve.predict_endpoint import Predictor

    async def broken(self, request):
        raise KeyError("secretword")

    with serving(animal_model) as client:
        monkeypatch.setattr(Predictor, "_predict", broken)
        client.post("/predict", json=row, headers={"x-request-id": "number-7"})
    (line,) = [line for line in log_lines if line["event"] == "internal error"]
    assert (line["id"], line["error"]) == ("number-7", "KeyError")
    assert "secretword" not in json.dumps(line)
