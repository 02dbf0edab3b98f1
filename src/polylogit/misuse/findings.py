"""A finding of the misuse detector, and the findings of one diagnosis.

See also: `diagnosis.py` and `watching.py`, which give them.
"""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Diagnosis", "Finding", "MisuseFinding", "MisuseWarning"]


class MisuseWarning(UserWarning):
    """The warning that `watch` and `fit_network` give for each finding."""


@dataclass(frozen=True, slots=True)
class MisuseFinding:
    """One mistake, as data.

    Attributes:
        code: A short name that stays the same between versions, like "softmax-twice".
        seen: What was observed, with figures.
        why: Why it is wrong.
        cost: What it costs, with figures where they are known.
        fix: What to change, in one line.
        confidence: From 0 to 1: 0.99 where probes of the model or the loss confirm it, less where the values of one
            batch are the only evidence.

    Example:
        >>> print(MisuseFinding("final-relu", "no score is below 0", "logits need both signs", "half", "Drop it.", 0.9))
        final-relu: Drop it. (confidence 0.90)
          seen: no score is below 0
          why:  logits need both signs
          cost: half
    """

    code: str
    seen: str
    why: str
    cost: str
    fix: str
    confidence: float

    @property
    def mend(self) -> str:
        """Deprecated: the former name of `fix`."""
        warnings.warn("MisuseFinding.mend is now called fix.", DeprecationWarning, stacklevel=2)
        return self.fix

    def __str__(self) -> str:
        return (
            f"{self.code}: {self.fix} (confidence {self.confidence:.2f})\n"
            f"  seen: {self.seen}\n  why:  {self.why}\n  cost: {self.cost}"
        )


Finding = MisuseFinding
"""Deprecated: the former name of `MisuseFinding`."""


class Diagnosis(tuple[MisuseFinding, ...]):
    """The findings of one diagnosis, the surest first; false where there is none.

    Attributes:
        examined: What was examined, and what could not be; part of the printed text.

    Example:
        >>> print(Diagnosis(examined="1 batch diagnosed"))
        Nothing wrong was seen (1 batch diagnosed).
    """

    examined: str

    def __new__(  # noqa: D102 - documented by the class
        cls, findings: Iterable[MisuseFinding] = (), examined: str = ""
    ) -> "Diagnosis":
        diagnosis = super().__new__(cls, findings)
        diagnosis.examined = examined
        return diagnosis

    def __getnewargs__(self) -> tuple[tuple[MisuseFinding, ...], str]:
        return tuple(self), self.examined

    @property
    def codes(self) -> tuple[str, ...]:
        """The code of each finding, the surest first."""
        return tuple(finding.code for finding in self)

    def __str__(self) -> str:
        if not self:
            return f"Nothing wrong was seen ({self.examined})." if self.examined else "Nothing wrong was seen."
        return "\n".join([*map(str, self), *([f"({self.examined})"] if self.examined else [])])
