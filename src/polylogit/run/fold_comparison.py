"""The comparison of training runs by the scores of the folds of their cross-validation.

See also: `polylogit.run.comparison`, the comparison of models on the same rows.
"""

import json
import statistics
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from polylogit.errors import DataError
from polylogit.evaluation.paired import METRICS, Metric, PairedDifference, corrected_resampled
from polylogit.report.comparison import ComparedModel, Comparison, Pair
from polylogit.run.comparison import model_letter

__all__ = ["compare_folds", "report_of_run"]


def report_of_run(path: Path) -> Path | None:
    """The JSON report of a run, if the path names a run: the report itself, or the folder that it is in.

    Args:
        path: What was given on the command line.

    Returns:
        The report; None where the path names something else.
    """
    if path.is_dir():
        return path / "report.json" if (path / "report.json").is_file() else None
    return path if path.suffix.lower() == ".json" else None


def compare_folds(reports: Sequence[Path]) -> Comparison:
    """Compare training runs by the corrected resampled t-test of their cross-validation.

    Args:
        reports: The JSON reports of the runs, at least two.

    Returns:
        The comparison of each two runs.

    Raises:
        DataError: A report cannot be read or has no scores of folds, or the runs were not validated on the same folds.
    """
    runs = [_read(path) for path in reports]
    first = runs[0]["cross_validation"]
    for path, run in zip(reports[1:], runs[1:], strict=True):
        if run["cross_validation"]["folds_digest"] != first["folds_digest"]:
            raise DataError(
                f"{reports[0]} and {path} were not cross-validated on the same folds. Train both on the same file with "
                "the same target, seed, cross_validation.folds and cross_validation.repeats."
            )
    scores = first["scores"]
    test_share = statistics.fmean(score["rows"] / score["rows_fitted"] for score in scores)
    pairs = [
        _pair(runs[one], runs[other], model_letter(one), model_letter(other), test_share)
        for one, other in combinations(range(len(runs)), 2)
    ]
    notes = []
    if len(pairs) > 1:
        notes.append(f"{len(pairs)} pairs are compared, and the intervals are not adjusted for that.")
    return Comparison(
        data=str(runs[0]["data"]),
        method=f"Scores of {first['method']}; the intervals are those of the corrected resampled t-test.",
        unit="fold",
        units=len(scores),
        models=tuple(
            ComparedModel(
                name=model_letter(index),
                path=str(path),
                kind=str(run["model"]),
                metrics={metric: _mean(run, metric) for metric in METRICS},
            )
            for index, (path, run) in enumerate(zip(reports, runs, strict=True))
        ),
        pairs=tuple(pairs),
        disagreements=(),
        disagreeing=None,
        notes=tuple(notes),
    )


def _pair(first: dict[str, Any], second: dict[str, Any], one: str, other: str, test_share: float) -> Pair:
    differences, p_values = [], {}
    for metric in METRICS:
        found = corrected_resampled(
            [after[metric] - before[metric] for before, after in zip(_scores(first), _scores(second), strict=True)],
            test_share,
        )
        differences.append(
            PairedDifference(metric, _mean(first, metric), _mean(second, metric), low=found.low, high=found.high)
        )
        p_values[metric] = found.p
    return Pair(one, other, tuple(differences), p_values, mcnemar=None)


def _scores(run: dict[str, Any]) -> list[dict[str, Any]]:
    return list(run["cross_validation"]["scores"])


def _mean(run: dict[str, Any], metric: Metric) -> float:
    return statistics.fmean(score[metric] for score in _scores(run))


def _read(path: Path) -> dict[str, Any]:
    try:
        run: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise DataError(f"{path}: the report cannot be read ({fault.strerror}).") from fault
    except ValueError as fault:
        raise DataError(f"{path}: expected a report.json that polylogit train wrote, got no JSON.") from fault
    validated = run.get("cross_validation") if isinstance(run, dict) else None
    if not isinstance(validated, dict) or not validated.get("scores") or "folds_digest" not in validated:
        raise DataError(
            f"{path}: there are no scores of folds. Train with --set cross_validation.folds=5; the report.json beside "
            "the model has them then."
        )
    wanted = {"rows", "rows_fitted", *METRICS}
    if not all(isinstance(score, dict) and wanted <= score.keys() for score in validated["scores"]):
        raise DataError(f"{path}: a score of a fold lacks one of {', '.join(sorted(wanted))}. Train again.")
    if len(validated["scores"]) < 2:
        raise DataError(f"{path}: there is one fold only, and at least two are compared.")
    return run
