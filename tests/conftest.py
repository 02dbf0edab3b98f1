"""What tests of every floor share: a command line without a process, and a trained model."""

import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from typer.testing import CliRunner, Result

from polylogit.cli.app import app
from polylogit.data.pictures.encoder import PictureEncoder
from polylogit.data.split import Split
from polylogit.recipes import reading
from polylogit.recipes.recipe import LinearRecipe
from polylogit.run import TrainingRun, linear_fit, train
from polylogit.run.labelled_rows import LabelledRows
from polylogit.run.penalty_choice import USUAL_POWERS
from polylogit.run.task import Task

Polylogit = Callable[..., Result]


@pytest.fixture(autouse=True, scope="session")
def feature_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep features of pictures in a folder of the tests, not in the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("POLYLOGIT_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawings of discs, stripes and squares, twenty of each in a folder, in colours and places that say nothing."""
    draw, folder = np.random.default_rng(0), tmp_path_factory.mktemp("shapes")
    for name in ("discs", "squares", "stripes"):
        (folder / name).mkdir()
        for number in range(20):
            ground, ink = (tuple(draw.integers(low, low + 120, 3).tolist()) for low in (120, 0))
            picture = Image.new("RGB", (100, 80), ground)
            pen = ImageDraw.Draw(picture)
            for _ in range(6):
                x, y, side = *draw.integers(0, 70, 2).tolist(), int(draw.integers(10, 25))
                if name == "discs":
                    pen.ellipse((x, y, x + side, y + side), fill=ink)
                elif name == "squares":
                    pen.rectangle((x, y, x + side, y + side), fill=ink)
                else:
                    pen.line((x, 0, x + side, 80), fill=ink, width=4)
            picture.save(folder / name / f"{number}.png")
    return folder


@pytest.fixture(scope="module")  # while it runs, nothing else can run an event loop in this thread
def chromium() -> Iterator[object]:
    """Playwright's handle of the chromium that is installed; skipped where there is none."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


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


@pytest.fixture(scope="session")
def write_workbook() -> Callable[[Path, dict[str, list[list[object]]]], None]:
    """Write sheets of numbers and texts as .xlsx."""

    def cell(value: object) -> str:
        if value is None:
            return "<c/>"
        if isinstance(value, int | float):
            return f"<c><v>{value}</v></c>"
        return f'<c t="inlineStr"><is><t>{value}</t></is></c>'

    def write(path: Path, sheets: dict[str, list[list[object]]]) -> None:
        main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
        links = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
        package = "http://schemas.openxmlformats.org/package/2006"
        names = list(sheets)
        with zipfile.ZipFile(path, "w") as file:
            types = "application/vnd.openxmlformats-officedocument.spreadsheetml"
            parts = "".join(
                f'<Override PartName="/xl/worksheets/s{n}.xml" ContentType="{types}.worksheet+xml"/>'
                for n in range(len(names))
            )
            file.writestr(
                "[Content_Types].xml",
                f'<Types xmlns="{package}/content-types"><Default Extension="rels" '
                'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
                f'<Override PartName="/xl/workbook.xml" ContentType="{types}.sheet.main+xml"/>{parts}</Types>',
            )
            root = f'<Relationship Id="r" Type="{links}/officeDocument" Target="xl/workbook.xml"/>'
            file.writestr("_rels/.rels", f'<Relationships xmlns="{package}/relationships">{root}</Relationships>')
            listed = "".join(f'<sheet name="{name}" sheetId="{n + 1}" r:id="r{n}"/>' for n, name in enumerate(names))
            file.writestr(
                "xl/workbook.xml", f'<workbook xmlns="{main}" xmlns:r="{links}"><sheets>{listed}</sheets></workbook>'
            )
            targets = "".join(
                f'<Relationship Id="r{n}" Type="{links}/worksheet" Target="worksheets/s{n}.xml"/>'
                for n in range(len(names))
            )
            file.writestr(
                "xl/_rels/workbook.xml.rels",
                f'<Relationships xmlns="{package}/relationships">{targets}</Relationships>',
            )
            for n, rows in enumerate(sheets.values()):
                lines = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
                file.writestr(
                    f"xl/worksheets/s{n}.xml", f'<worksheet xmlns="{main}"><sheetData>{lines}</sheetData></worksheet>'
                )

    return write


@pytest.fixture(autouse=True)
def few_rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cross-validate small tables only where a test is about that: it takes a second each time."""
    if "cross_validated" not in request.keywords:
        monkeypatch.setattr("polylogit.run.cross_validation.FEW_ROWS", 0)


@pytest.fixture(scope="session", autouse=True)
def one_penalty() -> Iterator[None]:
    """Choose C among one value, 1, except where a test is about the choice: it multiplies the time of each fit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linear_fit, "POWERS", (0, 0, 0))
        yield


@pytest.fixture(autouse=True)
def linear_by_default(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train linear models on tables where no kind is named, except where a test is about the default or shows it."""
    if "usual_kind" not in request.keywords:
        monkeypatch.setattr(reading, "KIND_OF_TABLES", "linear")


@pytest.fixture(autouse=True)
def path_of_penalties(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Choose C among as many values as for a user, where the test is marked so."""
    if "penalty_chosen" in request.keywords:
        monkeypatch.setattr(linear_fit, "POWERS", USUAL_POWERS)


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
