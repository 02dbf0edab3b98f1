"""The pages in a real browser: a row, a drawing and a table; no complaint and no request elsewhere."""

import pytest

from polylogit.recipes import recipe_from_entries
from polylogit.run import train
from polylogit.serve.pages import page_html


@pytest.mark.parametrize("name", ["page", "docs"])
def test_the_policy_forbids_everything_else(animal_client, name):
    html, policy = page_html(name)
    assert html.count("<script") == html.count("<style") == 1
    assert "http://" not in html
    assert "https://" not in html
    assert " style=" not in html
    answer = animal_client.get("/" if name == "page" else "/docs")
    assert answer.headers["content-security-policy"] == policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


@pytest.fixture
def opened(chromium, server):
    """A page of the service, its complaints and its requests to other places."""
    address = server[0]
    context = chromium.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    page = context.new_page()
    complaints, outside = [], []
    status = "the server responded with a status of 422"  # which one test provokes
    page.on(
        "console",
        lambda each: (
            None if each.type not in ("error", "warning") or status in each.text else complaints.append(each.text)
        ),
    )
    page.on("pageerror", lambda each: complaints.append(str(each)))
    own = (address, f"blob:{address}", "data:")
    page.on("request", lambda each: None if each.url.startswith(own) else outside.append(each.url))
    page.set_default_timeout(10_000)
    yield page, address
    assert complaints == []
    assert outside == []
    # The page fits a phone.
    assert page.evaluate_handle("document.documentElement").evaluate("it => it.scrollWidth") <= 390
    context.close()


def test_a_row_and_a_table(opened, table, tmp_path, animal_client, row):
    page, address = opened
    page.goto(f"{address}/")
    page.wait_for_selector(".answer")  # of the example row
    page.get_by_label("legs").fill("4")
    page.get_by_label("weight").fill("21.5")
    page.get_by_label("skin").select_option("fur")
    page.get_by_label("tame").select_option("true")
    page.get_by_label("seen").fill("2024-05-01")
    page.keyboard.press("Enter")
    expected = animal_client.post("/predict", json=row).json()
    share = f"{100 * max(expected['probabilities'].values()):.1f}"
    page.wait_for_selector(f".answer:has-text('{expected['class']}'):has-text('{share}')")
    assert page.locator(".bars").first.locator("li").count() == 2
    assert "No report" in page.inner_text("#answer")
    assert "speak for" in page.inner_text("#answer")
    table.write_csv(tmp_path / "animals.csv")
    page.set_input_files("#file", tmp_path / "animals.csv")
    page.wait_for_selector("#download")
    assert "60 rows predicted" in page.inner_text("#upload")
    with page.expect_download() as download:
        page.click("#download")
    lines = download.value.path().read_text().splitlines()
    assert lines[0].startswith("legs,weight,skin,tame,seen,voice,class,probability_")
    assert len(lines) == 61


def test_a_fault_is_shown(opened, tmp_path):
    page, address = opened
    page.goto(f"{address}/")
    page.wait_for_selector(".answer")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    page.set_input_files("#file", tmp_path / "other.csv")
    page.wait_for_selector("#upload .fault")
    assert "not there" in page.inner_text("#upload")


def test_the_example_row_of_a_column_with_decimal_commas(chromium, start, tmp_path):
    lines = [f"{n % 40 + 0.5};{'low' if n % 40 < 20 else 'high'}".replace(".", ",") for n in range(80)]
    (tmp_path / "heights.csv").write_text("\n".join(["height;level", *lines]) + "\n")
    model = tmp_path / "model.safetensors"
    train(str(tmp_path / "heights.csv"), recipe_from_entries({"data": {"target": "level"}}), out=model)
    with start(model, folder=tmp_path) as (address, *_):
        page = chromium.new_page()
        page.goto(f"{address}/")
        page.wait_for_selector(".answer")
        assert page.get_by_label("height").input_value().endswith(",5")
        page.get_by_label("height").fill("39,5")
        page.wait_for_selector(".answer:has-text('high')")
        page.close()


def test_a_drawing(opened):
    page, address = opened
    page.goto(f"{address}/")
    page.select_option("#model", "shades")
    page.wait_for_selector("#title:has-text('shades')")
    box = page.locator("#canvas").bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    for step in range(10):
        page.mouse.move(box["x"] + 20 + 200 * (step % 2), box["y"] + 20 * step, steps=3)
    page.mouse.up()
    page.wait_for_selector(".answer")
    assert page.inner_text(".answer").split()[0] in ("dark", "bright")
    page.click("#clear-drawing")
    page.wait_for_selector(".answer", state="detached")


def test_the_page_of_the_interface(opened):
    page, address = opened
    page.goto(f"{address}/docs")
    page.wait_for_selector(".operation")
    assert "/models/shades/predict" in page.inner_text("main")
    assert "curl" in page.inner_text("main")
