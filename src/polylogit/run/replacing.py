"""Which files a command may replace: its own of an earlier run, and neither its input nor anything else.

What polylogit has written is recognised by its content, so that no list of written files has to be kept.
"""

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from polylogit.data.pictures.names import stands_for_pictures
from polylogit.data.tables.reading import is_table
from polylogit.errors import ModelFileError, PolylogitError, RecipeError
from polylogit.model_header import read_header

__all__ = ["check_outputs", "is_own_file"]

_MOST_TEXT = 2**20


def check_outputs(outputs: Sequence[Path], inputs: Sequence[str | Path], *, force: bool = False) -> None:
    """Refuse to write a file over an input, or over a file that polylogit did not write.

    Args:
        outputs: The files that will be written.
        inputs: What is read: model files, and DATA as given on the command line.
        force: Whether a file that polylogit did not write may be replaced. An input never may.

    Raises:
        RecipeError: An output is an input, or would become a part of one.
        PolylogitError: An output is a file of something else.
    """
    for output in outputs:
        for given in inputs:
            _check_is_no_input(output, Path(given))
        if force or not output.is_file() or is_own_file(output):
            continue
        raise PolylogitError(
            f"{output}: there is such a file already, and polylogit did not write it. Choose another name, or replace "
            "it with --force."
        )


def _check_is_no_input(output: Path, given: Path) -> None:
    if given.is_dir():
        if stands_for_pictures(str(given)):
            return
        if is_table(output) and output.parent.resolve() == given.resolve():
            raise RecipeError(
                f"{output}: the file would become a part of the table {given}. Choose another folder for it."
            )
    elif given.is_file() and output.is_file() and output.samefile(given):
        raise RecipeError(f"{output}: this file is read, so it is not written. Choose another name.")


def is_own_file(path: Path) -> bool:
    r"""Whether polylogit wrote a file, by its content; an empty file is nobody's, and counts as its own.

    Args:
        path: A file with one of the endings that polylogit writes.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "classes.csv"
        >>> _ = path.write_text("class,probability_bird,probability_fish\n")
        >>> is_own_file(path)
        True
    """
    if not path.stat().st_size:
        return True
    try:
        match path.suffix.lower():
            case ".safetensors":
                with path.open("rb") as file:
                    return b"polylogit_checkpoint" in file.read(_MOST_TEXT) or bool(read_header(path))
            case ".onnx" | ".pt2":
                with path.open("rb") as file:
                    start = file.read(_MOST_TEXT)
                    file.seek(max(path.stat().st_size - _MOST_TEXT, 0))
                    return b"polylogit" in start[:64] or b"polylogit.json" in file.read()
            case ".parquet":
                return _is_own_table(pl.read_parquet_schema(path))
            case ending:
                with path.open(encoding="utf-8") as file:
                    return _is_own_text(ending, file.read(_MOST_TEXT))
    except (ModelFileError, OSError, ValueError, RecursionError, pl.exceptions.PolarsError):
        return False


def _is_own_text(ending: str, text: str) -> bool:
    first = text.partition("\n")[0]
    match ending:
        case ".csv":
            return _is_own_table(next(csv.reader([first]), ()))
        case ".jsonl":
            row = json.loads(first)
            return isinstance(row, dict) and ("epoch" in row or "iteration" in row or _is_own_table(row))
    marks = {
        ".html": '<meta name="generator" content="polylogit">',
        ".json": '"generator": "polylogit"',
        ".md": "<!-- polylogit report -->",
        ".sql": "-- polylogit {",
    }
    return ending in marks and marks[ending] in text


def _is_own_table(columns: Iterable[str]) -> bool:
    """Predictions, which end in a class and the probabilities of two classes or more; or suspects of the labels."""
    names = list(columns)
    if {"given", "suggested", "error_probability"} <= set(names):
        return True
    if "class" not in names:
        return False
    after = [name for name in names[names.index("class") + 1 :] if name not in ("expected_cost", "prediction_set")]
    return len(after) > 1 and all(name.startswith("probability_") for name in after)
