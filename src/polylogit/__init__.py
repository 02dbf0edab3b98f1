"""polylogit: softmax classification for PyTorch, from the loss to a model in use.

The names below are loaded when they are first used, so that `import polylogit` and `polylogit --help` stay free of
torch. The losses stand in `polylogit.losses`, the detector of misuse in `polylogit.misuse`.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polylogit.classifier import Classifier
    from polylogit.errors import DataError, ModelFileError, PolylogitError, RecipeError, ScoreError
    from polylogit.estimators.linear import SoftmaxRegression
    from polylogit.estimators.linear_path import SoftmaxRegressionCV
    from polylogit.estimators.networks import SoftmaxClassifier

__version__ = version("polylogit")

_HOME = {
    "Classifier": "polylogit.classifier",
    "DataError": "polylogit.errors",
    "ModelFileError": "polylogit.errors",
    "PolylogitError": "polylogit.errors",
    "RecipeError": "polylogit.errors",
    "ScoreError": "polylogit.errors",
    "SoftmaxRegression": "polylogit.estimators.linear",
    "SoftmaxRegressionCV": "polylogit.estimators.linear_path",
    "SoftmaxClassifier": "polylogit.estimators.networks",
}

__all__ = [
    "Classifier",
    "DataError",
    "ModelFileError",
    "PolylogitError",
    "RecipeError",
    "ScoreError",
    "SoftmaxClassifier",
    "SoftmaxRegression",
    "SoftmaxRegressionCV",
    "__version__",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'polylogit' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
