"""The command `polylogit card`."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from polylogit.cli.console import print_notes, reported_errors
from polylogit.cli.options import Model
from polylogit.errors import DataError, PolylogitError
from polylogit.model_header import read_header
from polylogit.system.regular_file import check_regular

__all__ = ["card"]


def card(
    model: Model,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json", help="JSON report with the metrics. [default: the one beside the model file]"
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File to write, README.md by custom. [default: standard output]")
    ] = None,
) -> None:
    """Write a model card for the Hugging Face Hub from a model file. Replaces no file."""
    with reported_errors():
        header = read_header(model)
        from polylogit.report.card import model_card
        from polylogit.run.output_paths import report_path
        from polylogit.system.atomic_file import atomic_write_text

        default = report_path(model).with_suffix(".json")
        place = report or (default if default.exists() else None)
        if place is None:
            print_notes([f"there is no {default}, so the card has no metrics. Name a JSON report with --report."])
        text = model_card(header, model, None if place is None else _read(place))
        if out is None:
            sys.stdout.buffer.write(text.encode("utf-8", errors="backslashreplace"))
            return
        if out.exists():
            raise PolylogitError(f"{out}: there is such a file already. Name another with --out.")
        atomic_write_text(out, text)


def _read(path: Path) -> dict[str, Any]:
    """A JSON report, with the parts that a card takes from it."""
    try:
        check_regular(path)
        report = json.loads(path.read_text(encoding="utf-8"))
        values = [report["test"][name] for name in ("rows", "accuracy", "log_loss", "brier_score", "calibration_error")]
        better = report["cross_validated"]
        values += [] if better is None else [better[name] for name in ("accuracy", "log_loss", "brier_score")]
        texts = [each[name] for each in report["conclusions"] for name in ("level", "code", "message")]
        if not all(isinstance(value, int | float) for value in values) or not all(isinstance(t, str) for t in texts):
            raise TypeError("a metric is no number")
    except OSError as error:
        raise DataError(f"{path}: the report cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            f"{path}: expected a JSON report that polylogit train or evaluate wrote. Write one with --report FILE.json."
        ) from error
    return dict(report)
