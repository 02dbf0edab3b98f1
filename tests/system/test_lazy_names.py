"""Names that are loaded late: the same objects, and a clear error for a name that is not there."""

import gc

import polars as pl
import pytest

import polylogit
from polylogit import report, run
from polylogit.system.lazy_names import lazy_names


@pytest.mark.parametrize("package", [polylogit, run, report])
def test_every_name_of_a_package_is_found(package):
    assert all(getattr(package, name) is not None for name in package.__all__)
    assert set(package.__all__) <= set(dir(package))


def test_a_name_is_what_its_module_calls_so():
    assert lazy_names("frames", {"DataFrame": "polars"})("DataFrame") is pl.DataFrame


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"module 'polylogit\.run' has no attribute 'trian'"):
        run.trian  # noqa: B018 - the access is what is tried


@pytest.mark.parametrize("enabled", [True, False])
def test_an_import_leaves_the_garbage_collector_as_it_was(enabled):
    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        lazy_names("numbers", {"pi": "math"})("pi")
        assert gc.isenabled() == enabled
        with pytest.raises(ModuleNotFoundError):
            lazy_names("numbers", {"pi": "no_such_module"})("pi")
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if before else gc.disable)()
