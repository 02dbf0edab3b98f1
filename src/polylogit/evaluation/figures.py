"""All metrics of a classifier on a set of rows, as plain data; those of the confusion matrix are computed here."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polylogit.errors import ScoreError
from polylogit.evaluation.coverage import Answered, answered_above
from polylogit.evaluation.metrics import top_k_accuracy
from polylogit.evaluation.ranking import ranking_figures
from polylogit.evaluation.reliability import classwise_calibration_errors
from polylogit.evaluation.rows import ScoredRows
from polylogit.evaluation.smooth_calibration import SmoothCalibration, smooth_calibration
from polylogit.evaluation.summary import Summary, summarise

__all__ = ["Averages", "Baselines", "ClassFigures", "Evaluation", "evaluate_logits"]

TOP_K = (2, 3, 5, 10)


@dataclass(frozen=True)
class ClassFigures:
    """Figures of one class against the rest. None: these rows do not define it.

    Attributes:
        precision: Of the rows given this class, the share that are of it; None where it was never given.
        recall: Of the rows of this class, the share that were given it; None where there is none.
        f1: Harmonic mean of both, 2 TP / (2 TP + FP + FN); None where the class occurs on neither side.
        support: Rows of this class (with weights: the sum of theirs).
        roc_auc: Area under the ROC curve by the class's probability; None without rows on both sides.
        average_precision: Mean precision over the recall steps; None where there is no row of the class.
        calibration_error: Of the class's own probability, over all rows, in 15 bins of equal width.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    support: float
    roc_auc: float | None
    average_precision: float | None
    calibration_error: float


@dataclass(frozen=True)
class Averages:
    """Class figures averaged. A precision or recall that is undefined counts as 0, as scikit-learn has it.

    Attributes:
        precision: Over the classes that occur in the rows or in the predictions.
        recall: Over the same.
        f1: Over the same.
        roc_auc: Over the classes for which it is defined; None where there is none.
        average_precision: Over the classes for which it is defined.
    """

    precision: float
    recall: float
    f1: float
    roc_auc: float | None
    average_precision: float | None


@dataclass(frozen=True)
class Baselines:
    """Metrics of the best constant predictions on these rows; a classifier has to beat them.

    Attributes:
        majority_class: The most frequent class of the rows.
        majority_accuracy: Accuracy of always predicting it.
        frequency_log_loss: Log loss of always predicting the class frequencies, the best constant prediction.
        frequency_brier_score: Brier score of the same.
    """

    majority_class: str
    majority_accuracy: float
    frequency_log_loss: float
    frequency_brier_score: float


@dataclass(frozen=True)
class Evaluation(Summary):
    """All metrics of a classifier on a set of rows: the summary and the others.

    Attributes:
        class_names: Name of each class, in the order of the logits.
        balanced_accuracy: Mean recall over the classes that the rows hold.
        top_k_accuracy: For k = 2, 3, 5 and 10, as far as there are more classes: share of rows whose class is
            among the k largest logits.
        classwise_calibration_error: Mean over classes of their own calibration error.
        smooth_calibration: Smooth calibration error of the top probability, with its interval.
        macro: Class figures, each class counting the same.
        weighted: Class figures, each class counting by its support.
        answered: Coverage and accuracy when only rows above a top probability are answered.
        baselines: Metrics of the best constant predictions.
        per_class: Figures of each class.
        confusion: Rows by true class (first index) and predicted class; with weights, sums of theirs.
    """

    class_names: tuple[str, ...]
    balanced_accuracy: float
    top_k_accuracy: dict[int, float]
    classwise_calibration_error: float
    smooth_calibration: SmoothCalibration
    macro: Averages
    weighted: Averages
    answered: tuple[Answered, ...]
    baselines: Baselines
    per_class: tuple[ClassFigures, ...]
    confusion: tuple[tuple[int | float, ...], ...]

    def as_json(self) -> dict[str, Any]:
        """The same as dictionaries, lists, strings and numbers; what is undefined is None, and nothing is NaN.

        Example:
            >>> evaluation = evaluate_logits(torch.eye(2), torch.tensor([0, 1]), ["cat", "dog"])
            >>> evaluation.as_json()["accuracy"], evaluation.as_json()["per_class"][1]["class"]
            (1.0, 'dog')
        """
        plain = super().as_json()
        plain["class_names"] = list(self.class_names)
        plain["top_k_accuracy"] = {str(k): share for k, share in self.top_k_accuracy.items()}
        named = zip(self.class_names, plain["per_class"], strict=True)
        plain["per_class"] = [{"class": name, **figures} for name, figures in named]
        plain["answered"] = list(plain["answered"])
        smooth = self.smooth_calibration
        plain["smooth_calibration"] |= {"interval": list(smooth.interval), "miscalibrated": smooth.miscalibrated}
        plain["confusion"] = [list(row) for row in self.confusion]
        return plain


def evaluate_logits(
    logits: Float[Tensor, "N K"],
    targets: Int[Tensor, " N"],
    class_names: Sequence[str],
    *,
    sample_weight: Float[Tensor, " N"] | None = None,
) -> Evaluation:
    """Evaluate the logits of rows whose class is known.

    Args:
        logits: Scores, any float type; calibrated already where the metrics of the calibrated classifier are wanted.
        targets: The true class of each row, 0 to K - 1.
        class_names: Name of each class, in the order of the logits.
        sample_weight: Weight of each row, zero or more; None for equal weights.

    Returns:
        All metrics, as plain data.

    Raises:
        ScoreError: The names are not as many as the classes, or as for `ScoredRows.check`.

    Example:
        >>> logits = torch.tensor([[2.0, 0.0], [0.0, 2.0], [1.0, 0.0]])
        >>> evaluation = evaluate_logits(logits, torch.tensor([0, 1, 1]), ["cat", "dog"])
        >>> round(evaluation.accuracy, 4), round(evaluation.log_loss, 4), evaluation.confusion
        (0.6667, 0.5224, ((1, 0), (1, 1)))
    """
    rows = ScoredRows.check(logits, targets, sample_weight)
    classes = rows.logits.shape[1]
    if len(class_names) != classes:
        raise ScoreError(f"the logits have {classes} classes, but {len(class_names)} class names were given.")
    confusion = _confusion(rows)
    per_class = _class_figures(rows, confusion)
    recalls = [figures.recall for figures in per_class if figures.recall is not None]
    return Evaluation(
        **vars(summarise(rows)),
        class_names=tuple(class_names),
        balanced_accuracy=sum(recalls) / len(recalls),
        top_k_accuracy={k: top_k_accuracy(rows, k) for k in TOP_K if k < classes},
        classwise_calibration_error=sum(figures.calibration_error for figures in per_class) / classes,
        smooth_calibration=smooth_calibration(rows),
        macro=_average(per_class, by_support=False),
        weighted=_average(per_class, by_support=True),
        answered=answered_above(rows),
        baselines=_baselines(rows, class_names),
        per_class=per_class,
        confusion=_plain(confusion, rows),
    )


def _confusion(rows: ScoredRows) -> Float[Tensor, "K K"]:
    classes = rows.logits.shape[1]
    cells = torch.bincount(rows.targets * classes + rows.predictions, weights=rows.weights, minlength=classes**2)
    return cells.reshape(classes, classes)


def _class_figures(rows: ScoredRows, confusion: Float[Tensor, "K K"]) -> tuple[ClassFigures, ...]:
    support, given = confusion.sum(dim=1), confusion.sum(dim=0)
    # 0 / 0 is NaN: what no row defines
    columns = zip(
        (confusion.diag() / given).tolist(),
        (confusion.diag() / support).tolist(),
        (2 * confusion.diag() / (support + given)).tolist(),
        support.tolist(),
        ranking_figures(rows),
        classwise_calibration_errors(rows),
        strict=True,
    )
    return tuple(
        ClassFigures(_defined(precision), _defined(recall), _defined(f1), weight, area, average, error)
        for precision, recall, f1, weight, (area, average), error in columns
    )


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else value


def _plain(confusion: Float[Tensor, "K K"], rows: ScoredRows) -> tuple[tuple[int | float, ...], ...]:
    """Counts as whole numbers where every row counts as one."""
    counts = confusion if (rows.weights != 1).any() else confusion.to(torch.int64)
    return tuple(tuple(row) for row in counts.tolist())


def _average(per_class: Sequence[ClassFigures], *, by_support: bool) -> Averages:
    def mean(values: Sequence[float | None]) -> float | None:
        pairs = [
            (value, figures.support if by_support else 1.0)
            for value, figures in zip(values, per_class, strict=True)
            if value is not None
        ]
        total = sum(weight for _, weight in pairs)
        return sum(value * weight for value, weight in pairs) / total if total else None

    occurring = [figures.f1 is not None for figures in per_class]

    def mean_or_zero(values: Sequence[float | None]) -> float:
        counted = [(value or 0.0) if occurs else None for value, occurs in zip(values, occurring, strict=True)]
        return mean(counted) or 0.0

    return Averages(
        precision=mean_or_zero([figures.precision for figures in per_class]),
        recall=mean_or_zero([figures.recall for figures in per_class]),
        f1=mean_or_zero([figures.f1 for figures in per_class]),
        roc_auc=mean([figures.roc_auc for figures in per_class]),
        average_precision=mean([figures.average_precision for figures in per_class]),
    )


def _baselines(rows: ScoredRows, class_names: Sequence[str]) -> Baselines:
    shares = torch.bincount(rows.targets, weights=rows.weights, minlength=rows.logits.shape[1]) / rows.weights.sum()
    majority = int(shares.argmax())
    return Baselines(
        majority_class=class_names[majority],
        majority_accuracy=float(shares[majority]),
        frequency_log_loss=float(torch.special.entr(shares).sum()),
        frequency_brier_score=float(1 - shares.square().sum()),
    )
