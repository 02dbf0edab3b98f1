"""An exported model before it is written: its content, and how it is run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from polylogit.export.parity import Runner

__all__ = ["Artifact"]


@dataclass(frozen=True)
class Artifact:
    """An exported model that is not written yet.

    Args:
        content: The bytes of the file, with this metadata inside.
        runners: The model in each engine that it is compared in, by the engine's name and version.
    """

    content: Callable[[Mapping[str, Any]], bytes]
    runners: Mapping[str, Runner]
