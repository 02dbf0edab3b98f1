"""Each package that the code imports is declared: a test environment has more packages than an installation."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions, requires
from pathlib import Path

ROOT = Path(__file__).parents[2]
USED_IN_DEVELOPMENT = {"dev", "test", "docs", "bench"}


def normalised(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def declared() -> set[str]:
    """Names of the distributions that an installation with every extra for users has for certain."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [extra for name, extra in project["optional-dependencies"].items() if name not in USED_IN_DEVELOPMENT]
    direct = [line for group in (project["dependencies"], *extras) for line in group]
    behind = [line for line in direct for line in requires(normalised(line)) or () if "extra ==" not in line]
    return {normalised(line) for line in (*direct, *behind)}


def imported() -> dict[str, Path]:
    """Packages outside of the standard library by their name at import, with a file that imports each."""
    found: dict[str, Path] = {}
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            else:
                continue
            found |= {name.partition(".")[0]: path for name in names}
    own_or_standard = {"polylogit", "compression"} | set(sys.stdlib_module_names)  # compression: since Python 3.14
    return {name: path for name, path in found.items() if name not in own_or_standard}


def test_every_import_is_declared():
    of_package, known = packages_distributions(), declared()
    missing = {
        name: str(path.relative_to(ROOT))
        for name, path in imported().items()
        if not {normalised(distribution) for distribution in of_package.get(name, [name])} & known
    }
    assert missing == {}


def test_the_check_sees_imports_inside_functions():
    assert imported()["pyarrow"].name == "arrow_check.py"
    assert "matplotlib" in imported()
    assert "playwright" not in declared()
