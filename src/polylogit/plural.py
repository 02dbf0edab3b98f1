"""Words that depend on a count: its noun, and the verb of its sentence."""

__all__ = ["agreeing", "counted"]


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
    return f"{count:,g} {agreeing(count, one, many or one + 's')}"


def agreeing(count: int | float, one: str, many: str) -> str:
    """The word that agrees with a count.

    Example:
        >>> agreeing(1, "is", "are"), agreeing(0, "is", "are")
        ('is', 'are')
    """
    return one if count == 1 else many
