"""Draws the pictures of the lessons' pages, into `pictures/` beside this file.

    POLYLOGIT_DATA=... python docs/lessons/draw_pictures.py

Every curve is computed with polylogit's own parts.
"""

import math
from pathlib import Path

import matplotlib as mpl
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from polylogit.lessons.eight_rows import fit_softmax_twice
from polylogit.lessons.training_lessons import TrainingLesson
from polylogit.losses import cross_entropy_with_logits, cross_entropy_with_probabilities

FOLDER = Path(__file__).parent / "pictures"
RIGHT, WRONG, QUIET = "#1b6ca8", "#c8452d", "#777777"


def main() -> None:
    """Draw them all."""
    # The same picture must give the same bytes: no random ids, no date.
    mpl.rcParams.update(
        {"svg.hashsalt": "polylogit", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    )
    FOLDER.mkdir(exist_ok=True)
    draw_softmax(FOLDER / "softmax.svg")
    draw_cross_entropy(FOLDER / "cross_entropy.svg")
    draw_learning_curves(FOLDER / "wrong_and_right_loss.svg")
    draw_picture_301(FOLDER / "picture_301.png")


def draw_softmax(path: Path) -> None:
    """Three logits and their probabilities, and softmax of two logits as one of them moves."""
    _, (before, after, curve) = plt.subplots(1, 3, figsize=(8, 2.4), layout="constrained")
    logits = torch.tensor([1.0, 2.0, 3.0])
    for axes, values, form, title in (
        (before, logits, "%.0f", "logits"),
        (after, logits.softmax(dim=0), "%.4f", "softmax: positive, sum 1"),
    ):
        bars = axes.bar(["0", "1", "2"], values.tolist(), color=RIGHT)
        axes.bar_label(bars, fmt=form, padding=2)
        axes.set(title=title, xlabel="class")
        axes.margins(y=0.15)
    moving = torch.linspace(-6, 6, 121)
    curve.plot(moving, torch.stack([torch.zeros(121), moving], dim=1).softmax(dim=1)[:, 1], color=RIGHT)
    curve.set(title="softmax([0, t])[1], the sigmoid", xlabel="t", ylim=(0, 1))
    _save(path)


def draw_cross_entropy(path: Path) -> None:
    """The loss of the right class's probability, and what a loss of logits makes of that probability."""
    _, axes = plt.subplots(figsize=(5.5, 3), layout="constrained")
    right = torch.linspace(0.002, 1, 500)
    # Seven classes, as on the page: the other six share what is left.
    probabilities = torch.cat([right[:, None], ((1 - right) / 6)[:, None].expand(-1, 6)], dim=1)
    targets = torch.zeros(500, dtype=torch.int64)
    loss = cross_entropy_with_probabilities(probabilities, targets, reduction="none")
    mistaken = cross_entropy_with_logits(probabilities, targets, reduction="none")
    axes.plot(right, loss, color=RIGHT, label="cross-entropy: −log p")
    axes.plot(right, mistaken, color=WRONG, label="probabilities taken for logits, 7 classes")
    axes.set(xlabel="p, the probability given to the right class", ylabel="loss, in nats", xlim=(0, 1), ylim=(0, 5))
    axes.legend(frameon=False)
    _save(path)


def draw_learning_curves(path: Path) -> None:
    """Eight rows for 5000 epochs: what the flawed loss says, what it is worth, and the right loss."""
    _, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
    lesson = TrainingLesson.named("eight-rows-cross-entropy")
    right = lesson.fit(lesson.new_network())
    seen, real = fit_softmax_twice(every=50)
    axes.plot(right, color=RIGHT, label="cross-entropy of logits")
    axes.plot(seen, color=WRONG, label="softmax twice: the loss that is shown")
    axes.plot(range(0, 5001, 50), real, color=WRONG, linestyle="dotted", label="softmax twice: its real cross-entropy")
    _line(axes, math.log(1 + 2 / math.e), "the least that softmax twice can show: log(1 + 2/e)")
    axes.set(xlabel="epoch", ylabel="mean loss, in nats", xlim=(0, 5000), ylim=(0, None))
    axes.legend(frameon=False, fontsize=8)
    _save(path)


def draw_picture_301(path: Path) -> None:
    """The training picture that the lecture draws, with the name of its class."""
    from polylogit.lessons.fashion import PICTURE, clothes  # noqa: PLC0415 - only this picture needs the data

    _, axes = plt.subplots(figsize=(2.4, 2.4), layout="constrained")
    axes.imshow(clothes().pixels[PICTURE, 0], cmap="gray")
    axes.set_title(clothes().class_names[int(clothes().targets[PICTURE])])
    _save(path)


def _line(axes: Axes, height: float, words: str) -> None:
    axes.axhline(height, color=QUIET, linewidth=0.8, linestyle="dashed")
    place = axes.get_yaxis_transform()
    axes.annotate(words, (0.99, height), (0, -3), place, "offset points", color=QUIET, fontsize=8, ha="right", va="top")


def _save(path: Path) -> None:
    plt.savefig(path, dpi=120, metadata={"Date": None} if path.suffix == ".svg" else {"Software": None})
    plt.close()


if __name__ == "__main__":
    main()
