"""The catalogue of the lessons and of the numbers that the documents print, read from `numbers/` without torch.

A number in these files has an absolute tolerance: half a unit of the last digit printed where the same start can be
reproduced. Where it cannot, the tolerance is wider and `why` gives the reason.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from polylogit.errors import RecipeError, did_you_mean

__all__ = ["Lesson", "Measurements", "Number", "Value", "all_lessons", "choose_lessons"]

Value = float | int | str | Sequence["Value"]
"""What a document prints: a number, a word, or rows of them."""

Measurements = Mapping[str, Value]
"""What a lesson measures, by quantity."""

_FILES = ("scores", "draws", "eight_rows", "zoo", "digits", "fashion")


@dataclass(frozen=True)
class Number:
    """Something that a document prints.

    Args:
        quantity: What it is, in words.
        expected: As printed.
        tolerance: Largest absolute difference between a measured and a printed value.
        why: Why the tolerance is wider than the printed digits; empty where it is not.
    """

    quantity: str
    expected: Value
    tolerance: float
    why: str = ""


@dataclass(frozen=True)
class Lesson:
    """One system of the documents.

    Args:
        id: Name on the command line.
        title: What it shows, in one line.
        pages: The pages under docs/lessons/ that explain it, one for each document that has it.
        seconds: How long it takes on two CPU cores, roughly.
        quick: Whether it is run without being asked for by name or with --all.
        data: For a training run with a recipe of its own, what DATA is on the command line; else empty.
        numbers: What the documents print.
    """

    id: str
    title: str
    pages: tuple[int, ...]
    seconds: float
    quick: bool = True
    data: str = ""
    numbers: tuple[Number, ...] = field(default=(), repr=False)

    @property
    def command(self) -> str:
        """The command that trains the same network and keeps it; empty where the lesson is no training run."""
        return f"polylogit train {self.data} --recipe {self.id}" if self.data else ""

    def as_json(self) -> dict[str, Any]:
        """The entry of this lesson in the output of `polylogit lessons --list --json`."""
        return {
            "id": self.id,
            "title": self.title,
            "seconds": self.seconds,
            "quick": self.quick,
            "numbers": len(self.numbers),
            "command": self.command or None,
        }


@cache
def all_lessons() -> tuple[Lesson, ...]:
    """All lessons, in the order in which a student takes them.

    Example:
        >>> all_lessons()[0]
        Lesson(id='softmax-of-a-vector', title='Softmax makes probabilities of any numbers', pages=(1, 3, 4),
               seconds=0.1, quick=True, data='')
    """
    folder = resources.files(__package__) / "numbers"
    lessons: list[Lesson] = []
    for name in _FILES:
        entries = tomllib.loads((folder / f"{name}.toml").read_text(encoding="utf-8"))["lesson"]
        for entry in entries:
            numbers = [Number(**number) for number in entry.pop("number", ())]
            for curve in entry.pop("curve", ()):
                numbers += [
                    Number(f"{curve['quantity']} {epoch}", expected, curve["tolerance"], curve.get("why", ""))
                    for epoch, expected in curve["expected"].items()
                ]
            pages = tuple(entry.pop("pages"))
            lessons.append(Lesson(pages=pages, numbers=tuple(numbers), **entry))
    return tuple(lessons)


def choose_lessons(ids: Sequence[str] = (), *, every: bool = False) -> tuple[Lesson, ...]:
    """The lessons with these ids, or the quick ones if none is given.

    Args:
        ids: In any order; the lessons come in the order of the catalogue.
        every: Choose all lessons, including the long ones.

    Returns:
        The lessons.

    Raises:
        RecipeError: An id is unknown, or ids are given together with `every`.

    Example:
        >>> [lesson.id for lesson in choose_lessons(["seeded-draws", "softmax-of-a-vector"])]
        ['softmax-of-a-vector', 'seeded-draws']
    """
    if every and ids:
        raise RecipeError(f"--all chooses all lessons, but {ids[0]} is named too. Give one or the other.")
    known = {lesson.id for lesson in all_lessons()}
    for name in ids:
        if name not in known:
            raise RecipeError(f'there is no lesson "{name}".{did_you_mean(name, sorted(known))}')
    return tuple(lesson for lesson in all_lessons() if every or (lesson.id in ids if ids else lesson.quick))
