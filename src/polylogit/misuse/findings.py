"""A finding: one mistake that the numbers show, told so that it can be mended.

Owns the form of a finding and of a diagnosis. Does not own how anything is found.
"""

from dataclasses import dataclass

__all__ = ["Diagnosis", "Finding", "MisuseWarning"]


class MisuseWarning(UserWarning):
    """What `watch` warns with."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake, as data.

    Attributes:
        code: A short name that stays the same between versions, like "softmax-twice".
        seen: What was seen, with figures.
        why: Why it is wrong.
        cost: What it costs, with figures where they are known.
        mend: The one line that mends it.
        confidence: From 0 to 1: 0.99 where probes of the model or the loss confirm it, less where one batch's values
            are all there is.

    Example:
        >>> print(Finding("final-relu", "no score is below 0", "logits need both signs", "half", "drop it", 0.9))
        final-relu (confidence 0.90)
          seen: no score is below 0
          why:  logits need both signs
          cost: half
          mend: drop it
    """

    code: str
    seen: str
    why: str
    cost: str
    mend: str
    confidence: float

    def __str__(self) -> str:
        return (
            f"{self.code} (confidence {self.confidence:.2f})\n"
            f"  seen: {self.seen}\n  why:  {self.why}\n  cost: {self.cost}\n  mend: {self.mend}"
        )


class Diagnosis(tuple[Finding, ...]):
    """The findings of one batch, surest first; false where there is none.

    Example:
        >>> print(Diagnosis())
        Nothing wrong was seen.
    """

    __slots__ = ()

    @property
    def codes(self) -> tuple[str, ...]:
        """The code of each finding, surest first."""
        return tuple(finding.code for finding in self)

    def __str__(self) -> str:
        return "\n".join(map(str, self)) if self else "Nothing wrong was seen."
