"""The metrics of an evaluation in sentences.

See also: `polylogit.report.conclusions`, for what follows from them.
"""

from polylogit.calibration import Calibration, CalibrationFit
from polylogit.evaluation import Evaluation, Summary
from polylogit.plural import counted, in_full
from polylogit.report.numbers import percent

__all__ = [
    "calibration_in_full",
    "calibration_in_short",
    "calibration_sentence",
    "hardest_class",
    "headline",
    "most_confused",
    "threshold_advice",
]


def headline(evaluation: Evaluation, noun: str = "row") -> str:
    """The accuracy with its interval, beside that of always predicting the most frequent class.

    Args:
        evaluation: The metrics.
        noun: What one row is called.

    Example:
        >>> import torch
        >>> from polylogit.evaluation import evaluate_logits
        >>> evaluation = evaluate_logits(torch.eye(3)[[0, 0, 1]], torch.tensor([0, 0, 2]), ["a", "b", "c"])
        >>> headline(evaluation)
        'Accuracy 66.7% on 3 test rows (95% interval 20.8% to 93.9%); always predicting “a” would reach 66.7%.'
    """
    low, high = evaluation.accuracy_interval
    baselines = evaluation.baselines
    return (
        f"Accuracy {percent(evaluation.accuracy)} on {counted(evaluation.rows, f'test {noun}')} "
        f"(95% interval {percent(low)} to {percent(high)}); always predicting “{baselines.majority_class}” would reach "
        f"{percent(baselines.majority_accuracy)}."
    )


def calibration_sentence(evaluation: Evaluation, uncalibrated: Summary | None = None) -> str:
    """The calibration error, and how far so many rows can measure it."""
    error = evaluation.calibration_error
    before = ""
    if uncalibrated is not None and f"{uncalibrated.calibration_error:.3f}" != f"{error:.3f}":
        before = f" ({100 * uncalibrated.calibration_error:.1f} before calibration)"
    sentence = (
        f"The probability of the predicted class is off by {100 * error:.1f} percentage points on average{before}."
    )
    return f"{sentence} {evaluation.smooth_calibration.verdict()}"


def hardest_class(evaluation: Evaluation) -> str:
    """The class with the lowest recall, and what it is confused with."""
    known = [(figures.recall, k) for k, figures in enumerate(evaluation.per_class) if figures.recall is not None]
    recall, hardest = min(known)
    if recall == 1:
        return "No class was mistaken for another."
    taken = evaluation.confusion[hardest]
    count, other = max((count, k) for k, count in enumerate(taken) if k != hardest)
    name = evaluation.class_names
    return (
        f"The hardest class is “{name[hardest]}”: recall {percent(recall)} of {counted(sum(taken), 'row')}, most often "
        f"predicted as “{name[other]}” ({in_full(count)})."
    )


def threshold_advice(evaluation: Evaluation, noun: str = "row") -> str:
    """The most accurate threshold for the probability that still answers half the rows; empty where none helps."""
    useful = [
        answered
        for answered in evaluation.answered
        if answered.accuracy is not None and answered.coverage >= 0.5 and answered.accuracy > evaluation.accuracy
    ]
    if not useful:
        return ""
    best = max(useful, key=lambda answered: (answered.accuracy or 0.0, answered.coverage))
    return (
        f"With --abstain-below {best.threshold:g} the model answers {percent(best.coverage)} of the {noun}s, with an "
        f"accuracy of {percent(best.accuracy)}."
    )


def calibration_in_full(calibration: Calibration, fit: CalibrationFit | None) -> str:
    """The calibration in words, with its evidence where that is known."""
    parts = calibration.in_words()
    if fit is None:
        if not parts:
            return "The probabilities are not calibrated: the recipe asks for none, or no row could be held out."
        return " ".join([*parts, "The calibration was fitted in training."])
    if not parts or fit.chosen is None:
        return f"The probabilities are not calibrated: {fit.reason}."
    return (
        f"{' '.join(parts)} The calibration was fitted on {fit.rows:,} rows that the model behind it had not seen, and "
        f"never on the rows evaluated here. In cross-validation among those rows it lowers the log loss by "
        f"{fit.chosen.gain:.4f} nats (standard error {fit.chosen.gain_error:.4f})."
    )


def calibration_in_short(fit: CalibrationFit | None) -> str:
    """The calibration for a terminal; `CalibrationEffect.sentence` says what it did to the test rows."""
    if fit is None or fit.calibration.is_identity:
        return calibration_in_full(Calibration(), fit)
    parts = ", ".join(f"{name} {value}" for name, value in fit.calibration.values().items())
    return f"Calibration ({parts}), fitted on {counted(fit.rows, 'training row')}."


def most_confused(evaluation: Evaluation, most: int = 12) -> list[tuple[str, str, int | float, float]]:
    """The largest off-diagonal cells of the confusion matrix: (true class, prediction, rows, share of the class)."""
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
