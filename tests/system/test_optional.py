"""A missing optional dependency is a clear error, never a traceback."""

import sys

import pytest

from polylogit import report
from polylogit.data.pictures.named import read_named_pictures
from polylogit.errors import MissingExtraError, PolylogitError
from polylogit.system.optional import import_extra


@pytest.fixture
def missing(monkeypatch):
    """Make a package impossible to import, and forget the modules that have imported it."""

    def hide(package, *importers):
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            monkeypatch.delitem(sys.modules, name)
        for name in importers:
            monkeypatch.delitem(sys.modules, name, raising=False)

        class Finder:
            @staticmethod
            def find_spec(name, path=None, target=None):
                if name.partition(".")[0] == package:
                    raise ModuleNotFoundError(f"No module named {package!r}", name=package)

        monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])

    return hide


def test_the_error_names_the_extra(missing):
    missing("torchvision")
    with pytest.raises(MissingExtraError, match=r"pip install 'polylogit\[pictures\]'") as caught:
        import_extra("torchvision")
    assert isinstance(caught.value, PolylogitError)
    assert isinstance(caught.value, ImportError)


def test_named_pictures_without_torchvision(missing, tmp_path):
    missing("torchvision")
    with pytest.raises(MissingExtraError, match="torchvision is not installed"):
        read_named_pictures("mnist", tmp_path)


def test_plots_without_matplotlib(missing):
    missing("matplotlib", "polylogit.report.plots", "polylogit.report.style", "polylogit.report.picture_plots")
    with pytest.raises(MissingExtraError, match=r"polylogit\[plots\]"):
        report.plot_reliability  # noqa: B018 - the access imports the module


def test_another_missing_module_keeps_its_own_error():
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        import_extra("no_such_package")
