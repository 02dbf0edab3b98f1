"""Numbers and cells as people write them: shares in percent, a dash for what is missing."""

__all__ = ["cell_text", "percent"]


def cell_text(cell: object) -> str:
    """A cell of a row; a dash where it is missing.

    Example:
        >>> cell_text(4), cell_text("fur"), cell_text(None), cell_text(float("nan")), cell_text("")
        ('4', 'fur', '–', '–', '–')
    """
    missing = cell is None or cell == "" or cell != cell  # noqa: PLR0124 - NaN is not itself
    return "–" if missing else str(cell)


def percent(share: float | None, decimals: int = 1) -> str:
    """A share as people write it; a dash where it is not defined. Only all is 100%, and only none is 0%.

    Example:
        >>> percent(0.8914), percent(None), percent(1.0), percent(0.9999)
        ('89.1%', '–', '100%', '>99.9%')
    """
    if share is None:
        return "–"
    least = 10.0 ** -(decimals + 2)
    if 0 < share < least / 2:
        return f"<{least:.{decimals}%}"
    if 1 - least / 2 < share < 1:
        return f">{1 - least:.{decimals}%}"
    return f"{share:.{decimals}%}".replace(f".{'0' * decimals}%", "%")
