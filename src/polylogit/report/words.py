"""The figures in sentences, for people who do not read tables first.

Owns the words alone: every number comes from `Evaluation` as it is.
"""

from polylogit.calibration import Calibration, CalibrationFit
from polylogit.calibration.vector_scaling import VectorFit
from polylogit.evaluation import Evaluation, Summary

__all__ = [
    "belief",
    "calibration_in_full",
    "calibration_in_short",
    "headline",
    "most_confused",
    "percent",
    "threshold_advice",
    "weakness",
]

FEW_ROWS = 1000


def percent(share: float | None, decimals: int = 1) -> str:
    """A share as people write it; a dash where it is not defined. Only all is 100%, and only none is 0%.

    Example:
        >>> percent(0.8914), percent(None), percent(1.0), percent(0.9999)
        ('89.1%', '–', '100%', '>99.9%')
    """
    if share is None:
        return "–"
    least = 10.0 ** -(decimals + 2)
    if 0 < share < least / 2:
        return f"<{least:.{decimals}%}"
    if 1 - least / 2 < share < 1:
        return f">{1 - least:.{decimals}%}"
    return f"{share:.{decimals}%}".replace(f".{'0' * decimals}%", "%")


def headline(evaluation: Evaluation, noun: str = "rows") -> str:
    """How often it is right, how sure that is, and what would be had without it.

    Example:
        >>> import torch
        >>> from polylogit.evaluation import evaluate_logits
        >>> evaluation = evaluate_logits(torch.eye(3)[[0, 0, 1]], torch.tensor([0, 0, 2]), ["a", "b", "c"])
        >>> headline(evaluation)
        'It is right on 66.7% of 3 rows that it had not seen (95% interval: 20.8% to 93.9%). ...'
    """
    low, high = evaluation.accuracy_interval
    baselines = evaluation.baselines
    told = (
        f"It is right on {percent(evaluation.accuracy)} of {evaluation.rows:,} {noun} that it had not seen "
        f"(95% interval: {percent(low)} to {percent(high)}). "
        f"Always answering “{baselines.majority_class}” would be right on {percent(baselines.majority_accuracy)}"
    )
    if evaluation.accuracy <= baselines.majority_accuracy:
        return f"{told}: it has learned nothing that helps here."
    return f"{told}."


def belief(evaluation: Evaluation, uncalibrated: Summary | None = None) -> str:
    """How far its probabilities can be believed, and whether so many rows can tell at all."""
    error = evaluation.calibration_error
    told = f"Its probabilities are off by {100 * error:.1f} percentage points on average"
    if uncalibrated is not None and uncalibrated.calibration_error != error:
        told += f" ({100 * uncalibrated.calibration_error:.1f} before calibration)"
    if evaluation.rows < FEW_ROWS:
        told += f"; on {evaluation.rows} rows even perfect probabilities would show an error of several points"
    return f"{told}."


def weakness(evaluation: Evaluation) -> str:
    """The class it finds hardest, and what it takes it for; empty where nothing is wrong."""
    known = [(figures.recall, k) for k, figures in enumerate(evaluation.per_class) if figures.recall is not None]
    recall, hardest = min(known)
    if recall == 1:
        return "No class was mistaken for another."
    taken = evaluation.confusion[hardest]
    count, other = max((count, k) for k, count in enumerate(taken) if k != hardest)
    name = evaluation.class_names
    return (
        f"It finds “{name[hardest]}” hardest: it recognises {percent(recall)} of {sum(taken):,g}, and most often takes "
        f"the others for “{name[other]}” ({count:,g})."
    )


def threshold_advice(evaluation: Evaluation, noun: str = "rows") -> str:
    """What is had by answering only where it is sure: the most accurate threshold that still answers half the rows."""
    useful = [
        answered
        for answered in evaluation.answered
        if answered.accuracy is not None and answered.coverage >= 0.5 and answered.accuracy > evaluation.accuracy
    ]
    if not useful:
        return ""
    best = max(useful, key=lambda answered: (answered.accuracy or 0.0, answered.coverage))
    return (
        f"Answering only where it is at least {percent(best.threshold)} sure, it answers {percent(best.coverage)} of "
        f"the {noun} and is right on {percent(best.accuracy)} of those."
    )


def calibration_in_full(calibration: Calibration, fit: CalibrationFit | None) -> str:
    """The calibration in words, with its evidence where that is known."""
    parts = calibration.in_words()
    if fit is None:
        if not parts:
            return "The probabilities are not calibrated: the recipe asks for none, or no row could be held out."
        return " ".join([*parts, "The calibration was fitted in training."])
    vector = [] if fit.vector is None else [_vector_evidence(fit.vector)]
    if not parts:
        return " ".join([f"The probabilities are not calibrated: {fit.reason}.", *vector])
    character = "overconfident" if calibration.temperature > 1 else "underconfident"
    evidence = (
        f"Without calibration the network is {character}. The calibration was fitted on {fit.rows:,} rows that the "
        "model behind it had not seen, and never on the rows evaluated here"
    )
    if fit.relative_error is not None:
        evidence += f"; the relative standard error of the temperature is {fit.relative_error:.0%}"
    return " ".join([*parts, f"{evidence}.", *vector])


def _vector_evidence(vector: VectorFit) -> str:
    if vector.scaling is None:
        return f"The classes are not scaled: {vector.reason}."
    return (
        f"In cross-validation among these rows the scales and biases lower the log loss by {vector.gain:.4f} nats "
        f"(standard error {vector.gain_error:.4f})."
    )


def calibration_in_short(fit: CalibrationFit | None, test: Summary | None, uncalibrated: Summary | None) -> str:
    """For the terminal: the calibration, and its effect on the test rows."""
    if fit is None or fit.calibration.is_identity:
        return calibration_in_full(Calibration(), fit)
    parts = ", ".join(f"{name} {value}" for name, value in fit.calibration.values().items())
    sentence = f"Calibration ({parts}), fitted on {fit.rows:,} training rows"
    if test is not None and uncalibrated is not None:
        sentence += (
            f": calibration error {uncalibrated.calibration_error:.4f} before and {test.calibration_error:.4f} after, "
            f"log loss {uncalibrated.log_loss:.4f} before and {test.log_loss:.4f} after"
        )
    rejected = [] if fit.vector is None or fit.vector.scaling is not None else [_vector_evidence(fit.vector)]
    return " ".join([f"{sentence}.", *rejected])


def most_confused(evaluation: Evaluation, most: int = 12) -> list[tuple[str, str, int | float, float]]:
    """The largest cells of the confusion matrix off its diagonal: (true class, taken for, rows, share of the class)."""
    cells = [
        (count, true, taken)
        for true, row in enumerate(evaluation.confusion)
        for taken, count in enumerate(row)
        if count and true != taken
    ]
    cells.sort(key=lambda cell: (-cell[0], cell[1], cell[2]))
    name = evaluation.class_names
    return [
        (name[true], name[taken], count, count / sum(evaluation.confusion[true])) for count, true, taken in cells[:most]
    ]
