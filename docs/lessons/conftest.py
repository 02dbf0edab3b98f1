"""Which pages need pictures, and are skipped where there are none; which pages repeat the code of another."""

import os
from pathlib import Path

import pytest

NEEDS_PICTURES = {"5-networks-for-pictures.md"}


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out the Korean pages: tests/lessons compares their code with that of the English ones, which is run."""
    return True if collection_path.name.endswith(".ko.md") else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with a reason, what could only be run after a download."""
    if "POLYLOGIT_DATA" in os.environ:
        return
    for item in items:
        if item.path.name in NEEDS_PICTURES:
            item.add_marker(pytest.mark.skip(reason="POLYLOGIT_DATA names no folder of data"))
