"""The colours of every figure, by purpose, as hexadecimal numbers.

A page refers to them as CSS variables, so that one file serves light, dark and paper; see `templates/page.css`.
"""

from typing import Literal

__all__ = ["COLOURS", "GRID", "PAPER", "Colour", "rgb"]

Colour = Literal["ink", "muted", "accent", "warm"]
"""accent: what is right or after; warm: what is wrong or before."""

COLOURS: dict[Colour, str] = {"ink": "#1d2430", "muted": "#667085", "accent": "#2a6fb0", "warm": "#c8591d"}
GRID = "#e2e5ea"
PAPER = "#fffffe"


def rgb(colour: Colour) -> tuple[int, int, int]:
    """Red, green and blue of a colour, 0 to 255.

    Example:
        >>> rgb("accent")
        (42, 111, 176)
    """
    red, green, blue = bytes.fromhex(COLOURS[colour][1:])
    return red, green, blue
