"""Every lesson, the long ones too, and the page of results of the five networks for clothes.

Runs the lessons one after the other (about twenty minutes on two quiet cores) and prints what the documents print
beside what came out. What each gave is kept in `benchmarks/results/lessons.json` as soon as it is there, with date,
hardware, versions and seconds, and `docs/lessons/results.md` is written from that file. Ends with status 1 where a
number is outside its tolerance. With --quick only the lessons of a few seconds are run, and nothing is written.

    POLYLOGIT_DATA=... python benchmarks/lessons.py [--quick] [ID ...]
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from timing import RESULTS, arguments, machine, table

from polylogit.lessons.catalogue import all_lessons, choose_lessons
from polylogit.lessons.comparison import LessonResult
from polylogit.lessons.running import run_lesson
from polylogit.lessons.terminal import result_table, summary_line

KEPT = RESULTS / "lessons.json"
PAGE = Path(__file__).parents[1] / "docs" / "lessons" / "results.md"
TRAINED = "accuracy on the rows trained on after epoch "
TEST = "accuracy on the test rows"

Entry = dict[str, Any]


def main() -> int:
    """Run the lessons; keep what they gave."""
    parser = arguments(__doc__)
    parser.add_argument("ids", nargs="*", metavar="ID", help="lessons; all of them when left out")
    options = parser.parse_args()
    console = Console()
    results: list[LessonResult] = []
    for lesson in choose_lessons(options.ids, every=not options.ids and not options.quick):
        results.append(run_lesson(lesson))
        console.print(result_table(results[-1]), highlight=False)
        if not options.quick:
            keep(results[-1])
    console.print(summary_line(results), highlight=False)
    return 0 if all(result.ok for result in results) else 1


def keep(result: LessonResult) -> None:
    """Put the result in the place of the one that was kept before, and write the page anew."""
    entries: dict[str, Entry] = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    entries[result.lesson.id] = {
        "taken": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "seconds": round(result.seconds, 1),
        "ok": result.ok,
        "machine": "; ".join(f"{name} {fact}" for name, fact in machine().items()),
        "rows": [row.as_json() for row in result.rows],
    }
    order = {lesson.id: place for place, lesson in enumerate(all_lessons())}
    entries = {name: entries[name] for name in sorted(entries, key=lambda name: order.get(name, len(order)))}
    RESULTS.mkdir(exist_ok=True)
    KEPT.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(entries), encoding="utf-8")


def page(entries: dict[str, Entry]) -> str:
    """The page of results, as Markdown."""
    networks = {name: entry for name, entry in entries.items() if _test_row(entry) is not None}
    others = [entry for name, entry in entries.items() if name not in networks]
    ending = []
    on_the_way = []
    for name, entry in networks.items():
        test = _test_row(entry) or {}
        trained = [row for row in entry["rows"] if row["quantity"].startswith(TRAINED)]
        ending.append(
            {
                "lesson": f"`{name}`",
                "test, printed": _accuracy(test["expected"]),
                "test, measured": _accuracy(test["measured"]),
                "trained on, printed": _accuracy(trained[-1]["expected"]),
                "trained on, measured": _accuracy(trained[-1]["measured"]),
                "within": f"±{test['tolerance']}" if entry["ok"] else "no",
                "seconds": round(entry["seconds"]),
                "taken": entry["taken"],
            }
        )
        for word, key in (("printed", "expected"), ("measured", "measured")):
            after = {row["quantity"].removeprefix(TRAINED): _accuracy(row[key]) for row in trained}
            on_the_way.append({"lesson": f"`{name}`", "": word} | after)
    machines = "\n".join(f"- {facts}" for facts in dict.fromkeys(entry["machine"] for entry in entries.values()))
    numbers = [row["ok"] for entry in entries.values() for row in entry["rows"]]
    seconds = sum(entry["seconds"] for entry in others)
    rest = f"The {len(others)} without a network for clothes took {seconds:.0f} s together.\n" if others else ""
    return f"""# The networks for clothes: results

Five networks of the lecture on Fashion-MNIST, 30 epochs each, trained by their recipes on all 60,000 training rows and
evaluated on the 10,000 test rows. Seconds include the training accuracies along the way. Written by `make lessons-all`.

{table(ending)}

Accuracy on the rows trained on, after the epoch in the head of the column:

{table(on_the_way)}

Of {len(all_lessons())} lessons {len(entries)} were run: {len(numbers)} numbers, {sum(numbers)} within their tolerance.
{rest}
Measured on:

{machines}
"""


def _test_row(entry: Entry) -> Entry | None:
    return next((row for row in entry["rows"] if row["quantity"] == TEST), None)


def _accuracy(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


if __name__ == "__main__":
    sys.exit(main())
