"""Paths in a form that polars takes as they are."""

from pathlib import Path

__all__ = ["literal_path"]


def literal_path(path: Path) -> str:
    """The path in a form that polars takes as it is: neither `~` nor the start of a URL has a meaning in it.

    Readers must be given `glob=False` besides, so that `*`, `?` and brackets have none.

    Example:
        >>> literal_path(Path("/data/sales[1].csv"))
        '/data/sales[1].csv'
    """
    return str(path.absolute())
