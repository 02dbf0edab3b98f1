"""Package descriptions of Debian or Ubuntu, sorted into their sections: text from the machine's own package index.

Needs apt-cache, and an index that `apt-get update` has fetched.

    python package_descriptions.py
"""

import re
import subprocess
from collections import Counter
from pathlib import Path

import polars as pl

from polylogit.recipes import recipe_from_entries
from polylogit.run import predict, train

SECTIONS = 6
ROWS_PER_SECTION = 400


def descriptions() -> pl.DataFrame:
    """The descriptions of the largest sections, the first packages of each."""
    # A fixed command without a shell.
    index = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True, check=True).stdout  # noqa: S607
    rows = []
    for entry in index.split("\n\n"):
        section = re.search(r"^Section: (?:.*/)?(.*)$", entry, re.MULTILINE)
        text = re.search(r"^Description(?:-en)?: (.*(?:\n .*)*)", entry, re.MULTILINE)
        if section and text:
            rows.append((" ".join(text[1].split()), section[1]))
    largest = [section for section, _ in Counter(section for _, section in rows).most_common(SECTIONS)]
    table = pl.DataFrame(rows, schema=["description", "section"], orient="row").unique("description", keep="first")
    table = table.filter(pl.col("section").is_in(largest)).sort("section", "description")
    return table.filter(pl.int_range(pl.len()).shuffle(seed=0).over("section") < ROWS_PER_SECTION)


def main() -> None:
    """Write packages.csv, train on it, and explain the sections of two new descriptions."""
    descriptions().write_csv("packages.csv")
    recipe = recipe_from_entries({"model": {"kind": "linear"}, "data": {"target": "section"}})
    run = train("packages.csv", recipe, out=Path("packages.safetensors"))
    print(f"{run.test.rows} test rows: accuracy {run.test.accuracy:.3f}, log loss {run.test.log_loss:.3f}")
    new = ["Python module to read and write spreadsheets", "development files for a library of sparse matrices"]
    pl.DataFrame({"description": new}).write_csv("new.csv")
    found = predict(Path("packages.safetensors"), "new.csv", explain=True).frame
    for text, row in zip(new, found.iter_rows(named=True), strict=True):
        print(f"{row['winner']}: {text}")
        print(f"  rather than {row['runner_up']}: {row['terms_description']}")


if __name__ == "__main__":
    main()
