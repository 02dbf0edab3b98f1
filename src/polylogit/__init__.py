"""polylogit: softmax classification for PyTorch, from the loss to a model in use.

The names below are imported when they are first used, so that `import polylogit` and `polylogit --help` do not import
torch. See also: `polylogit.losses` and `polylogit.misuse`.
"""

from importlib.metadata import version
from typing import TYPE_CHECKING

from polylogit.system.lazy_names import lazy_names

if TYPE_CHECKING:
    from polylogit.classifier import Classifier
    from polylogit.errors import DataError, ModelFileError, PolylogitError, PolylogitWarning, RecipeError, ScoreError
    from polylogit.estimators.linear import SoftmaxRegression
    from polylogit.estimators.linear_path import SoftmaxRegressionCV
    from polylogit.estimators.networks import SoftmaxClassifier
    from polylogit.label_errors import find_label_errors

__version__ = version("polylogit")

_HOME = {
    "Classifier": "polylogit.classifier",
    "DataError": "polylogit.errors",
    "ModelFileError": "polylogit.errors",
    "PolylogitError": "polylogit.errors",
    "PolylogitWarning": "polylogit.errors",
    "RecipeError": "polylogit.errors",
    "ScoreError": "polylogit.errors",
    "SoftmaxRegression": "polylogit.estimators.linear",
    "SoftmaxRegressionCV": "polylogit.estimators.linear_path",
    "SoftmaxClassifier": "polylogit.estimators.networks",
    "find_label_errors": "polylogit.label_errors",
}

__all__ = [
    "Classifier",
    "DataError",
    "ModelFileError",
    "PolylogitError",
    "PolylogitWarning",
    "RecipeError",
    "ScoreError",
    "SoftmaxClassifier",
    "SoftmaxRegression",
    "SoftmaxRegressionCV",
    "__version__",
    "find_label_errors",
]

__getattr__ = lazy_names(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted(__all__)
