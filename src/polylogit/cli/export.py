"""The command `polylogit export`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from polylogit.cli.console import print_json, print_notes, reported_errors
from polylogit.cli.options import Force, Json, Model
from polylogit.errors import RecipeError
from polylogit.report.terminal_text import TerminalConsole

if TYPE_CHECKING:
    from polylogit.export import Export

__all__ = ["export"]


def export(
    model: Model,
    to: Annotated[Literal["onnx", "sql", "torch"], typer.Option(help="What to export to.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File to write: .onnx, .sql or .pt2. [default: beside the model file]"),
    ] = None,
    dialect: Annotated[
        Literal["duckdb", "postgres", "sqlite", "bigquery", "snowflake"] | None,
        typer.Option(help="Dialect of the SQL statement. [default: duckdb]"),
    ] = None,
    table: Annotated[
        str | None, typer.Option(metavar="NAME", help="Table that the SQL statement reads. [default: data]")
    ] = None,
    carry: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Column of the table to select before the prediction; may be repeated."),
    ] = None,
    without_decision: Annotated[
        bool,
        typer.Option(
            "--without-decision",
            help="Leave out the costs and class shares by which the model chooses: give the most probable class.",
        ),
    ] = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Export a model for use without polylogit, with preprocessing and calibration inside.

    Before anything is written, the export is run and its predictions are compared with those of the model.
    """
    with reported_errors():
        options: dict[str, Any] = {"dialect": dialect, "table": table, "carry": carry}
        given = {name: value for name, value in options.items() if value is not None}
        if given and to != "sql":
            raise RecipeError(f"--{next(iter(given))}: applies to --to sql only. Leave the option out.")
        from polylogit.export import export_model

        result = export_model(model, to, out, without_decision=without_decision, force=force, **given)
        if result.left_out:
            print_notes([f"the export leaves out {result.left_out}."])
        if as_json:
            print_json(result.as_json())
            return
        _print(result)


def _print(result: "Export") -> None:
    console = TerminalConsole()
    for parity in result.parity:
        ties = f", {parity.near_ties} near ties" if parity.near_ties else ""
        console.print(
            f"{parity.engine}: {parity.rows} rows compared, no class differs{ties}; largest difference of a "
            f"probability {parity.largest_difference:.1e}",
            soft_wrap=True,
        )
    console.print(f"\n{result.to}   {result.path} ({result.size:,} bytes)", soft_wrap=True)
