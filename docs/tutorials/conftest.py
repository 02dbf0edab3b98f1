"""The tutorials are run by tests/contracts/test_documents.py, because their Python needs the commands between it."""

from pathlib import Path


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave the pages out where each Python block would be run alone."""
    return True if collection_path.suffix == ".md" else None
