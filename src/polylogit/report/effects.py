"""Effects of the columns of an additive model on its logits, as plain data.

See also: `polylogit.run.column_effects`, which computes them, and `effect_charts`, which draws them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

__all__ = ["ColumnEffect"]


@dataclass(frozen=True)
class ColumnEffect:
    """What a column adds to the logits, by its value: the whole of what the model knows of the column.

    With two classes there is one curve, of the log odds of the second against the first. With more there is one for
    each class, less the mean over the classes, which changes no probability. Each curve is less its mean over the rows,
    so that 0 is the average row. They are effects on the network's logits, before calibration.

    Args:
        column: Its name; of the month and the weekday of a date with that word behind it.
        kind: number or date: a curve between `places`. category or text: a bar for each of `names`.
        curves: The effect in nats for each class by name, at each place or name.
        against: The class that the others are compared with; "": the mean of the classes.
        places: Values of a number, or dates as years with decimals, rising.
        names: The levels of a category, the most frequent first; the terms of a text that add most to the classes.
        missing: The effect of a missing value for each class; empty where training rows had none.
        histogram: How many rows lie between each two neighbours of `histogram_edges`, or have each of `names`.
        histogram_edges: Edges of equally wide classes of values.
        size: The mean over rows and classes of the absolute effect, in nats.
        rows: What the rows are: "training rows" or "evaluated rows".
    """

    column: str
    kind: Literal["number", "date", "category", "text"]
    curves: Mapping[str, Sequence[float]]
    size: float
    against: str = ""
    places: Sequence[float] = ()
    names: Sequence[str] = ()
    missing: Mapping[str, float] = field(default_factory=dict)
    histogram: Sequence[int] = ()
    histogram_edges: Sequence[float] = ()
    rows: str = "training rows"

    def as_json(self) -> dict[str, Any]:
        """The effect as plain data."""
        plain = asdict(self)
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in plain.items() if value != ()
        }
