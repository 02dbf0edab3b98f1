"""The folder for files that can be made again at any time: caches, and tables that are larger than memory."""

import os
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder() -> Path | None:
    """The folder POLYLOGIT_CACHE, or else the one in the user's cache; None where POLYLOGIT_CACHE is empty."""
    named = os.environ.get("POLYLOGIT_CACHE")
    if named is not None:
        return Path(named) if named else None
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "polylogit"
