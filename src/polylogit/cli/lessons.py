"""The command `polylogit lessons`."""

from typing import Annotated

import typer
from rich.text import Text

from polylogit.cli.console import print_json, reported_errors
from polylogit.cli.options import Json
from polylogit.report.terminal_text import TerminalConsole

__all__ = ["lessons"]


def lessons(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID ...]", help="Lessons to run. [default: the quick ones]")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Run the long lessons too: picture networks of 30 epochs each.")
    ] = False,
    listed: Annotated[bool, typer.Option("--list", help="List the lessons and run none.")] = False,
    as_json: Json = False,
) -> None:
    """Reproduce five documents on softmax classification: the numbers they print beside those measured here."""
    with reported_errors():
        from polylogit.lessons.catalogue import choose_lessons

        console = TerminalConsole(stderr=as_json)
        chosen = choose_lessons(ids or (), every=every or (listed and not ids))
        if listed and as_json:
            print_json([lesson.as_json() for lesson in chosen])
            return
        from polylogit.lessons.terminal import lesson_list, result_table, summary_line

        if listed:
            console.print(lesson_list(chosen))
            return
        from polylogit.lessons.running import run_lesson

        results = []
        for lesson in chosen:
            with TerminalConsole(stderr=True).status(Text(f"{lesson.id}, about {lesson.seconds:g} s")):
                results.append(run_lesson(lesson))
            console.print(result_table(results[-1]))
        console.print(summary_line(results))
        if as_json:
            print_json([row.as_json() for result in results for row in result.rows])
        if not all(result.ok for result in results):
            raise typer.Exit(1)
