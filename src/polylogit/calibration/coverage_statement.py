"""What holds for prediction sets of a wanted coverage, in one sentence."""

from polylogit.calibration.prediction_sets import ConformalScores

__all__ = ["coverage_statement"]


def coverage_statement(scores: ConformalScores, coverage: float, *, by_class: bool = False) -> str:
    """The finite-sample statement: a guarantee where the rows allow one, and otherwise why it is approximate.

    Args:
        scores: The scores that the sets follow from.
        coverage: The wanted share.
        by_class: Whether it is that of each class.

    Returns:
        A sentence or two.

    Example:
        >>> import torch
        >>> losses, targets = torch.ones(40), torch.zeros(40, dtype=torch.int64)
        >>> coverage_statement(ConformalScores.of_rows(losses, targets, 2, source="held-out"), 0.9)
        'In 100 rows like the 40 held-out rows, at least 90 sets contain the true class on average.'
        >>> print(coverage_statement(ConformalScores.of_rows(losses, targets, 2, source="cross-fitted"), 0.9))
        In 100 rows like the 40 training rows that set the threshold, about 90 sets contain the true class: each was
        scored by a model fitted without it. prediction_sets.held_out_fraction gives a strict guarantee.
    """
    count = f"{len(scores.losses):,}"
    rows = "rows of one class" if by_class else "rows"
    weighted = "" if scores.weights is None else ", by weight,"
    hundred = f"{100 * coverage:g}"
    contain = f"sets{weighted} contain the true class"
    if scores.source == "held-out" and not scores.grouped:
        return f"In 100 {rows} like the {count} held-out rows, at least {hundred} {contain} on average."
    if scores.source == "held-out":
        return (
            f"In 100 {rows} like the {count} held-out rows, about {hundred} {contain}. Whole groups or copies of "
            "rows were held out together, so the guarantee for independent rows does not apply."
        )
    why = (
        "each was scored by a model fitted without it"
        if scores.source == "cross-fitted"
        else "the network was not fitted to them, but its calibration was"
    )
    return (
        f"In 100 {rows} like the {count} training rows that set the threshold, about {hundred} {contain}: {why}. "
        "prediction_sets.held_out_fraction gives a strict guarantee."
    )
