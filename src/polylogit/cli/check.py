"""The command `polylogit check`."""

import typer

from polylogit.cli.console import print_json, reported_errors
from polylogit.cli.options import (
    Data,
    Drop,
    Json,
    Limit,
    Settings,
    Target,
    dropped_columns,
    limited_reading,
    with_options,
)
from polylogit.recipes import read_recipe, recipe_from_entries
from polylogit.report.terminal_text import TerminalConsole

__all__ = ["check"]


def check(
    data: Data,
    target: Target = None,
    drop: Drop = None,
    settings: Settings = None,
    limit: Limit = None,
    as_json: Json = False,
) -> None:
    """Audit a table without training. The exit status is 1 if there are errors."""
    with reported_errors(), limited_reading(limit):
        entries = read_recipe(None, settings or ())
        with_options(entries, {"data": {"target": target, "drop": dropped_columns(entries, drop)}})
        recipe = recipe_from_entries(entries)
        from polylogit import run

        audit = run.check(data, recipe)
        if as_json:
            print_json(audit.as_json())
        else:
            from polylogit.report.audit import audit_report

            TerminalConsole().print(audit_report(audit))
        if audit.of("error"):
            raise typer.Exit(1)
