"""Every lesson, the long ones too, and the page of results of the five networks for clothes.

Runs all lessons one after the other (about twenty minutes on two quiet cores), prints what the documents print beside
what came out, and writes `docs/lessons/results.md`: date, hardware, versions, seconds. Ends with status 1 where a
number is outside its tolerance. With --quick only the lessons of a few seconds are run, and nothing is written.

    POLYLOGIT_DATA=... python benchmarks/lessons.py [--quick] [ID ...]
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from timing import arguments, machine, table

from polylogit.lessons.catalogue import choose_lessons
from polylogit.lessons.comparison import LessonResult
from polylogit.lessons.running import run_lesson
from polylogit.lessons.terminal import closing_words, result_table

PAGE = Path(__file__).parents[1] / "docs" / "lessons" / "results.md"
TRAINED = "accuracy on the rows trained on after epoch "
TEST = "accuracy on the test rows"


def main() -> int:
    """Run the lessons and write the page."""
    parser = arguments(__doc__)
    parser.add_argument("ids", nargs="*", metavar="ID", help="lessons; all of them when left out")
    options = parser.parse_args()
    console = Console()
    results: list[LessonResult] = []
    for lesson in choose_lessons(options.ids, every=not options.ids and not options.quick):
        results.append(run_lesson(lesson))
        console.print(result_table(results[-1]), highlight=False)
    words = closing_words(results)
    console.print(words, highlight=False)
    if not options.quick:
        PAGE.write_text(page(results, words), encoding="utf-8")
    return 0 if all(result.ok for result in results) else 1


def page(results: list[LessonResult], words: str) -> str:
    """The page of results, as Markdown."""
    networks = [result for result in results if any(row.quantity == TEST for row in result.rows)]
    taken = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    facts = "; ".join(f"{key} {value}" for key, value in machine().items())
    short = [result for result in results if result not in networks]
    ending = [
        {
            "lesson": f"`{result.lesson.id}`",
            "test, printed": f"{row.expected:.4f}",
            "test, measured": f"{row.measured:.4f}",
            "trained on, printed": f"{trained.expected:.4f}",
            "trained on, measured": f"{trained.measured:.4f}",
            "seconds": round(result.seconds),
            "inside": "yes" if result.ok else "no",
        }
        for result in networks
        for row in result.rows
        if row.quantity == TEST
        for trained in [[row for row in result.rows if row.quantity.startswith(TRAINED)][-1]]
    ]
    on_the_way = [
        {"lesson": f"`{result.lesson.id}`", "": who}
        | {
            row.quantity.removeprefix(TRAINED): f"{value:.4f}"
            for row in result.rows
            if row.quantity.startswith(TRAINED)
            for value in [row.expected if who == "printed" else row.measured]
        }
        for result in networks
        for who in ("printed", "measured")
    ]
    return f"""# The networks for clothes: results

Five networks of the lecture on Fashion-MNIST, 30 epochs each, trained by their recipes on all 60,000 training rows and
judged on the 10,000 test rows. Written by `make lessons-all`.

Taken {taken}. {facts}.

{table(ending)}

Accuracy on the rows trained on, after the epoch in the head of the column:

{table(on_the_way)}

In this run: {words}; {len(short)} other lessons took {sum(result.seconds for result in short):.0f} s together.
"""


if __name__ == "__main__":
    sys.exit(main())
