"""Models that are small and have every kind of column, and the service in this process."""

import re
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from starlette.testclient import TestClient

from polylogit.classifier import Classifier
from polylogit.data.pictures.encoder import PictureEncoder
from polylogit.model_header import NetworkSpec, TrainedOn
from polylogit.networks import LinearNetwork
from polylogit.recipes import recipe_from_entries
from polylogit.run import train
from polylogit.serve.app import create_app
from polylogit.serve.settings import ServeSettings

CLASSES = ("calm", "loud")


def animals(rows=60):
    """A table with each type of column; `weight` has gaps."""
    generator = np.random.default_rng(0)
    legs = generator.integers(0, 5, rows)
    skin = generator.choice(["fur", "scales", "feathers"], rows)
    loud = (legs > 2) ^ (skin == "scales")
    return pl.DataFrame(
        {
            "legs": legs,
            "weight": [None if n % 7 == 0 else float(value) for n, value in enumerate(generator.normal(20, 5, rows))],
            "skin": skin,
            "tame": generator.choice(["yes", "no"], rows),
            "seen": [str(date(2024, 1, 1) + timedelta(days=int(day))) for day in generator.integers(0, 700, rows)],
            "voice": np.where(loud, CLASSES[1], CLASSES[0]),
        }
    )


ROW = {"legs": 4, "weight": 21.5, "skin": "fur", "tame": True, "seen": "2024-05-01"}


@pytest.fixture(scope="session")
def animal_model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("animals")
    animals().write_csv(folder / "animals.csv")
    recipe = recipe_from_entries({"data": {"target": "voice"}})
    path = folder / "model.safetensors"
    train(str(folder / "animals.csv"), recipe, out=path)
    return path


@pytest.fixture(scope="session")
def picture_model(tmp_path_factory):
    """Tells bright pictures from dark ones, 6 x 8 pixels, grey."""
    path = tmp_path_factory.mktemp("pictures") / "shades.safetensors"
    pixels = torch.arange(2 * 48, dtype=torch.uint8).reshape(2, 1, 6, 8) * 2
    Classifier(
        preprocessing=PictureEncoder.unit(pixels),
        network=LinearNetwork.with_weights(
            torch.stack([-torch.ones(48), torch.ones(48)]) / 8, torch.tensor([6.0, 0.0])
        ),
        network_spec=NetworkSpec(kind="linear", options={"features": 48, "classes": 2}),
        class_names=("dark", "bright"),
        trained_on=TrainedOn(data="shades", target="class", fingerprint="0" * 64, rows_train=2, rows_test=0),
        recipe={"model": {"kind": "linear"}},
    ).save(path)
    return path


@pytest.fixture(scope="session")
def png():
    def of(value, size=(8, 6), kind="PNG"):
        import io

        file = io.BytesIO()
        Image.new("L", size, value).save(file, kind)
        return file.getvalue()

    return of


@contextmanager
def service(*models, token=None, **settings):
    """A client of the service in this process."""
    app = create_app(ServeSettings(tuple(models), log_requests=False, **settings), token)
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def animal_client(animal_model):
    with service(animal_model) as client:
        yield client


@pytest.fixture(scope="session")
def picture_client(picture_model):
    with service(picture_model) as client:
        yield client


@pytest.fixture(scope="session")
def row():
    return dict(ROW)


@pytest.fixture(scope="session")
def serving():
    return service


@pytest.fixture(scope="session")
def table():
    return animals()


@contextmanager
def running(*models, options=(), folder):
    """`polylogit serve` in a process of its own: its address and the process."""
    log = folder / "serve.log"
    with log.open("wb") as file:
        words = [sys.executable, "-m", "polylogit", "serve", *map(str, models), "--port", "0", *map(str, options)]
        process = subprocess.Popen(words, stderr=file)
        try:
            address = None
            for _ in range(600):
                found = re.search(r"Listening at (\S+)", log.read_text())
                address = found[1] if found else None
                if address and answers(f"{address}/readyz"):
                    break
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
            yield address, process, log
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(20)


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


@pytest.fixture(scope="session")
def start():
    return running


@pytest.fixture(scope="session")
def server(animal_model, picture_model, tmp_path_factory):
    """The address of one service for several tests."""
    options = ["--deadline", "3", "--max-bytes", "1000000"]
    with running(animal_model, picture_model, options=options, folder=tmp_path_factory.mktemp("log")) as found:
        yield found
