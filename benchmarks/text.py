"""Text columns beside scikit-learn's TF-IDF and fastText: vectorising, and the sections of Debian's packages.

    python benchmarks/text.py [--quick] [--clock wall|cpu]

Two claims. Vectorising: learning a vocabulary of one and two words and weighing the terms of the same texts takes less
time than `TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)`, turn by turn in one process. Sections:
`polylogit train` without options predicts the section of a package from its description at least as well as
scikit-learn's TF-IDF with LogisticRegression(C=10), and softmax regression on the same features takes a fraction of the
time. fastText runs beside them where it is installed (`pip install fasttext-wheel`), with its defaults for supervised
text and two-word terms.

The descriptions come from `apt-cache dumpavail` of a Debian or Ubuntu machine after `apt-get update`; 20,000 are
trained on and 5,000 tested, drawn with a fixed seed. They are not kept. Another index has other rows, so that figures
are comparable within one run only. Writes benchmarks/results/text.json and .md.
"""

import csv
import random
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from timing import arguments, as_row, ratio, side_by_side, write_result

from polylogit import SoftmaxRegression
from polylogit.data.tables.text.analyzer import Analyzer
from polylogit.data.tables.text.vocabulary import Vocabulary
from polylogit.data.tables.text.weighting import weighted_terms
from polylogit.recipes import recipe_from_entries
from polylogit.run import train

TRAINED, TESTED = 20_000, 5_000
Texts = tuple[list[str], list[str]]


def package_sections() -> tuple[Texts, Texts]:
    """Descriptions of packages and their sections, for training and for testing."""
    listed = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True, check=True).stdout
    rows = []
    for stanza in listed.split("\n\n"):
        section = re.search(r"^Section: (?:\S*/)?(\S+)$", stanza, re.MULTILINE)
        text = re.search(r"^Description(?:-en)?: (.*(?:\n .*)*)", stanza, re.MULTILINE)
        if section and text:
            rows.append((" ".join(text[1].split()), section[1]))
    if len(rows) < TRAINED + TESTED:
        raise SystemExit(f"apt-cache knows {len(rows)} packages, fewer than {TRAINED + TESTED}: run apt-get update.")
    random.Random(1).shuffle(rows)  # noqa: S311 - a fixed draw
    fitted, tested = rows[:TRAINED], rows[TRAINED : TRAINED + TESTED]
    return tuple(map(list, zip(*fitted, strict=True))), tuple(map(list, zip(*tested, strict=True)))


def vectorizer() -> TfidfVectorizer:
    """Scikit-learn's, with the same terms and weights as a text column."""
    return TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)


def vectorising(texts: list[str], clock: Callable[[], float], rounds: int) -> list[dict[str, Any]]:
    """Rows of the page: learning and weighing, and weighing alone."""
    cells, analyzer = pl.Series(texts), Analyzer.from_text("words")
    fitted, vocabulary = vectorizer().fit(texts), Vocabulary.fit(cells, analyzer)
    tasks = {
        "learn and weigh": {
            "polylogit": lambda: weighted_terms(cells, Vocabulary.fit(cells, analyzer)),
            "scikit-learn": lambda: vectorizer().fit_transform(texts),
        },
        "weigh": {
            "polylogit": lambda: weighted_terms(cells, vocabulary),
            "scikit-learn": lambda: fitted.transform(texts),
        },
    }
    rows = []
    for name, candidates in tasks.items():
        timings = side_by_side(candidates, rounds=rounds, warmup=1, clock=clock)
        times = 1 / ratio(timings, "polylogit", "scikit-learn")
        rows.append({"measured": name, "terms": len(vocabulary), **as_row(timings), "times_the_throughput": times})
    return rows


def timed(fit: Callable[[], Any], clock: Callable[[], float]) -> tuple[float, Any]:
    """Seconds of one call, and what it returned."""
    started = clock()
    result = fit()
    return clock() - started, result


def scored(name: str, seconds: list[float], probabilities: np.ndarray, classes: list[str], truth: list[str]) -> dict:
    """A row of the page for one classifier."""
    found = np.asarray(classes)[probabilities.argmax(1)]
    return {
        "measured": name,
        "n": len(seconds),
        "seconds": statistics.median(seconds),
        "spread_s": f"{min(seconds):.3g} to {max(seconds):.3g}",
        "accuracy": float((found == np.asarray(truth)).mean()),
        "log_loss": float(log_loss(truth, probabilities, labels=classes)),
    }


def sections(fitted: Texts, tested: Texts, clock: Callable[[], float], repeats: int) -> list[dict[str, Any]]:
    """Rows of the page: each classifier of the sections."""
    rows = []
    features = vectorizer()
    X, X_test = features.fit_transform(fitted[0]), features.transform(tested[0])
    for name, model in {
        "LogisticRegression(C=10, lbfgs) on TF-IDF": LogisticRegression(C=10, max_iter=1000),
        "SoftmaxRegression(C=10) on the same": SoftmaxRegression(C=10),
    }.items():
        runs = [timed(lambda model=model: model.fit(X, fitted[1]), clock)[0] for _ in range(repeats)]
        rows.append(scored(name, runs, model.predict_proba(X_test), list(model.classes_), tested[1]))
    with tempfile.TemporaryDirectory() as folder:
        for name, part in (("train.csv", fitted), ("test.csv", tested)):
            with (Path(folder) / name).open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([("description", "section"), *zip(*part, strict=True)])
        test = {"target": "section", "test": str(Path(folder) / "test.csv")}
        for kind in ("linear", "auto"):
            recipe = recipe_from_entries({"data": test, "model": {"kind": kind}})
            out = Path(folder) / f"{kind}.safetensors"
            seconds, run = timed(lambda recipe=recipe, out=out: train(f"{folder}/train.csv", recipe, out=out), clock)
            probabilities = run.classifier.predict_probabilities(pl.DataFrame({"description": tested[0]})).numpy()
            row = scored(
                f"polylogit train --model {kind}", [seconds], probabilities, list(run.classifier.class_names), tested[1]
            )
            rows.append(row | {"chosen": f"{run.classifier.model_kind}, C={getattr(run.recipe.training, 'C', None)}"})
        rows += fasttext(fitted, tested, Path(folder), clock)
    return rows


def fasttext(fitted: Texts, tested: Texts, folder: Path, clock: Callable[[], float]) -> list[dict[str, Any]]:
    """A row of the page for fastText, where it is installed."""
    try:
        library = import_module("fasttext")
    except ImportError:
        return [{"measured": "fastText", "chosen": "not installed"}]
    lines = [f"__label__{section} {text.lower()}" for text, section in zip(*fitted, strict=True)]
    (folder / "fasttext.txt").write_text("\n".join(lines), encoding="utf-8")
    rows = []
    for epochs in (5, 25):
        seconds, model = timed(
            lambda epochs=epochs: library.train_supervised(
                str(folder / "fasttext.txt"), wordNgrams=2, epoch=epochs, thread=torch.get_num_threads(), verbose=0
            ),
            clock,
        )
        classes = sorted(label.removeprefix("__label__") for label in model.labels)
        place = {f"__label__{name}": k for k, name in enumerate(classes)}
        probabilities = np.full((len(tested[0]), len(classes)), 1e-6)
        for row, text in enumerate(tested[0]):
            for probability, label in model.f.predict(text.lower() + "\n", len(classes), 0.0, "strict"):
                probabilities[row, place[label]] = max(probability, 1e-6)
        probabilities /= probabilities.sum(1, keepdims=True)
        rows.append(scored(f"fastText, two-word terms, {epochs} epochs", [seconds], probabilities, classes, tested[1]))
    return rows


def main() -> None:
    """Measure both and write the page."""
    parser = arguments(__doc__)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu: time of all threads together")
    options = parser.parse_args()
    clock = time.process_time if options.clock == "cpu" else time.perf_counter
    fitted, tested = package_sections()
    rows = vectorising(fitted[0], clock, rounds=2 if options.quick else 10)
    if not options.quick:
        rows += sections(fitted, tested, clock, repeats=3)
    write_result(
        "text",
        claim="A text column is vectorised faster than by TfidfVectorizer, and `train` without options reaches "
        f"TF-IDF with LogisticRegression(C=10). {TRAINED:,} descriptions of packages, {TESTED:,} tested; "
        f"{options.clock} time.",
        rows=rows,
        quick=options.quick,
    )


if __name__ == "__main__":
    main()
