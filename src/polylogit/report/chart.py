"""Charts as plain data: axes with their ticks, and the marks in them.

See also: `evaluation_charts` and `training_charts`, which decide what a chart shows; `svg` and `plots`, which draw it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from polylogit.report.palette import Colour

__all__ = ["Axis", "Bars", "Chart", "Line", "Mark", "Note", "Number", "Points", "around"]

Number = int | float


@dataclass(frozen=True)
class Axis:
    """One axis of a chart.

    Args:
        label: What it measures.
        low: Its lower end.
        high: Its upper end, above `low`.
        form: plain: numbers. percent: shares without their sign. whole: whole numbers. year: years, without
            separators of thousands. power: powers of ten, on a logarithmic axis.
        names: Names at 0, 1, 2, ... instead of numbers.
        ticks_from: No tick stands below; None: at the lower end.
    """

    label: str
    low: Number
    high: Number
    form: Literal["plain", "percent", "whole", "year", "power"] = "plain"
    names: tuple[str, ...] = ()
    ticks_from: Number | None = None

    def place(self, value: Number) -> float:
        """Where a value stands between the ends: 0 at the lower, 1 at the upper."""
        if self.form == "power":
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self, most: int = 6) -> list[tuple[Number, str]]:
        """Round values between the ends, and their labels.

        Args:
            most: About how many.

        Returns:
            Pairs of value and text, rising.

        Example:
            >>> Axis("right", 0.0, 1.0, form="percent").ticks()
            [(0.0, '0%'), (0.2, '20%'), (0.4, '40%'), (0.6, '60%'), (0.8, '80%'), (1.0, '100%')]
            >>> Axis("epoch", 1, 3, form="whole").ticks()
            [(1, '1'), (2, '2'), (3, '3')]
            >>> Axis("gap", 1e-6, 0.5, form="power").ticks(3)
            [(1e-06, '1e-06'), (0.0001, '1e-04'), (0.01, '1e-02')]
        """
        if self.names:
            return list(enumerate(self.names))
        if self.form == "power":
            decades = range(math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9) + 1)
            return [(10.0**n, f"{10.0**n:.0e}") for n in decades[:: -(-len(decades) // most) or 1]]
        low = self.low if self.ticks_from is None else self.ticks_from
        exponent, factor = _step((self.high - low) / most)
        if self.form in ("whole", "year") and exponent < 0:
            exponent, factor = 0, 1
        step = factor * 10.0**exponent
        places = range(math.ceil(low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)
        digits = max(0, -exponent)
        match self.form:
            case "percent":
                return [(round(n * step, 12), f"{abs(n * step):.{max(0, digits - 2)}%}") for n in places]
            case "whole":
                return [(n * int(step), f"{n * int(step):,}") for n in places]
            case "year":
                return [(n * int(step), str(n * int(step))) for n in places]
            case _:
                return [(round(n * step, 12), f"{n * step:,.{digits}f}") for n in places]


def _step(least: float) -> tuple[int, int]:
    """The smallest step of 1, 2 or 5 times a power of ten that is no less: (exponent, factor)."""
    exponent = math.floor(math.log10(least))
    for factor in (1, 2, 5):
        if factor * 10.0**exponent >= least * (1 - 1e-9):
            return exponent, factor
    return exponent + 1, 1


@dataclass(frozen=True)
class Line:
    """A line through points in their order.

    Args:
        x: Where it goes, left to right.
        y: Where it goes, bottom to top.
        colour: Of the line.
        label: What the legend calls it; it has no entry where empty.
        width: In pixels.
        opacity: 1 covers what is below.
        dashed: Whether it is broken.
        dots: Whether each point is marked.
    """

    x: Sequence[Number]
    y: Sequence[Number]
    colour: Colour
    label: str = ""
    width: Number = 2.2
    opacity: Number = 1.0
    dashed: bool = False
    dots: bool = False


@dataclass(frozen=True)
class Points:
    """Points of different sizes.

    Args:
        x: Where they stand.
        y: Where they stand.
        areas: Of each point, in square points (1/72 inch).
        colour: Of their rim, and of their inside where they are filled.
        filled: Whether they are.
        label: What the legend calls them.
    """

    x: Sequence[Number]
    y: Sequence[Number]
    areas: Sequence[Number]
    colour: Colour
    filled: bool = True
    label: str = ""


@dataclass(frozen=True)
class Bars:
    """Bars from zero, or from another base.

    Args:
        start: Where each begins along the axis that it stands on.
        width: Of each, along that axis.
        length: How far each goes from the base, negative ones the other way.
        colour: Of all.
        label: What the legend calls them.
        lying: Whether they lie: stand on the vertical axis and go to the right.
        spread: Half the length of a thin line around the end of each; none where empty.
        base: Where they begin; for bars that stand.
    """

    start: Sequence[Number]
    width: Number
    length: Sequence[Number]
    colour: Colour
    label: str = ""
    lying: bool = False
    spread: Sequence[Number] = ()
    base: Number = 0


@dataclass(frozen=True)
class Note:
    """A small text to the lower left of a point."""

    x: Number
    y: Number
    text: str


Mark = Line | Points | Bars | Note


@dataclass(frozen=True)
class Chart:
    """A chart.

    Args:
        x: The axis along the bottom.
        y: The axis along the left.
        marks: What stands in it, from the back to the front.
        width: In pixels, all in all.
        height: In pixels; a square chart takes the height that it needs instead.
        square: Whether a unit is equally long on both axes.
    """

    x: Axis
    y: Axis
    marks: tuple[Mark, ...]
    width: int = 440
    height: int = 290
    square: bool = False


def around(values: Sequence[Number], share: float = 0.05) -> tuple[Number, Number]:
    """Ends of an axis that leave a little room around the values, and are never the same.

    Example:
        >>> around([0.0, 1.0]), around([2.0])
        ((-0.05, 1.05), (1.9, 2.1))
    """
    low, high = min(values), max(values)
    room = (high - low) * share or abs(low) * share or share
    return low - room, high + room
