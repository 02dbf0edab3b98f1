"""The interactive figures of the lessons in a browser: their numbers are polylogit's, with keys and on a phone."""

import re
from pathlib import Path

import pytest
import torch

from polylogit.losses import cross_entropy_with_logits

LESSONS = Path(__file__).parents[2] / "docs" / "lessons"
FIGURE = re.compile(r'^<div class="lesson-figure".*?</div>$', re.MULTILINE | re.DOTALL)
FILES = ("figure", "softmax", "temperature", "loss_surface", "decision_regions")
ROWS = torch.tensor([[2.0, 1], [1, 2], [1, 4], [1, 5], [7, 5], [2, 6], [6, 6], [7, 7]])
TARGETS = torch.tensor([2, 2, 2, 1, 1, 1, 0, 0])


def figures_of(number, language="en"):
    """The figures of a lesson's page, as they stand in the Markdown."""
    pages = sorted(LESSONS.glob(f"{number}-*.md"), key=lambda page: page.name.endswith(".ko.md"))
    return FIGURE.findall(pages[["en", "ko"].index(language)].read_text(encoding="utf-8"))


def page_of(number, language="en"):
    """The figures of a lesson's page, and what the site adds to it, as one document."""
    figures = figures_of(number, language)
    assert figures
    scripts = "".join(
        f"<script>{(LESSONS / 'figures' / f'{name}.js').read_text(encoding='utf-8')}</script>" for name in FILES
    )
    style = (LESSONS / "figures" / "figures.css").read_text(encoding="utf-8")
    return (
        f'<!doctype html><html lang="{language}"><meta name="viewport" content="width=device-width">'
        f"<style>{style}</style>{scripts}<body>{''.join(figures)}</body></html>"
    )


@pytest.fixture
def opened(chromium):
    """Open the figures of a page on a phone in dark mode; no complaint and no request is allowed."""
    context = chromium.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark", has_touch=True)
    page = context.new_page()
    complaints = []
    page.on("console", lambda each: complaints.append(each.text) if each.type in ("error", "warning") else None)
    page.on("pageerror", lambda each: complaints.append(str(each)))
    page.on("request", lambda each: complaints.append(each.url) if each.url.startswith("http") else None)

    def open_page(number, language="en"):
        page.set_content(page_of(number, language), wait_until="load")
        return page

    yield open_page
    assert complaints == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def move(page, index, value):
    """Set a slider as its `input` event reports it."""
    page.locator("input[type=range]").nth(index).evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')) }", str(value)
    )


def bars(page):
    return [float(text) for text in page.locator(".lesson-bars > output").all_inner_texts()]


def value_of(page):
    return float(re.search(r"\d+\.\d+", page.locator(".lesson-value").last.inner_text())[0])


def expected(logits):
    return pytest.approx(torch.tensor(logits).softmax(0).tolist(), abs=6e-5)


def test_softmax_of_three_sliders_follows_keys(opened):
    page = opened(1)
    assert bars(page) == expected([1.0, 2.0, 3.0])
    page.locator("input[type=range]").first.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert bars(page) == expected([1.3, 2.0, 3.0])
    move(page, 2, -6)
    assert bars(page) == expected([1.3, 2.0, -6.0])


def test_a_tap_moves_a_slider(opened):
    page = opened(1)
    box = page.locator("input[type=range]").first.bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2)
    assert bars(page)[0] > 0.9


def test_the_loss_surface_and_the_mistake(opened):
    page = opened(2)
    move(page, 0, 1.5)
    move(page, 1, -0.5)
    logits, target = torch.tensor([[1.5, -0.5, 0.0]]), torch.tensor([0])
    assert value_of(page) == pytest.approx(cross_entropy_with_logits(logits, target).item(), abs=6e-5)
    page.locator("input[type=checkbox]").check()
    twice = cross_entropy_with_logits(logits.softmax(1), target).item()
    assert value_of(page) == pytest.approx(twice, abs=6e-5)


@pytest.mark.parametrize("twice", [False, True])
def test_the_regions_come_from_the_descent_that_torch_does(opened, twice):
    page = opened(3)
    if twice:
        page.locator("input[type=checkbox]").check()
    move(page, 0, 300)
    layer = torch.nn.Linear(2, 3, dtype=torch.float64)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        logits = layer(ROWS.double())
        cross_entropy_with_logits(logits.softmax(1) if twice else logits, TARGETS).backward()
        optimizer.step()
    loss = cross_entropy_with_logits(layer(ROWS.double()), TARGETS).item()
    assert value_of(page) == pytest.approx(loss, abs=6e-5)
    right = (layer(ROWS.double()).argmax(1) == TARGETS).sum().item()
    assert f"{right}/8" in page.locator(".lesson-value").last.inner_text()


def test_temperature(opened):
    page = opened(4)
    move(page, 0, 0.1)
    assert bars(page) == expected([10.0, 20.0, 30.0])
    move(page, 0, 10)
    assert bars(page) == expected([0.1, 0.2, 0.3])


def test_the_sigmoid_is_a_softmax_with_a_fixed_logit(opened):
    page = opened(5)
    assert page.locator("input[type=range]").count() == 1
    move(page, 0, 2.5)
    assert bars(page)[1] == pytest.approx(torch.sigmoid(torch.tensor(2.5)).item(), abs=6e-5)


@pytest.mark.parametrize("number", range(1, 6))
def test_the_korean_page_has_the_same_figure_in_korean(opened, number):
    page = opened(number, "ko")
    start = re.compile("<div.*?>")
    tags = [[start.match(each)[0] for each in figures_of(number, language)] for language in ("en", "ko")]
    assert tags[0] == tags[1]
    text = page.locator("body").inner_text()
    assert not re.search("softmax|temperature|epochs|loss", text)
