"""Makes the pictures of reports that the gallery and the README show: trains, compares, and photographs the pages.

python docs/make_gallery.py [NAME ...]

Needs Chromium, the packages of `pip install 'polylogit[test]'`, and Fashion-MNIST in the folder POLYLOGIT_DATA.
"""

import inspect
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import torch
from palmerpenguins import load_penguins
from PIL import Image
from playwright.sync_api import Browser, sync_playwright
from vega_datasets import local_data

from polylogit.data.pictures.sources import open_named_pictures

DOCS = Path(__file__).parent
WIDTH = 1000
LIBRARIES = {
    "numpy": [np, np.ndarray, np.linalg, np.random, np.fft],
    "polars": [pl, pl.DataFrame, pl.Expr, pl.Series],
    "torch": [torch, torch.nn, torch.nn.functional, torch.optim],
}


def write_functions() -> None:
    """Write the table of the tutorial on texts: the first sentences of what three libraries say of their functions."""
    library = {}
    for name, modules in LIBRARIES.items():
        for part in [part for module in modules for part in vars(module).values() if callable(part)]:
            sentences = [text for text in (inspect.getdoc(part) or "").split("\n\n")[:2] if text.endswith(".")]
            if sentences and len(sentences[0].split()) > 3:
                library[" ".join(sentences[0].split())] = name
    pl.DataFrame({"description": list(library), "library": list(library.values())}).write_csv("functions.csv")


def write_clothes() -> None:
    """Write 120 pictures of each of four kinds of clothes of Fashion-MNIST that are hard to tell apart."""
    clothes = open_named_pictures("fashion-mnist")
    for name in ("Coat", "Dress", "Pullover", "Shirt"):
        folder = Path("clothes") / name
        folder.mkdir(parents=True)
        for number in (clothes.targets == clothes.class_names.index(name)).nonzero()[:120, 0].tolist():
            Image.fromarray(clothes.pixels[number, 0].numpy()).save(folder / f"{number}.png")


def write_weather() -> None:
    """Write four years of weather in Seattle."""
    local_data.seattle_weather().to_csv("weather.csv", index=False)


def write_penguins() -> None:
    """Write the measurements of penguins, of which the gallery predicts the year: there is nothing to find."""
    load_penguins().drop(columns="species").to_csv("penguins.csv", index=False)


@dataclass(frozen=True)
class Shot:
    """A picture of a part of a report.

    Attributes:
        command: The arguments of `polylogit`, which writes report.html.
        write: Writes the data.
        start: CSS selector of where the picture starts; "": at the top.
        height: Of the picture, in pixels.
        path: The file, under docs/pictures.
    """

    command: str
    write: Callable[[], None] | None = None
    start: str = ""
    height: int = 900
    path: str = ""


SHOTS = {
    "readme": Shot("train zoo", height=1250, path="report.png"),
    "table": Shot("train zoo", start="#probabilities"),
    "text": Shot("train functions.csv --target library --model linear", write_functions, "#effects"),
    "pictures": Shot("train clothes --model linear", write_clothes, "#confused-pairs", height=770),
    "additive": Shot("train weather.csv --target weather --model additive", write_weather, "#effects"),
    "poor": Shot("train penguins.csv --target year", write_penguins, height=790),
    "comparison": Shot("compare linear.safetensors additive.safetensors weather.csv", write_weather),
}


def photograph(shot: Shot, name: str, browser: Browser) -> Path:
    """Make a report and the picture of a part of it.

    Args:
        shot: What to do.
        name: The name of the picture, unless its path is given.
        browser: Chromium.

    Returns:
        The file of the picture.
    """
    polylogit = [sys.executable, "-m", "polylogit"]
    with TemporaryDirectory() as folder, chdir(folder):
        if shot.write is not None:
            shot.write()
        if shot.command.startswith("compare"):
            for kind in ("linear", "additive"):
                train = ["train", "weather.csv", "--target", "weather", "--model", kind, "--out", f"{kind}.safetensors"]
                subprocess.run([*polylogit, *train], check=True)  # noqa: S603
        subprocess.run([*polylogit, *shot.command.split(), "--report", "report.html"], check=True)  # noqa: S603
        page = browser.new_page(viewport={"width": WIDTH, "height": shot.height}, color_scheme="light")
        page.goto((Path(folder) / "report.html").as_uri())
        top = max(page.locator(shot.start).bounding_box()["y"] - 20, 0) if shot.start else 0
        clip = {"x": 0, "y": top, "width": WIDTH, "height": shot.height}
        picture = Image.open(BytesIO(page.screenshot(full_page=True, clip=clip))).convert("RGB")
        page.close()
    path = DOCS / "pictures" / (shot.path or f"gallery/{name}.webp")
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".webp":
        picture.save(path, quality=80)
    else:
        picture.quantize(128).save(path, optimize=True)
    return path


def main(names: list[str]) -> None:
    """Write the pictures of these names, or all."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("there is no chromium: install it, or leave the pictures as they are.")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for name in names or SHOTS:
            path = photograph(SHOTS[name], name, browser)
            print(f"{path}: {path.stat().st_size / 1000:.0f} kB")  # noqa: T201
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
