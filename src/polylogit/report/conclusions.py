"""What follows from the metrics of a classifier: conclusions with stable codes, for people and for programs.

Each code is documented in docs/checks.md. A code keeps its meaning between versions; the wording may change.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from polylogit.calibration import CalibrationFit
from polylogit.evaluation import Evaluation, Summary
from polylogit.plural import counted
from polylogit.report.label_check import LabelCheck, label_check_sentence
from polylogit.report.numbers import percent

__all__ = ["CODES", "Conclusion", "conclusions"]

CODES = {
    "PL001": "small test set",
    "PL010": "nothing learned",
    "PL011": "accuracy at the majority baseline, informative probabilities",
    "PL012": "probabilities worse than the class frequencies",
    "PL020": "class never predicted correctly",
    "PL021": "class without test rows",
    "PL030": "probabilities not calibrated",
    "PL031": "temperature not needed",
    "PL032": "calibration made the test log loss worse",
    "PL040": "labels that are probably wrong",
    "PL050": "boosted trees far ahead",
}
"""The codes and their short names."""

FEW_TEST_ROWS = 100
FEW_ROWS_OF_A_CLASS = 5
INFORMATIVE_ROC_AUC = 0.6
MOST_NAMES = 5

Level = Literal["warning", "note"]


@dataclass(frozen=True)
class Conclusion:
    """One conclusion.

    Args:
        code: Its stable code, a key of `CODES`.
        level: A "warning" limits what the model can be used for; a "note" is worth knowing.
        message: The conclusion with its numbers, in a sentence.
    """

    code: str
    level: Level
    message: str

    def as_json(self) -> dict[str, Any]:
        """The same as plain data, with the short name of the code."""
        return {**asdict(self), "name": CODES[self.code]}


def conclusions(
    evaluation: Evaluation,
    uncalibrated: Summary | None = None,
    fit: CalibrationFit | None = None,
    *,
    cross_validated: bool = False,
    labels: LabelCheck | None = None,
    selection: Mapping[str, Any] | None = None,
) -> tuple[Conclusion, ...]:
    """Everything that the metrics say about the use of a classifier, warnings first.

    Args:
        evaluation: The metrics on rows that it was not fitted on.
        uncalibrated: The main metrics of the same rows without calibration.
        fit: The evidence for the calibration, where it is known.
        cross_validated: Whether there are cross-validated metrics too.
        labels: The check of the labels, where there was one.
        selection: How the kind of model was chosen, as plain data; its reference counts.

    Returns:
        The conclusions.

    Example:
        >>> import torch
        >>> from polylogit.evaluation import evaluate_logits
        >>> evaluation = evaluate_logits(torch.zeros(40, 2), torch.arange(40) % 4 // 3, ["a", "b"])
        >>> [conclusion.code for conclusion in conclusions(evaluation)]
        ['PL010', 'PL020', 'PL001']
    """
    found = [
        _skill(evaluation),
        *_classes(evaluation),
        _rows(evaluation, cross_validated=cross_validated),
        _calibration(evaluation, uncalibrated, fit),
        _labels(labels),
        _reference(selection),
    ]
    return tuple(sorted(filter(None, found), key=lambda conclusion: conclusion.level == "note"))


def _skill(evaluation: Evaluation) -> Conclusion | None:
    """The classifier against constant answers, by accuracy, log loss and ranking together."""
    baselines, auc = evaluation.baselines, evaluation.macro.roc_auc
    beats_majority = evaluation.accuracy > baselines.majority_accuracy
    beats_frequencies = evaluation.log_loss < baselines.frequency_log_loss
    losses = f"log loss {evaluation.log_loss:.3f} against {baselines.frequency_log_loss:.3f} of the class frequencies"
    ranking = "" if auc is None else f", ROC AUC {auc:.3f}"
    if not beats_majority and (beats_frequencies or (auc is not None and auc >= INFORMATIVE_ROC_AUC)):
        return Conclusion(
            "PL011",
            "warning",
            f"The accuracy does not exceed that of always predicting “{baselines.majority_class}” "
            f"({percent(baselines.majority_accuracy)}), but the probabilities are informative ({losses}{ranking}). Use "
            "the probabilities, or decide by costs, rather than the predicted class alone.",
        )
    if not beats_majority:
        return Conclusion(
            "PL010",
            "warning",
            f"The model is no better than always predicting “{baselines.majority_class}” "
            f"({percent(baselines.majority_accuracy)}; {losses}{ranking}).",
        )
    if not beats_frequencies:
        return Conclusion(
            "PL012",
            "warning",
            f"The predicted classes are useful, but the probabilities are worse than the class frequencies ({losses}). "
            "Do not use the probabilities.",
        )
    return None


def _classes(evaluation: Evaluation) -> list[Conclusion]:
    named = list(zip(evaluation.class_names, evaluation.per_class, strict=True))
    missed = [name for name, figures in named if figures.recall == 0 and figures.support >= FEW_ROWS_OF_A_CLASS]
    absent = [name for name, figures in named if figures.support == 0]
    found = []
    if missed:
        count = counted(len(missed), "class is", "classes are")
        found.append(Conclusion("PL020", "warning", f"{count} never predicted correctly: {_listed(missed)}."))
    if absent:
        count = counted(len(absent), "class has", "classes have")
        found.append(
            Conclusion("PL021", "note", f"{count} no test rows, so nothing is known of it: {_listed(absent)}.")
        )
    return found


def _rows(evaluation: Evaluation, *, cross_validated: bool) -> Conclusion | None:
    if evaluation.rows >= FEW_TEST_ROWS or cross_validated:
        return None
    low, high = evaluation.accuracy_interval
    rows = counted(evaluation.rows, "test row leaves", "test rows leave")
    return Conclusion(
        "PL001", "note", f"{rows} the accuracy uncertain: 95% interval {percent(low)} to {percent(high)}."
    )


def _calibration(evaluation: Evaluation, uncalibrated: Summary | None, fit: CalibrationFit | None) -> Conclusion | None:
    if fit is None or fit.calibration.is_identity:
        reason = "" if fit is None or fit.reason is None else f": {fit.reason}"
        return None if fit is None else Conclusion("PL030", "note", f"The probabilities are not calibrated{reason}.")
    if uncalibrated is not None and evaluation.log_loss > uncalibrated.log_loss + 0.002:
        return Conclusion(
            "PL032",
            "note",
            f"On the test rows the calibration raised the log loss from {uncalibrated.log_loss:.3f} to "
            f"{evaluation.log_loss:.3f}; on {counted(evaluation.rows, 'row')} this can be chance.",
        )
    only_temperature = list(fit.calibration.values()) == ["temperature"]
    error = fit.relative_error
    if only_temperature and error is not None and abs(math.log(fit.calibration.temperature)) <= 2 * error:
        return Conclusion(
            "PL031",
            "note",
            f"No calibration was needed: the temperature {fit.calibration.temperature:.2f} differs from 1 by less than "
            f"two standard errors ({error:.0%} each).",
        )
    return None


def _labels(check: LabelCheck | None) -> Conclusion | None:
    """Suspects where the classes are clear; where they overlap, nothing follows from an unlikely label."""
    if check is None or check.overlapping or not check.suspects:
        return None
    first = check.suspects[0]
    place = f"{check.noun} {first.row:,}" if first.file is None else f"{first.file}, {check.noun} {first.row:,}"
    return Conclusion(
        "PL040",
        "note",
        f"{label_check_sentence(check)} The first is {place}: given “{first.given}” "
        f"({percent(first.given_probability)}), suggested “{first.suggested}” "
        f"({percent(first.suggested_probability)}). polylogit check --labels --out FILE examines all {check.noun}s.",
    )


def _reference(selection: Mapping[str, Any] | None) -> Conclusion | None:
    trees = None if selection is None else selection["reference"]
    if selection is None or trees is None or not trees["far_ahead"]:
        return None
    return Conclusion(
        "PL050",
        "note",
        f"Boosted trees would do better on this table: {trees['kind']} has a log loss of {trees['log_loss']:.3f} where "
        f"the chosen kind, {selection['kind']}, has {trees['log_loss'] + trees['lead']:.3f} (standard error of the "
        f"difference {trees['standard_error']:.3f}). Use trees where they may be used, or give the model columns that "
        "combine others.",
    )


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"“{name}”" for name in names[:MOST_NAMES])
    return shown if len(names) <= MOST_NAMES else f"{shown} and {len(names) - MOST_NAMES} more"
