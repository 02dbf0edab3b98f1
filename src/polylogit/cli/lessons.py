"""The command `polylogit lessons`."""

from typing import Annotated

import typer
from rich.text import Text

from polylogit.cli.console import print_json, reported_errors
from polylogit.cli.options import Json
from polylogit.errors import RecipeError
from polylogit.report.terminal_text import TerminalConsole

__all__ = ["lessons"]


def lessons(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID ...]", help="Lessons to run. [default: the quick ones]")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Run the long lessons too: picture networks of 30 epochs each.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="With --all: run every lesson again, also those of an interrupted run.")
    ] = False,
    listed: Annotated[bool, typer.Option("--list", help="List the lessons and run none.")] = False,
    as_json: Json = False,
) -> None:
    """Reproduce five documents on softmax classification: the numbers they print beside those measured here.

    An interrupted --all continues with the first lesson that was not finished; its results are kept in
    runs/lessons-unfinished.json until then.
    """
    with reported_errors():
        from polylogit.lessons.catalogue import choose_lessons

        if restart and not every:
            raise RecipeError("--restart starts --all again, and --all is not given. Add --all, or drop --restart.")

        console = TerminalConsole(stderr=as_json)
        chosen = choose_lessons(ids or (), every=every or (listed and not ids))
        if listed and as_json:
            print_json([lesson.as_json() for lesson in chosen])
            return
        from polylogit.lessons.terminal import lesson_list, result_table, summary_line

        if listed:
            console.print(lesson_list(chosen))
            return
        from polylogit.lessons.kept_results import UNFINISHED, KeptResults
        from polylogit.lessons.running import run_lesson

        if restart:
            UNFINISHED.unlink(missing_ok=True)
        kept = KeptResults(UNFINISHED) if every else None
        results = []
        for lesson in chosen:
            result = kept.result_of(lesson) if kept else None
            if result is not None:
                console.print(Text(f"{lesson.id}: finished by the interrupted run", style="dim"))
            else:
                with TerminalConsole(stderr=True).status(Text(f"{lesson.id}, about {lesson.seconds:g} s")):
                    result = run_lesson(lesson)
                if kept:
                    kept.keep(result)
            results.append(result)
            console.print(result_table(result))
        console.print(summary_line(results))
        if kept and not any(result.fault for result in results):
            kept.remove()
        if as_json:
            print_json([row.as_json() for result in results for row in result.rows])
        if not all(result.ok for result in results):
            raise typer.Exit(1)
