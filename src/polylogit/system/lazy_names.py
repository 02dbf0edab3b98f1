"""Lazy imports: names of a package that are loaded when they are first used."""

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module

from polylogit.system.optional import EXTRAS, import_extra

__all__ = ["lazy_names"]


def lazy_names(package: str, home: Mapping[str, str]) -> Callable[[str], object]:
    """The `__getattr__` of a package whose names are defined in modules that are slow to import.

    Args:
        package: The package's name, for the error.
        home: The module of each name.

    Returns:
        A function that imports the module of a name and returns the object of that name.

    Raises:
        MissingExtraError: (from the function) The module needs an optional dependency that is not installed.

    Example:
        >>> lazy_names("shapes", {"pi": "math"})("pi")
        3.141592653589793

    Source: PEP 562, module `__getattr__`.
    """

    def load(name: str) -> object:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            with _without_collection():
                return getattr(import_module(home[name]), name)
        except ModuleNotFoundError as fault:
            if fault.name in EXTRAS:
                import_extra(fault.name)
            raise

    return load


@contextmanager
def _without_collection() -> Iterator[None]:
    """No search for reference cycles: an import creates many objects that stay, and every search examines them all."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
