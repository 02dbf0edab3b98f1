"""An exported model before it is written: its content, and how it is run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from polylogit.data.tables.encoded_column import Column
from polylogit.errors import ExportError
from polylogit.export.parity import Runner

__all__ = ["Artifact", "refused_column"]


@dataclass(frozen=True)
class Artifact:
    """An exported model that is not written yet.

    Args:
        content: The bytes of the file, with this metadata inside.
        runners: The model in each engine that it is compared in, by the engine's name and version.
    """

    content: Callable[[Mapping[str, Any]], bytes]
    runners: Mapping[str, Runner]


def refused_column(column: Column, target: str) -> ExportError:
    """The error for a column whose type a target has no operations for."""
    return ExportError(
        f'column "{column.name}": a column of type {column.type} cannot be exported to {target}. Train without it '
        "(--drop), or use the model file with polylogit predict or polylogit serve."
    )
