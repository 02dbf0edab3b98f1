"""The pages that `polylogit train` leaves, in a real browser: whole, and with the numbers of --json."""

import json
import os
import re

import polars as pl
import pytest
from sklearn.datasets import load_wine

from polylogit.report.numbers import percent

TABLE = ("Permutation importance of the columns", "Coefficients", "The data")
PICTURES = ("What it learned",)
EVERY = (
    "Errors",
    "Confusion matrix",
    "Metrics of each class",
    "The most confident errors",
    "Are the probabilities calibrated?",
    "Selective classification",
    "This run",
    "Facts",
    "Recipe",
)
"""Headings; the learning curves of a network stand beside them."""

RUNS = {
    "zoo": (("zoo",), (*EVERY, *TABLE)),
    "wine": (("wine.csv", "--target", "cultivar"), (*EVERY, *TABLE)),
    "mnist": (("mnist", "--set", "training.C=0.01", "--set", "training.tolerance=0.01"), (*EVERY, *PICTURES)),
    "fashion-mnist": (("fashion-mnist", "--model", "mlp", "--set", "training.epochs=1"), EVERY),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if "mnist" in name else name for name in RUNS]
)
def test_the_page_of_a_run_is_whole_and_reports_what_json_reports(polylogit, told_by_browser, tmp_path, name):
    words, headings = RUNS[name]
    if "mnist" in name:
        if "POLYLOGIT_DATA" not in os.environ:
            pytest.skip("POLYLOGIT_DATA does not say where the pictures lie")
        words = (*words, "--model", "linear") if name == "mnist" else words
    wine = load_wine()
    frame = pl.DataFrame(wine.data, schema=list(wine.feature_names))
    frame.with_columns(pl.Series("cultivar", wine.target_names[wine.target])).write_csv("wine.csv")
    run = json.loads(polylogit("train", *words, "--json").stdout.splitlines()[-1])
    page = (tmp_path / run["report_path"]).resolve()
    text = page.read_text(encoding="utf-8")

    console, urls, dom = told_by_browser(page, tmp_path)
    assert (console, urls) == ([], [])
    assert page.stat().st_size < 2 * 2**20
    assert dom.count("<svg") == text.count("<svg") >= 3
    shown = re.findall(r"<h[23][^>]*>(.*?)</h", dom)
    assert set(headings) <= set(shown)

    test = run["test"]
    told = {key: re.search(rf'id="{key}">([^<]*)<', dom)[1] for key in ("accuracy", "log-loss", "calibration-error")}
    assert told["log-loss"] == f"{test['log_loss']:.3f}"
    assert told["calibration-error"] == f"{test['calibration_error']:.3f}"
    assert told["accuracy"] == percent(test["accuracy"], 0 if test["rows"] < 100 else 1 if test["rows"] < 10_000 else 2)
    table = re.search(r'id="figure-confusion">(.*?)</table>', dom, re.DOTALL)[1]
    rows = [re.findall(r"<td[^>]*>([\d,]+|·)", row) for row in re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)[1:]]
    counts = [[0 if cell == "·" else int(cell.replace(",", "")) for cell in row] for row in rows]
    assert counts == test["confusion"]
