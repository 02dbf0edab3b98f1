"""The defaults of networks are the same from Python and in a recipe."""

import inspect
from typing import get_args

import pytest

from polylogit import SoftmaxClassifier
from polylogit.networks import KINDS
from polylogit.recipes.recipe import RECIPES, ModelKind
from polylogit.recipes.sections import CnnModel, MlpModel, MlpTraining, ResidualModel

OF_THE_DATA = {"self", "features", "classes", "channels", "height", "width"}


@pytest.mark.parametrize("section", [MlpModel, CnnModel, ResidualModel])
def test_a_network_has_the_defaults_of_its_recipe(section):
    recipe = section().model_dump(exclude={"kind"})
    signature = inspect.signature(KINDS[section().kind])
    network = {name: parameter.default for name, parameter in signature.parameters.items() if name not in OF_THE_DATA}
    assert network == recipe


def test_model_files_recipes_and_the_command_line_name_the_same_kinds():
    """But for the choice of a kind, and those of a linear network: behind bins, or on features of an encoder."""
    assert list(RECIPES) == list(get_args(ModelKind))
    assert list(KINDS) == [kind for kind in RECIPES if kind not in {"auto", "additive", "pretrained"}]


def test_an_estimator_has_the_defaults_of_the_recipe():
    training = MlpTraining()
    estimator = SoftmaxClassifier().get_params()
    assert {name: estimator[name] for name in ("epochs", "learning_rate", "weight_decay", "label_smoothing")} == {
        name: getattr(training, name) for name in ("epochs", "learning_rate", "weight_decay", "label_smoothing")
    }
    assert {name: estimator[name] for name in ("hidden", "activation", "dropout")} == {
        name: getattr(MlpModel(), name) for name in ("hidden", "activation", "dropout")
    }
