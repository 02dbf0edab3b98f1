"""Names of a package that are loaded when they are first used.

Owns the look-up alone: a package says where each of its names lives.
"""

from collections.abc import Callable, Mapping
from importlib import import_module

__all__ = ["lazy_names"]


def lazy_names(package: str, home: Mapping[str, str]) -> Callable[[str], object]:
    """The `__getattr__` of a package whose names stand in modules that are slow to import.

    Args:
        package: The package's name, for the error.
        home: The module of each name.

    Returns:
        A function that imports the module of a name and gives what it calls so.

    Example:
        >>> lazy_names("shapes", {"pi": "math"})("pi")
        3.141592653589793

    Source: PEP 562, module `__getattr__`.
    """

    def loaded(name: str) -> object:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(home[name]), name)

    return loaded
