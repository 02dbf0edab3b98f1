"""Words that depend on a count: its noun, and the verb of its sentence."""

__all__ = ["agreeing", "counted", "in_full"]


def counted(count: int | float, one: str, many: str = "") -> str:
    """A count with its noun in the right number.

    Args:
        count: The count.
        one: The noun of one.
        many: The noun of several; "" adds an s.

    Example:
        >>> counted(1, "row"), counted(1200, "row"), counted(2, "class", "classes")
        ('1 row', '1,200 rows', '2 classes')
    """
    return f"{in_full(count)} {agreeing(count, one, many or one + 's')}"


def in_full(count: int | float) -> str:
    """A count with all its digits, or a sum of weights to six digits or to the whole number.

    Example:
        >>> in_full(1_234_567), in_full(2.0), in_full(1234.5678), in_full(1234567.8)
        ('1,234,567', '2', '1,234.57', '1,234,568')
    """
    is_whole = float(count).is_integer() or abs(count) >= 1e5
    return f"{count:,.0f}" if is_whole else f"{count:,g}"


def agreeing(count: int | float, one: str, many: str) -> str:
    """The word that agrees with a count.

    Example:
        >>> agreeing(1, "is", "are"), agreeing(0, "is", "are")
        ('is', 'are')
    """
    return one if count == 1 else many
