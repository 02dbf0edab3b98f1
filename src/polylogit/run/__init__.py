"""The runs: recipe -> data -> fit -> evaluate -> classifier, and a saved classifier on new data.

The only place where the floors below are put together. `training.py` owns the order of a training run and what it
writes, `judging.py` how a saved model is judged, `predicting.py` how it is used. They print nothing: results are
returned, progress goes to a callback. The names are loaded when they are first used: whoever only predicts needs
neither the solver nor the figures, and their libraries cost memory and time.
"""

from typing import TYPE_CHECKING

from polylogit.system.lazy_names import lazy_names

if TYPE_CHECKING:
    from polylogit.run.evaluation import EvaluationRun, evaluate
    from polylogit.run.prediction import PREDICTION_ENDINGS, Predictions, predict
    from polylogit.run.training import TrainingRun, checkpoint_path, default_model_path, train

_HOME = {
    "EvaluationRun": "polylogit.run.evaluation",
    "evaluate": "polylogit.run.evaluation",
    "PREDICTION_ENDINGS": "polylogit.run.prediction",
    "Predictions": "polylogit.run.prediction",
    "predict": "polylogit.run.prediction",
    "TrainingRun": "polylogit.run.training",
    "checkpoint_path": "polylogit.run.training",
    "default_model_path": "polylogit.run.training",
    "train": "polylogit.run.training",
}

__all__ = [
    "PREDICTION_ENDINGS",
    "EvaluationRun",
    "Predictions",
    "TrainingRun",
    "checkpoint_path",
    "default_model_path",
    "evaluate",
    "predict",
    "train",
]

__getattr__ = lazy_names(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted(__all__)
