"""How a text table is written, as a recipe says it; what it does not say is found in the file."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

__all__ = ["SEPARATORS", "Dialect"]

SEPARATORS = ",;\t|"
"""What may stand between the cells of a line."""


@dataclass(frozen=True)
class Dialect:
    """How a table is written.

    Args:
        separator: What stands between cells; where left out, a tab in a .tsv file, and in others that of
            `SEPARATORS` which cuts the header into the most cells.
        encoding: A name that Python knows. UTF-8 and UTF-16 need no naming.
        quote: The quotation mark, or "none" where quotation marks are text like any other.
        skip_lines: Lines above the header that are no part of the table.
        comment: Lines that start with this text are no part of the table.
        missing: Texts that mean a missing value in every column, besides an empty cell.
        sheet: The sheet of a workbook; where left out, the only one that is not empty.
        class_column: The column of the classes. A last row of totals is left out where it has no class; None: no row
            is, since each gets a prediction.
    """

    separator: str | None = None
    encoding: str = "utf-8"
    quote: str = '"'
    skip_lines: int = 0
    comment: str | None = None
    missing: tuple[str, ...] = ()
    sheet: str | None = None
    class_column: str | None = None

    @classmethod
    def of_recipe(cls, data: Mapping[str, Any]) -> "Dialect":
        """The dialect that the data section of a recipe names.

        Args:
            data: The options as plain data; those that are left out have their defaults.

        Example:
            >>> Dialect.of_recipe({"encoding": "cp1252", "target": "type"}).encoding
            'cp1252'
        """
        known = {option.name: data[option.name] for option in fields(cls) if data.get(option.name) is not None}
        return cls(**known | {"missing": tuple(map(str, known.get("missing", ())))})
