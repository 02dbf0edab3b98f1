"""What tests of every floor share: a command line without a process, and a trained model."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from polylogit.cli.app import app
from polylogit.data.pictures.encoder import PictureEncoder
from polylogit.data.split import Split
from polylogit.recipes.recipe import LinearRecipe
from polylogit.run import TrainingRun, train
from polylogit.run.labelled_rows import LabelledRows
from polylogit.run.task import Task

Polylogit = Callable[..., Result]


@pytest.fixture
def polylogit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Polylogit:
    """Call the command line in this process, from an empty folder."""
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()

    def call(*words: object) -> Result:
        result = runner.invoke(app, [str(word) for word in words])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


@pytest.fixture(autouse=True)
def few_rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cross-validate small tables only where a test is about that: it takes a second each time."""
    if "cross_validated" not in request.keywords:
        monkeypatch.setattr("polylogit.run.cross_validation.FEW_ROWS", 0)


@pytest.fixture
def task_of() -> Callable[..., Task]:
    """Pictures of two classes by turns as a task, the last fifth of them for testing."""

    def of(pixels: torch.Tensor, groups: torch.Tensor | None = None) -> Task:
        rows = len(pixels)
        return Task(
            name="drawn",
            target="class",
            fingerprint="",
            encoder=PictureEncoder.unit(pixels),
            rows=LabelledRows(pixels, torch.arange(rows) % 2, groups=groups),
            class_names=("dark", "light"),
            split=Split(train=torch.arange(rows - rows // 5), test=torch.arange(rows - rows // 5, rows)),
        )

    return of


@pytest.fixture(scope="session")
def zoo_run(tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    """The bundled zoo table, trained on with the default recipe."""
    return train("zoo", LinearRecipe(), out=tmp_path_factory.mktemp("zoo") / "model.safetensors")


@pytest.fixture
def draw():
    def of(rows, classes, seed=0, sharpness=2.0):
        generator = torch.Generator().manual_seed(seed)
        logits = torch.randn(rows, classes, generator=generator, dtype=torch.float64)
        targets = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
        return sharpness * logits, targets

    return of


@pytest.fixture
def whole_weights():
    """Whole-numbered weights, some zero: weighting must equal repeating the rows."""

    def of(rows, seed=0):
        return torch.randint(0, 4, (rows,), generator=torch.Generator().manual_seed(seed))

    return of
