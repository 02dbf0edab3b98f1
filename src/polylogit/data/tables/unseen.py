"""Cells that training rows prepared nothing for: their count while rows are encoded, and what is said of them.

Owns the counts and the words; which cells are such is the business of `encoder`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

__all__ = ["UnseenCounts"]


@dataclass(frozen=True)
class UnseenCounts:
    """Cells that training rows prepared nothing for, counted by column while rows were encoded.

    Args:
        unseen: Rows with a level of a category that training never saw, or, where rare levels are pooled, with one
            of those.
        filled: Rows with a gap in a column that had none in training.
    """

    unseen: Mapping[str, int] = field(default_factory=dict)
    filled: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: "UnseenCounts") -> "UnseenCounts":
        return UnseenCounts(*(_summed(*pair) for pair in ((self.unseen, other.unseen), (self.filled, other.filled))))

    def notes(self, pooled: Collection[str], gaps_count_as: Mapping[str, str]) -> tuple[str, ...]:
        """The counts in words, with the rule that was applied.

        Args:
            pooled: The columns whose rare levels are pooled.
            gaps_count_as: What a gap in each column counts as.

        Returns:
            A sentence for each column with unseen.
        """
        rules = {
            True: "hold a value that is rare, or was never seen in training; these count as one",
            False: "hold a value never seen in training; it counts as none",
        }
        notes = [f'column "{name}": {count} rows {rules[name in pooled]}.' for name, count in self.unseen.items()]
        notes += [
            f'column "{name}": {count} rows have no value, but every training row had one; they count as '
            f"{gaps_count_as[name]}."
            for name, count in self.filled.items()
        ]
        return tuple(notes)


def _summed(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    return {name: left.get(name, 0) + right.get(name, 0) for name in (*left, *(set(right) - set(left)))}
