import pkgutil
from importlib import import_module

import pytest

import polylogit

MODULES = [module.name for module in pkgutil.walk_packages(polylogit.__path__, "polylogit.")]


def test_every_public_name_is_there():
    for name in polylogit.__all__:
        assert getattr(polylogit, name) is not None
    assert dir(polylogit) == sorted(polylogit.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'Clasifier'"):
        polylogit.Clasifier  # noqa: B018 (the access itself is what is tested)


@pytest.mark.parametrize("name", MODULES)
def test_all_names_what_exists(name):
    module = import_module(name)
    assert module.__doc__
    for public in getattr(module, "__all__", ()):
        assert hasattr(module, public), f"{name}.__all__ names {public}"
