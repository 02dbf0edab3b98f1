"""DATA that names several files, or standard input; imports no polars.

Several files are written as in a shell, with quotation marks where a name has spaces. A file that has the whole text
for its name comes first.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

__all__ = ["STANDARD_INPUT", "data_of_files", "first_stem", "named_files"]

STANDARD_INPUT = "-"
"""DATA that means standard input."""


def data_of_files(files: Sequence[str]) -> str:
    """DATA that names these files.

    Args:
        files: At least one path or name of data.

    Returns:
        One text.

    Example:
        >>> data_of_files(["may.csv", "first june.csv"])
        "may.csv 'first june.csv'"
    """
    return files[0] if len(files) == 1 else shlex.join(files)


def named_files(data: str) -> list[str]:
    """The files that DATA names, one or several.

    Args:
        data: A path, a name of data, or several paths as `data_of_files` writes them.

    Returns:
        Several paths only where DATA is no path itself and each of them is one.

    Example:
        >>> named_files("zoo"), named_files("no such file.csv")
        (['zoo'], ['no such file.csv'])
    """
    if " " not in data or Path(data).exists():
        return [data]
    try:
        files = shlex.split(data)
    except ValueError:
        return [data]
    return files if len(files) > 1 and all(Path(file).exists() for file in files) else [data]


def first_stem(data: str) -> str:
    """The name of DATA without folder and ending, for a folder of results; of several files, of the first.

    Example:
        >>> first_stem("tables/wine.csv"), first_stem("-")
        ('wine', 'standard-input')
    """
    return "standard-input" if data == STANDARD_INPUT else Path(named_files(data)[0]).stem
