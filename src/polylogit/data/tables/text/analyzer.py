"""How a text column is cut into terms: runs of words, or of characters within words."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["MOST_CHARACTERS", "MOST_WORDS", "Analyzer"]

MOST_WORDS = 3
"""The most words of a term."""

MOST_CHARACTERS = 8
"""The most characters of a term."""

Unit = Literal["words", "characters"]


@dataclass(frozen=True)
class Analyzer:
    """What the terms of a text column are.

    Args:
        unit: "words": runs of words of at least two letters or digits. "characters": runs of characters within a word,
            with a space before and after it; a word that is shorter than a run is a term as a whole.
        shortest: The fewest words or characters of a term.
        longest: The most.

    Example:
        >>> Analyzer.from_text("words"), str(Analyzer("characters", 1, 3))
        (Analyzer(unit='words', shortest=1, longest=2), 'characters:1-3')
    """

    unit: Unit
    shortest: int
    longest: int

    @classmethod
    def from_text(cls, text: str) -> "Analyzer":
        """The analyzer of a text such as `words`, `characters` or `characters:1-3`.

        Raises:
            ValueError: It is none.
        """
        unit, _, lengths = text.partition(":")
        if unit not in get_args(Unit):
            raise ValueError(f'"{text}": expected words, characters, or one of them with lengths, as in words:1-2')
        if not lengths and ":" not in text:
            return cls("words", 1, 2) if unit == "words" else cls("characters", 3, 5)
        most = MOST_WORDS if unit == "words" else MOST_CHARACTERS
        found = re.fullmatch(r"([1-9])-([1-9])", lengths)
        if found is None or not int(found[1]) <= int(found[2]) <= most:
            raise ValueError(f'"{text}": expected lengths from 1 to {most}, the shorter one first, as in {unit}:1-2')
        return cls(unit, int(found[1]), int(found[2]))  # type: ignore[arg-type]  # it is one of the literals

    def __str__(self) -> str:
        """As `from_text` reads it."""
        return f"{self.unit}:{self.shortest}-{self.longest}"
