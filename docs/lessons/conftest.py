"""Which pages need pictures, and are skipped where there are none."""

import os

import pytest

NEEDS_PICTURES = {"5-networks-for-pictures.md"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with a reason, what could only be run after a download."""
    if "POLYLOGIT_DATA" in os.environ:
        return
    for item in items:
        if item.path.name in NEEDS_PICTURES:
            item.add_marker(pytest.mark.skip(reason="POLYLOGIT_DATA names no folder of data"))
