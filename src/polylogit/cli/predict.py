"""The command `polylogit predict`."""

import shutil
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from polylogit.cli.console import print_notes, print_warnings, reported_errors, row_counter
from polylogit.cli.options import (
    AllowUnseen,
    DataFiles,
    DataRoot,
    Force,
    Limit,
    Model,
    ReadingSettings,
    check_data_root,
    limited_reading,
)
from polylogit.data.tables.data_names import data_of_files
from polylogit.errors import RecipeError
from polylogit.plural import counted
from polylogit.recipes.decision_files import read_costs, read_shares
from polylogit.system.temporary_folder import temporary_folder

__all__ = ["predict"]


def predict(
    model: Model,
    files: DataFiles,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File to write: .csv, .parquet or .jsonl. [default: CSV on standard output]"),
    ] = None,
    carry: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Column of DATA to write before the prediction; may be repeated."),
    ] = None,
    abstain_below: Annotated[
        float | None,
        typer.Option(metavar="P", help="Give no class to rows whose top probability is below P; the report advises."),
    ] = None,
    coverage: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Give each row a prediction set: all classes that it may be of, so that this share of the sets "
            "contains the true class.",
        ),
    ] = None,
    by_class: Annotated[
        bool, typer.Option("--by-class", help="Reach the coverage among the rows of each class, not only on average.")
    ] = False,
    costs: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Costs by true class and decision (.csv or .json): give the class of the least expected cost.",
        ),
    ] = None,
    prior: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Share of each class where the model is used (.csv or .json): choose the class by it."
        ),
    ] = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Add the contribution of each column to the most probable class against the next, in nats "
            "(linear and additive models).",
        ),
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html",
            help="Page to write for pictures: a sheet of each predicted class, the least sure predictions first.",
        ),
    ] = None,
    allow_unseen: AllowUnseen = False,
    settings: ReadingSettings = None,
    escape_formulas: Annotated[
        bool,
        typer.Option(
            "--escape-formulas", help="Put an apostrophe before text that a spreadsheet would take for a formula (CSV)."
        ),
    ] = False,
    data_root: DataRoot = None,
    limit: Limit = None,
    force: Force = False,
) -> None:
    """Predict the class of each row, with a probability per class."""
    with reported_errors(), limited_reading(limit):
        data = data_of_files(files)
        check_data_root(data, data_root)
        if by_class and coverage is None:
            raise RecipeError("--by-class: applies to prediction sets. Give --coverage too, or leave the option out.")
        from polylogit import run

        # Without --out the rows are complete in a file before one is printed, and never in memory as a whole.
        with temporary_folder() if out is None else nullcontext(Path()) as folder:
            place = folder / "predictions.csv" if out is None else out
            with row_counter() as on_progress:
                result = run.predict(
                    model,
                    data,
                    place,
                    carry=carry or (),
                    abstain_below=abstain_below,
                    coverage=coverage,
                    by_class=by_class,
                    costs=None if costs is None else read_costs(costs),
                    prior=None if prior is None else read_shares(prior),
                    explain=explain,
                    allow_unseen=allow_unseen,
                    settings=settings or (),
                    data_root=data_root,
                    escape_formulas=escape_formulas,
                    force=force,
                    report=report,
                    on_progress=on_progress,
                )
            print_warnings(result.warnings)
            print_notes(result.notes)
            if out is None:
                with place.open("rb") as rows:
                    shutil.copyfileobj(rows, sys.stdout.buffer, 2**20)
            else:
                typer.echo(f"{out}: {counted(result.rows, 'row')}", err=True)
            if report is not None:
                typer.echo(f"report   {report}", err=True)
