"""Reports of every shape: a table, pictures, very many classes, and a name that would like to be code."""

import re
import shutil
import subprocess
from pathlib import Path

import polars as pl
import pytest
import torch

from polylogit.calibration import fit_calibration
from polylogit.data.tables.audit import Audit, AuditFinding
from polylogit.evaluation import ColumnImportance, evaluate_logits, summarise_logits
from polylogit.report import Coefficients, ReportData
from polylogit.report.label_check import LabelCheck, SuspectLabel

CHROMIUMS_OWN = re.compile(r"https?://[a-z0-9.]*\.(google|googleapis)\.com/")  # it looks for updates of itself

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
)


def draw(rows, classes, sharpness=2.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(rows, classes, generator=generator)
    targets = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    return sharpness * logits, targets


def judged(data, model, names, rows, sample_weight=None, **parts):
    logits, targets = draw(rows, len(names))
    fit = fit_calibration(*draw(400, len(names), seed=1), method="temperature")
    calibrated = fit.calibration.apply(logits)
    return ReportData(
        data=data,
        model=model,
        evaluation=evaluate_logits(calibrated, targets, names, sample_weight=sample_weight),
        logits=calibrated,
        targets=targets,
        uncalibrated=summarise_logits(logits, targets, sample_weight=sample_weight),
        sample_weight=sample_weight,
        logits_before=logits,
        calibration=fit.calibration,
        calibration_fit=fit,
        recipe={"seed": 0, "training": {"C": 1.0}},
        facts={"torch": torch.__version__},
        command="polylogit train animals.csv --target type",
        **parts,
    )


def label_check(names, raw, noun="row", file=None):
    """Two suspects; the classes of the first have the longest and the strangest names."""
    suspects = (
        SuspectLabel(17, file, names[1], names[2], 0.004, 0.981, 0.97),
        SuspectLabel(1040, file, names[2], names[0], 0.012, 0.7, 0.6),
    )
    return LabelCheck("some", noun, 1200, 1000, 0.93, False, suspects, raw)


def table_report():
    names = ["mammal", "<script>console.error('bird')</script>", "fish & $chips$"]
    features = ("legs", "milk", "<b>fins</b>")
    frame = pl.DataFrame({name: range(150) for name in features})
    return judged(
        "animals.csv",
        "linear",
        names,
        150,
        rows_trained_on=600,
        table=frame,
        labels=label_check(names, frame[:2], file="part <1>.csv"),
        row_numbers=torch.arange(1000, 1150),
        history=[{"epoch": n, "objective": 1 / (n + 1), "optimality_gap": 10.0**-n} for n in range(6)],
        coefficients=Coefficients(torch.randn(3, 3, generator=torch.Generator().manual_seed(2)), features),
        importances=[ColumnImportance(name, 0.1 * n, 0.02) for n, name in enumerate(features)],
        audit=Audit(
            data="animals.csv",
            rows=750,
            columns={"legs": "number", "milk": "boolean", "<b>fins</b>": "category"},
            classes=dict.fromkeys(names, 250),
            findings=(AuditFinding("duplicate-rows", "warning", "3 rows are the same as others.", "Drop them."),),
        ),
        notes=["columns that the model does not use: id."],
    )


def picture_report():
    generator = torch.Generator().manual_seed(3)
    names = [str(digit) for digit in range(10)]
    pictures = torch.randint(0, 256, (500, 1, 8, 8), generator=generator, dtype=torch.uint8)
    return judged(
        "digits",
        "cnn",
        names,
        500,
        pictures=pictures,
        labels=label_check(names, pictures[:2], noun="picture"),
        history=[{"epoch": n, "train_loss": 1 / n, "validation_accuracy": 1 - 0.5 / n} for n in range(1, 4)],
        coefficients=Coefficients(torch.randn(10, 64, generator=generator), picture_shape=(1, 8, 8)),
    )


def many_class_report():
    names = [f"species number {k}, a name that is rather long" for k in range(200)]
    features = tuple(f"feature {n}" for n in range(30))
    weight = torch.randn(200, 30, generator=torch.Generator().manual_seed(4))
    return judged("birds.parquet", "linear", names, 1500, coefficients=Coefficients(weight, features))


def weighted_report():
    weights = torch.rand(300, generator=torch.Generator().manual_seed(5)) * (torch.arange(300) % 10 > 0)
    return judged("survey.csv", "linear", ["no", "perhaps", "yes"], 300, sample_weight=weights)


def bare_report():
    """One row of two classes, and nothing else known."""
    logits, targets = torch.tensor([[1.0, 0.0]]), torch.tensor([0])
    return ReportData("one", "linear", evaluate_logits(logits, targets, ["a", "b"]), logits, targets)


REPORTS = {
    "table": table_report,
    "pictures": picture_report,
    "many": many_class_report,
    "weighted": weighted_report,
    "bare": bare_report,
}


@pytest.fixture(scope="session")
def reports():
    return {name: make() for name, make in REPORTS.items()}


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """Run Debian's Chromium on a page; skipped where it is not installed (CI installs it)."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    profile = tmp_path_factory.mktemp("profile")

    def browse(page: Path, *options):
        return subprocess.run(
            [chromium, *FLAGS, f"--user-data-dir={profile}", *options, page.as_uri()],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )

    return browse


@pytest.fixture(scope="session")
def told_by_browser(browser):
    """What the console says of a page, which addresses it asks for, and the page as it stands in the end."""

    def told(page: Path, folder: Path):
        log = folder / "net.json"
        done = browser(page, f"--log-net-log={log}", "--dump-dom")
        console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
        urls = re.findall(r'"url":"((?:https?|wss?|ftp)://[^"]+)"', log.read_text(encoding="utf-8"))
        return console, [url for url in urls if not CHROMIUMS_OWN.match(url)], done.stdout

    return told
