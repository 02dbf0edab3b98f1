"""The figures in sentences, for people who do not read tables first.

Owns the words alone: every number comes from `Evaluation` as it is.
"""

from polylogit.calibration import CalibrationFit, Curve, VectorFit
from polylogit.evaluation import Evaluation, Summary
from polylogit.model_header import VectorScaling

__all__ = [
    "belief",
    "calibration_in_short",
    "calibration_told",
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


def calibration_told(
    fit: CalibrationFit | None,
    temperature: float = 1.0,
    curve: Curve | None = None,
    floor: float = 0.0,
    scaling: VectorScaling | None = None,
) -> str:
    """What the calibration is and what it rests on, as far as that is known."""
    if fit is None and (temperature != 1 or curve is not None or floor != 0 or scaling is not None):
        told = f"The network's logits are divided by the temperature {temperature:.3f} that was fitted in training."
        return " ".join([told, *_beyond(curve, floor, scaling)])
    if fit is None:
        return "The probabilities are not calibrated: the recipe asks for none, or no row could be held out."
    if fit.reason is not None:
        return " ".join([f"The temperature stays at 1: {fit.reason}.", *_on_the_classes(fit.vector)])
    character = "too sure" if fit.temperature > 1 else "not sure enough"
    told = (
        f"The network alone is {character}: its logits are divided by a temperature of {fit.temperature:.3f}, give or "
        f"take {fit.relative_error or 0:.0%}. It was fitted on {fit.rows:,} rows that the model behind it had not "
        "seen, and never on those judged here."
    )
    return " ".join([told, *_beyond(fit.curve, fit.floor, None), *_on_the_classes(fit.vector)])


def _beyond(curve: Curve | None, floor: float, scaling: VectorScaling | VectorFit | None) -> list[str]:
    told = []
    if curve is not None:
        told.append(
            f"Before that its log-probabilities s become {curve.slope:.2f} s - {curve.curvature:.2f} s², for it leaves "
            "too much to improbable classes."
        )
    if floor:
        told.append(
            f"Then {floor:.2%} of the probability is spread over all classes, for the times when it is sure and wrong."
        )
    if scaling is not None:
        told.append(
            f"Then each class has a scale and a bias: scales from {min(scaling.scale):.2f} to "
            f"{max(scaling.scale):.2f}, biases from {min(scaling.bias):+.2f} to {max(scaling.bias):+.2f}."
        )
    return told


def _on_the_classes(vector: VectorFit | None) -> list[str]:
    if vector is None:
        return []
    if vector.reason is not None:
        return [f"The classes are not scaled: {vector.reason}."]
    gained = (
        f"In cross-validation among these rows that lowers the log loss by {vector.gain:.4f} nats, give or take "
        f"{vector.gain_error:.4f}."
    )
    return [*_beyond(None, 0.0, vector), gained]


def calibration_in_short(fit: CalibrationFit | None, test: Summary | None, uncalibrated: Summary | None) -> str:
    """For the terminal: the calibration, and what it did to the test rows."""
    scaled = fit is not None and fit.vector_taken is not None
    if fit is None or (fit.reason is not None and not scaled):
        return calibration_told(fit)
    parts = f"{' and a scale and a bias for each class' if scaled else ''}"
    parts += " and a curve" if fit.curve is not None else ""
    parts += f" and a floor of {fit.floor:.2%}" if fit.floor else ""
    told = f"Temperature {fit.temperature:.3f}{parts}, fitted on {fit.rows:,} rows of the training part"
    if test is None or uncalibrated is None:
        return " ".join([f"{told}.", *([] if scaled else _on_the_classes(fit.vector))])
    told = (
        f"{told}: calibration error "
        f"{uncalibrated.calibration_error:.4f} before and {test.calibration_error:.4f} after, "
        f"log loss {uncalibrated.log_loss:.4f} before and {test.log_loss:.4f} after."
    )
    return " ".join([told, *([] if scaled else _on_the_classes(fit.vector))])


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
