"""The prediction sets of labelled rows at several coverages, with what holds for them in words."""

from dataclasses import dataclass
from typing import Any

from polylogit.calibration.coverage_statement import coverage_statement
from polylogit.calibration.prediction_sets import ConformalScores
from polylogit.evaluation import ScoredRows, SetFigures, set_figures

__all__ = ["SetEvaluation", "evaluate_sets"]

COVERAGES = (0.8, 0.9, 0.95, 0.99)
USUAL = 0.9


@dataclass(frozen=True)
class SetEvaluation:
    """Coverage and size of prediction sets on labelled rows.

    Attributes:
        source: Where the rows behind the thresholds come from; see `polylogit.calibration.ScoreSource`.
        held_out_rows: Their number.
        statement: What holds for new rows at the coverage of `usual`.
        at_least: The coverage of this very classifier is no lower with 95 % probability; None where the statement is
            approximate.
        figures: For each coverage of 0.8, 0.9, 0.95 and 0.99 that so many held-out rows allow.
        rows: Number of labelled rows.
    """

    source: str
    held_out_rows: int
    statement: str
    at_least: float | None
    figures: tuple[SetFigures, ...]
    rows: int

    @property
    def usual(self) -> SetFigures:
        """The figures of the coverage 0.9; of the highest where 0.9 is not possible."""
        return next((figures for figures in self.figures if figures.coverage == USUAL), self.figures[-1])

    def sentence(self, noun: str = "row") -> str:
        """What was promised and what came, for a terminal and a page.

        Args:
            noun: What one row is called.
        """
        usual = self.usual
        low, high = usual.interval
        nouns = noun if self.rows == 1 else f"{noun}s"
        this_model = ""
        if self.at_least is not None:
            this_model = f" For this very model the share is at least {self.at_least:.1%} with 95% confidence."
        return (
            f"{self.statement}{this_model} On the {self.rows:,} test {nouns} {usual.covered:.1%} did (95% interval "
            f"{low:.1%} to {high:.1%}), with {usual.mean_size:.2f} classes in a set on average."
        )

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "source": self.source,
            "held_out_rows": self.held_out_rows,
            "statement": self.statement,
            "at_least": self.at_least,
            "coverages": [figures.as_json() for figures in self.figures],
        }


def evaluate_sets(scores: ConformalScores, rows: ScoredRows) -> SetEvaluation | None:
    """Evaluate prediction sets on labelled rows.

    Args:
        scores: The scores that the sets follow from.
        rows: Rows that take no part in them, with calibrated logits.

    Returns:
        The figures; None where the held-out rows allow no coverage of 0.8.

    Example:
        >>> import torch
        >>> generator = torch.Generator().manual_seed(0)
        >>> logits = 2 * torch.randn(3000, 3, generator=generator)
        >>> targets = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
        >>> losses = -logits.log_softmax(1).gather(1, targets[:, None])[:, 0]
        >>> scores = ConformalScores.of_rows(losses[:1000], targets[:1000], 3, source="held-out")
        >>> print(evaluate_sets(scores, ScoredRows.check(logits[1000:], targets[1000:])).sentence())
        In 100 rows like the 1,000 held-out rows, at least 90 sets contain the true class on average. For this very
        model the share is at least 88.4% with 95% confidence. On the 2,000 test rows ... did (95% interval ... to ...),
        with ... classes in a set on average.
    """
    possible = [coverage for coverage in COVERAGES if coverage <= scores.highest_coverage]
    if not possible:
        return None
    figures = tuple(set_figures(rows, scores.rule(coverage).contains(rows.logits), coverage) for coverage in possible)
    usual = USUAL if USUAL in possible else possible[-1]
    exact = scores.source == "held-out" and not scores.grouped
    return SetEvaluation(
        source=scores.source,
        held_out_rows=len(scores.losses),
        statement=coverage_statement(scores, usual),
        at_least=scores.spread(usual, confidence=0.9)[0] if exact else None,
        figures=figures,
        rows=len(rows.targets),
    )
