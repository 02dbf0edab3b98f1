"""The command `polylogit compare`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polylogit.cli.console import print_json, print_notes, reported_errors
from polylogit.cli.options import DataRoot, Force, Json, Limit, check_data_root, limited_reading
from polylogit.errors import RecipeError
from polylogit.report.terminal_text import TerminalConsole

if TYPE_CHECKING:
    from polylogit.report.comparison import Comparison

__all__ = ["compare"]


def compare(
    given: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL MODEL [MODEL ...] DATA",
            help="Model files and labelled data that none of them was trained on. Or only runs, as folders or "
            "report.json files: their cross-validation is compared.",
        ),
    ],
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Report to write: .html (opens offline) or .json.")
    ] = None,
    data_root: DataRoot = None,
    limit: Limit = None,
    force: Force = False,
    seed: Annotated[int, typer.Option(metavar="N", help="Random seed of the bootstrap.")] = 0,
    as_json: Json = False,
) -> None:
    """Compare models on the same rows, or runs on the same folds: paired differences with intervals."""
    with reported_errors(), limited_reading(limit):
        if report is not None and report.suffix.lower() not in {".html", ".json"}:
            raise RecipeError(f"--report {report}: the ending is not known. Expected .html or .json.")
        found = _compared(given, report, data_root, force=force, seed=seed)
        if report is not None:
            from polylogit.report.comparison_page import write_comparison

            write_comparison(found, report)
        if as_json:
            print_json(found.as_json() | {"report_path": None if report is None else str(report)})
            return
        from polylogit.report.comparison import comparison_report

        console = TerminalConsole()
        console.print(comparison_report(found))
        if report is not None:
            console.print(f"\nreport   {report}", soft_wrap=True)
        print_notes(found.notes)


def _compared(given: list[str], report: Path | None, data_root: Path | None, *, force: bool, seed: int) -> "Comparison":
    from polylogit.run.fold_comparison import compare_folds, report_of_run
    from polylogit.run.replacing import check_outputs

    check_outputs([] if report is None else [report], given, force=force)
    runs = [path for path in map(report_of_run, map(Path, given)) if path is not None]
    if len(given) >= 2 and len(runs) == len(given):
        check_data_root("runs", data_root)
        return compare_folds(runs)
    missing = [path for path in given if not Path(path).exists()]
    if len(given) < 3 and missing and (runs or missing != given[-1:]):  # the data alone may be the name of a data set
        raise RecipeError(f"compare: {', '.join(missing)}: no such file or folder.")
    if len(given) < 3:
        raise RecipeError("compare: expected two models or more and the data, or two runs or more.")
    *models, data = given
    check_data_root(data, data_root)
    from polylogit.run.comparison import compare as compare_models

    return compare_models([Path(model) for model in models], data, data_root=data_root, seed=seed)
