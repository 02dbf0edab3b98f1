"""Runs: training, evaluation, prediction and the audit of a table.

    training.py            train: from data and a recipe to an evaluated classifier
    evaluation.py          evaluate: a saved model on labelled data
    prediction.py          predict: a saved model on new data
    checking.py            check: the audit of a table
    comparison.py          compare: saved models on the same rows
    fold_comparison.py     compare_folds: runs by the scores of their folds
    label_check.py         check_labels: rows whose class is probably wrong
    effects.py             column_effects: what each column of an additive model adds to the logits
    fit.py                 the fit of a model and its calibration
    validation_split.py    the training rows that a network is not fitted on
    held_out_rows.py       logits of rows held out in turn, and the calibration that follows
    fold_scores.py         logits of each row from a model fitted without it
    cross_validation.py    repeated cross-validation of a table
    task.py                data and recipe before a fit; table_task.py and picture_task.py make one
    table_memory.py        whether a table is kept in memory or in files
    table_split.py         training rows and test rows of a table
    labelled_rows.py       inputs, targets, weights and groups of rows
    evaluated_rows.py      scores and metrics of labelled rows
    output_paths.py        where a run writes model file, history, checkpoint and report
    replacing.py           which files a command may replace
    prediction_frames.py   predictions batch by batch; prediction_file.py writes them
    report_contents.py     the contents of the report

They print nothing: results are returned, and progress is reported to callbacks. The names are imported when they are
first used, so that prediction imports neither the solver nor the metrics.
"""

from typing import TYPE_CHECKING

from polylogit.system.lazy_names import lazy_names

if TYPE_CHECKING:
    from polylogit.run.checking import check
    from polylogit.run.comparison import compare
    from polylogit.run.effects import column_effects
    from polylogit.run.evaluation import EvaluationRun, evaluate
    from polylogit.run.fold_comparison import compare_folds
    from polylogit.run.label_check import check_labels
    from polylogit.run.output_paths import checkpoint_path, claimed_model_path, default_model_path, report_path
    from polylogit.run.prediction import PREDICTION_ENDINGS, Predictions, predict
    from polylogit.run.training import train
    from polylogit.run.training_run import TrainingRun

_HOME = {
    "check": "polylogit.run.checking",
    "check_labels": "polylogit.run.label_check",
    "column_effects": "polylogit.run.effects",
    "compare": "polylogit.run.comparison",
    "compare_folds": "polylogit.run.fold_comparison",
    "EvaluationRun": "polylogit.run.evaluation",
    "evaluate": "polylogit.run.evaluation",
    "checkpoint_path": "polylogit.run.output_paths",
    "claimed_model_path": "polylogit.run.output_paths",
    "default_model_path": "polylogit.run.output_paths",
    "report_path": "polylogit.run.output_paths",
    "PREDICTION_ENDINGS": "polylogit.run.prediction",
    "Predictions": "polylogit.run.prediction",
    "predict": "polylogit.run.prediction",
    "TrainingRun": "polylogit.run.training_run",
    "train": "polylogit.run.training",
}

__all__ = [
    "PREDICTION_ENDINGS",
    "EvaluationRun",
    "Predictions",
    "TrainingRun",
    "check",
    "check_labels",
    "checkpoint_path",
    "claimed_model_path",
    "column_effects",
    "compare",
    "compare_folds",
    "default_model_path",
    "evaluate",
    "predict",
    "report_path",
    "train",
]

__getattr__ = lazy_names(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted(__all__)
