"""The command `polylogit evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from polylogit.cli.console import print_json, print_notes, print_warnings, reported_errors
from polylogit.cli.options import (
    AllowUnseen,
    DataFiles,
    DataRoot,
    Force,
    Json,
    Limit,
    Model,
    ReadingSettings,
    check_data_root,
    limited_reading,
)
from polylogit.data.tables.data_names import data_of_files
from polylogit.report.terminal_text import TerminalConsole

__all__ = ["evaluate"]


def evaluate(
    model: Model,
    files: DataFiles,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Report to write: .html (opens offline), .json or .md.")
    ] = None,
    allow_unseen: AllowUnseen = False,
    settings: ReadingSettings = None,
    data_root: DataRoot = None,
    limit: Limit = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Evaluate a saved model on labelled data."""
    with reported_errors(), limited_reading(limit):
        data = data_of_files(files)
        check_data_root(data, data_root)
        from polylogit import run

        result = run.evaluate(
            model,
            data,
            report=report,
            allow_unseen=allow_unseen,
            settings=settings or (),
            data_root=data_root,
            force=force,
        )
        if as_json:
            print_json(result.as_json())
            return
        from polylogit.report.terminal import conclusion_lines, evaluation_tables

        console = TerminalConsole()
        console.print(evaluation_tables(result.test))
        if result.decisions is not None:
            console.print(f"\n{result.decisions.sentence()}")
        if result.sets is not None:
            console.print(f"\nPrediction sets: {result.sets.sentence()}")
        if result.conclusions:
            console.print("")
            console.print(conclusion_lines(result.conclusions))
        if report is not None:
            console.print(f"\nreport   {report}", soft_wrap=True)
        print_warnings(result.warnings)
        print_notes(result.notes)
