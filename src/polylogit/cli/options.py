"""Arguments and options that several commands share."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from polylogit.data.pictures.names import NAMED_PICTURES
from polylogit.data.tables.limits import limits_from, reading_limits
from polylogit.errors import RecipeError

__all__ = [
    "AllowUnseen",
    "Data",
    "DataFiles",
    "DataRoot",
    "Drop",
    "Json",
    "Limit",
    "Model",
    "ReadingSettings",
    "Settings",
    "Target",
    "check_data_root",
    "limited_reading",
    "with_options",
]

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A data set by name (zoo, mnist, fashion-mnist, ...), a table (.csv, .tsv, .parquet, .arrow, .jsonl), a "
        "folder of its parts, or a folder of pictures with one folder per class.",
    ),
]
DataFiles = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA...",
        help="A data set by name (zoo, mnist, fashion-mnist, ...), a table (.csv, .tsv, .txt, .parquet, .arrow, "
        ".jsonl, .json, .xlsx, .ods, .zip), several tables with the same columns, a folder of them, - for standard "
        "input, or a folder of pictures with one folder per class.",
    ),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Directory for downloaded data sets. [default: $POLYLOGIT_DATA]"),
]
AllowUnseen = Annotated[
    bool, typer.Option("--allow-unseen", help="Go on even if most cells of a column are unseen categories.")
]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A model file that polylogit train wrote.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else.")]
Target = Annotated[str | None, typer.Option(metavar="COLUMN", help="Column that holds the classes.")]
Drop = Annotated[
    list[str] | None, typer.Option(metavar="COLUMN", help="Leave out a column of the table; may be repeated.")
]
Force = Annotated[
    bool, typer.Option("--force", help="Replace files that polylogit did not write; those of earlier runs always are.")
]
ReadingSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="data.OPTION=VALUE",
        help="Say how this table is written where it is not as in training, as in data.encoding=cp1252; may be "
        "repeated.",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.OPTION=VALUE", help="Set one option of the recipe; may be repeated."),
]

Limit = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        metavar="NAME=VALUE",
        help="Change a limit on what a table may expand to: expansion (times its file's size, 100), bytes (after "
        "decompression, 64GiB), columns (100000), other_columns (that are not all numbers, 20000), line (in bytes, "
        "16MiB); may be repeated.",
    ),
]


@contextmanager
def limited_reading(limit: list[str] | None) -> Iterator[None]:
    """Read tables under the limits of `--limit`.

    Args:
        limit: The values of the option.

    Raises:
        RecipeError: One of them is at fault.
    """
    with reading_limits(limits_from(limit or ())):
        yield


def with_options(entries: dict[str, Any], options: Mapping[str, Mapping[str, object]]) -> dict[str, Any]:
    """The entries of a recipe, with the command's own options put over them.

    Args:
        entries: Nested entries of a recipe; changed in place.
        options: Values by section and option; None where the user has not given the option.

    Returns:
        The same entries.

    Raises:
        RecipeError: A section of the recipe is not a table of options.
    """
    for section, values in options.items():
        for option, value in values.items():
            if value is None:
                continue
            place = entries.setdefault(section, {})
            if not isinstance(place, dict):
                raise RecipeError(f"{section}: expected a section with options, got {place!r}.")
            place[option] = value
    return entries


def dropped_columns(entries: dict[str, Any], drop: list[str] | None) -> list[str] | None:
    """The columns of `--drop` after those that the recipe leaves out itself; None where the option is not given."""
    if not drop:
        return None
    section = entries.get("data")
    known = section.get("drop", []) if isinstance(section, dict) else []
    known = [known] if isinstance(known, str) else list(known) if isinstance(known, list | tuple) else []
    return list(dict.fromkeys([*known, *drop]))


def check_data_root(data: str, data_root: Path | None) -> None:
    """Refuse `--data-root` for data that are not looked up by name.

    Raises:
        RecipeError: The data are a table, or pictures in a folder.
    """
    if data_root is not None and data not in NAMED_PICTURES:
        raise RecipeError(
            f"--data-root {data_root}: {data} is not a downloaded data set with a name "
            f"({', '.join(NAMED_PICTURES[:3])}, ...). Leave the option out."
        )
