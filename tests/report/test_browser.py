"""The pages in a real browser: its complaints, its requests, and whether a phone can show them."""

import json
import os
import re
from pathlib import Path

import pytest
import torch

from polylogit.data.pictures.sources import open_pictures
from polylogit.evaluation import evaluate_logits
from polylogit.report import Coefficients, ReportData, write_report

CONTROL = """<!doctype html><title>control</title><img src="http://127.0.0.1:9/picture.png">
<script>console.error("a fault on the page")</script>"""


def test_the_browser_reports_complaints_and_requests(told_by_browser, tmp_path):
    page = tmp_path / "control.html"
    page.write_text(CONTROL, encoding="utf-8")
    console, urls, _ = told_by_browser(page, tmp_path)
    assert any("a fault on the page" in line for line in console)
    assert any("127.0.0.1:9/picture.png" in url for url in urls)


@pytest.mark.parametrize("kind", ["table", "pictures", "many", "weighted", "bare"])
def test_no_complaint_and_no_request(told_by_browser, reports, tmp_path, kind):
    page = tmp_path / "report.html"
    write_report(reports[kind], page)
    console, urls, dom = told_by_browser(page, tmp_path)
    assert console == []
    assert urls == []
    assert dom.count("<svg") == page.read_text(encoding="utf-8").count("<svg")


@pytest.mark.parametrize("data", ["mnist", "fashion-mnist"])
def test_ten_thousand_real_pictures_make_a_small_page(told_by_browser, tmp_path, data):
    """Each picture goes to the class whose mean picture is nearest: quick, and wrong often enough."""
    if "POLYLOGIT_DATA" not in os.environ:
        pytest.skip("POLYLOGIT_DATA does not say where the pictures lie")
    source = open_pictures(data, root=Path(os.environ["POLYLOGIT_DATA"]))
    rows = source.own_split.test
    pictures, targets = source.pictures.pixels[rows], source.targets[rows]
    pixels = pictures.flatten(1).float() / 255
    means = torch.stack([pixels[targets == k].mean(0) for k in range(10)])
    logits = -torch.cdist(pixels, means).square() / 20
    evaluation = evaluate_logits(logits, targets, source.class_names)
    coefficients = Coefficients(means, picture_shape=(1, 28, 28))
    page = tmp_path / "report.html"
    report = ReportData(data, "nearest mean", evaluation, logits, targets, pictures=pictures, coefficients=coefficients)
    write_report(report, page)
    assert page.stat().st_size < 2 * 2**20
    console, urls, dom = told_by_browser(page, tmp_path)
    assert (console, urls) == ([], [])
    assert dom.count('src="data:image/png') >= 34  # 24 mistakes, 10 classes


def test_no_page_is_wider_than_a_phone(browser, reports, tmp_path):
    """Each page stands in a frame of 360 pixels; a script outside writes down how wide it wants to be."""
    frames = []
    for kind, report in reports.items():
        write_report(report, tmp_path / f"{kind}.html")
        text = (tmp_path / f"{kind}.html").read_text(encoding="utf-8").replace("&", "&amp;").replace('"', "&quot;")
        frames.append(f'<iframe id="{kind}" width="360" height="700" srcdoc="{text}"></iframe>')
    measure = """<script>addEventListener("load", () => { const widths = {};
    for (const frame of document.querySelectorAll("iframe"))
        widths[frame.id] = frame.contentDocument.documentElement.scrollWidth;
    document.body.innerHTML = "<pre>" + JSON.stringify(widths) + "</pre>"; });</script>"""
    page = tmp_path / "frames.html"
    page.write_text(f"<!doctype html><body>{''.join(frames)}{measure}", encoding="utf-8")
    dom = browser(page, "--dump-dom").stdout
    widths = json.loads(re.search(r"<pre>(.*?)</pre>", dom)[1])
    assert set(widths) == set(reports)
    assert {kind: width for kind, width in widths.items() if width > 360} == {}


@pytest.mark.parametrize("width", [1200, 500])
def test_a_screenshot_shows_both_inks(browser, reports, tmp_path, width):
    from PIL import Image

    page, shot = tmp_path / "report.html", tmp_path / "shot.png"
    write_report(reports["pictures"], page)
    browser(page, f"--screenshot={shot}", f"--window-size={width},9000")
    picture = Image.open(shot).convert("RGB")
    assert picture.size[0] == width
    colours = {colour for _, colour in picture.getcolors(maxcolors=2**24)}
    assert {(0x2A, 0x6F, 0xB0), (0xC8, 0x59, 0x1D)} <= colours
