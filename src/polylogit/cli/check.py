"""The command `polylogit check`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polylogit.cli.console import fold_progress, print_json, print_notes, reported_errors
from polylogit.cli.options import (
    DataFiles,
    DataRoot,
    Drop,
    Force,
    Json,
    Limit,
    Settings,
    Target,
    check_data_root,
    dropped_columns,
    limited_reading,
    with_options,
)
from polylogit.data.tables.data_names import data_of_files
from polylogit.errors import RecipeError
from polylogit.recipes import Recipe, read_recipe, recipe_from_entries, starting_entries
from polylogit.recipes.data_kinds import data_kind
from polylogit.report.terminal_text import TerminalConsole

if TYPE_CHECKING:
    from polylogit.report.label_check import LabelCheck

__all__ = ["check"]

SUSPECT_ENDINGS = (".csv", ".parquet", ".jsonl")


def check(
    files: DataFiles,
    target: Target = None,
    drop: Drop = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Recipe that says how the data are read and, with --labels, which model is trained: a .toml file, a "
            "model file, or the name of a recipe of the package.",
        ),
    ] = None,
    settings: Settings = None,
    labels: Annotated[
        bool,
        typer.Option(
            "--labels",
            help="Find labels that are probably wrong, in a table or in pictures: trains models out of fold.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="With --labels: file of the probably wrong labels to write: .csv, .parquet or .jsonl."
        ),
    ] = None,
    force: Force = False,
    data_root: DataRoot = None,
    limit: Limit = None,
    as_json: Json = False,
) -> None:
    """Audit a table or pictures without training, or find wrong labels. Exit status 1 if the audit finds errors."""
    with reported_errors(), limited_reading(limit):
        data = data_of_files(files)
        check_data_root(data, data_root)
        if out is not None and not labels:
            raise RecipeError(f"--out {out}: applies to --labels only. Add --labels, or leave the option out.")
        if out is not None and out.suffix.lower() not in SUSPECT_ENDINGS:
            raise RecipeError(f"--out {out}: the ending is not known. Expected one of {', '.join(SUSPECT_ENDINGS)}.")
        entries = read_recipe(recipe, settings or ())
        with_options(entries, {"data": {"target": target, "drop": dropped_columns(entries, drop)}})
        pictures = data_kind(data, entries.get("data", {}).get("path")) != "table"
        if recipe is None and labels:
            entries = starting_entries(data, entries, pictures=pictures)
        checked = recipe_from_entries(entries)
        from polylogit import run
        from polylogit.run.replacing import check_outputs

        if out is not None:
            check_outputs([out], [data], force=force)
        printed: dict[str, Any] = {}
        errors = False
        if not (pictures and labels):
            audit = run.check(data, checked)
            printed, errors = audit.as_json(), bool(audit.of("error"))
            if not as_json:
                from polylogit.report.audit import audit_report

                TerminalConsole().print(audit_report(audit))
        if labels and errors:
            print_notes(["the labels were not checked, because the audit found errors."])
        elif labels:
            found = _checked_labels(data, checked, data_root, out, quiet=as_json)
            printed["label_errors"] = found.as_json() | {"out": None if out is None else str(out)}
        if as_json:
            print_json(printed)
        if errors:
            raise typer.Exit(1)


def _checked_labels(
    data: str, recipe: Recipe, data_root: Path | None, out: Path | None, *, quiet: bool
) -> "LabelCheck":
    """Check the labels; write and print what is found."""
    from polylogit import run

    with fold_progress() as progress:
        found = run.check_labels(data, recipe, data_root=data_root, callbacks=[] if progress is None else [progress])
    if out is not None:
        from polylogit.run.prediction_file import write_frames

        write_frames([found.frame()], out)
    if not quiet:
        from polylogit.report.label_check import label_check_report

        console = TerminalConsole()
        console.print("")
        console.print(label_check_report(found))
        if out is not None:
            console.print(f"\nsuspects {out}", soft_wrap=True)
    return found
