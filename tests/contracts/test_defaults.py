"""The defaults of networks are the same from Python and in a recipe."""

import inspect

import pytest

from polylogit.networks import KINDS
from polylogit.recipes.sections import CnnModel, MlpModel, ResidualModel

OF_THE_DATA = {"self", "features", "classes", "channels", "height", "width"}


@pytest.mark.parametrize("section", [MlpModel, CnnModel, ResidualModel])
def test_a_network_has_the_defaults_of_its_recipe(section):
    recipe = section().model_dump(exclude={"kind"})
    signature = inspect.signature(KINDS[section().kind])
    network = {name: parameter.default for name, parameter in signature.parameters.items() if name not in OF_THE_DATA}
    assert network == recipe
