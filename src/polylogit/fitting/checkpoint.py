"""Checkpoints: the whole state of a fit in one file, so that an interrupted run can be resumed.

A checkpoint is a safetensors file, written atomically, with the epoch, the history and the run's identity in its
header; reading one runs no code. See also: `fit_state.py`, the state.
"""

import json
import math
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from polylogit.errors import ModelFileError, PolylogitError, PolylogitWarning
from polylogit.system.atomic_file import atomic_write

__all__ = ["Checkpoint", "TrainingState"]

_FORMAT_VERSION = 1
_PARTS = {"data": "the content of the data"}
_SHOWN = ("polylogit",)

_MOST_FILES = 100_000
"""With more files they are not kept one by one, and which of them have changed is not said."""

_FILES_SHOWN = 3


@dataclass(frozen=True)
class TrainingState:
    """All that a fit needs to go on after an epoch.

    Args:
        tensors: Weights, averages and the optimiser's moments, by name.
        epoch: Whole epochs done.
        seconds: Spent so far.
        averages: Updates of the averaged weights.
        best_loss: Least validation loss so far; None before the first.
        best_epoch: Its epoch.
        history: One record per epoch, as plain data.
    """

    tensors: dict[str, Tensor]
    epoch: int
    seconds: float
    averages: int
    best_loss: float | None
    best_epoch: int
    history: list[dict[str, Any]]

    def under(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names start with `prefix.`, without it."""
        start = f"{prefix}."
        return {name.removeprefix(start): value for name, value in self.tensors.items() if name.startswith(start)}


class Checkpoint:
    """The file in which the state of a run is kept.

    Args:
        path: Of the file.
        identity: What makes this run: its recipe and data, as text. A checkpoint of another identity is refused.
        resume: Whether a checkpoint that is there is taken up; else it is passed over, and overwritten in time.
        share: The most of the fit's time that writing may take: after a write of t seconds none follows for t / share.
        files: The files of the data and a digest of each, so that a message can name those that have changed.
    """

    def __init__(
        self, path: Path, identity: str, *, resume: bool, share: float = 0.05, files: Mapping[str, str] | None = None
    ) -> None:
        self.path = path
        self.identity = identity
        self.resume = resume
        self.share = share
        self.files = dict(files or {}) if len(files or ()) <= _MOST_FILES else {}
        self._next = 0.0

    def is_due(self) -> bool:
        """Whether it is time to write."""
        return time.monotonic() >= self._next

    def write(self, state: TrainingState) -> None:
        """Write a state, whole or not at all.

        Where it cannot be written, as on a full disk, the fit goes on without: the model alone may fit.

        Warns:
            PolylogitWarning: It could not be written, and no more will be.
        """
        start = time.monotonic()
        entries = {name: value for name, value in vars(state).items() if name != "tensors"}
        entries |= {"format_version": _FORMAT_VERSION, "identity": self.identity, "files": self.files}
        tensors = {name: value.detach().cpu().contiguous() for name, value in state.tensors.items()}
        content = save_tensors(tensors, metadata={"polylogit_checkpoint": json.dumps(entries)})
        try:
            with atomic_write(self.path) as temporary:
                temporary.write_bytes(content)
        except PolylogitError as fault:
            warnings.warn(
                f"{fault} Training goes on without checkpoints: --resume would start from the last one, if any.",
                PolylogitWarning,
                stacklevel=2,
            )
            self._next = math.inf
            return
        end = time.monotonic()
        self._next = end + (end - start) / self.share

    def read(self) -> TrainingState | None:
        """The state to go on from; None where a run starts from the beginning.

        Raises:
            ModelFileError: The file is damaged, or belongs to another run.
        """
        if not self.resume or not self.path.exists():
            return None
        try:
            content = self.path.read_bytes()
            length = int.from_bytes(content[:8], "little")
            entries = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["polylogit_checkpoint"])
            tensors = load_tensors(content)
            version, identity = entries.pop("format_version"), entries.pop("identity")
            files = dict(entries.pop("files", {}))  # which 0.2.0 did not write
        except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError) as fault:
            raise ModelFileError(
                f"{self.path}: this is no checkpoint of polylogit, or a damaged one ({fault}). Remove it to start over."
            ) from fault
        if version != _FORMAT_VERSION or identity != self.identity:
            found = _differences(identity, self.identity, _changed(files, self.files))
            raise ModelFileError(
                f"{self.path}: the checkpoint is of another run{found}. Repeat that run's data and options to go on "
                "with it, or leave out --resume to start over."
            )
        return TrainingState(tensors=tensors, **entries)


def _changed(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Which files have changed, are new or are no longer there, in words; empty where it is not known."""
    if not then or not now:
        return ""
    kinds = {
        "changed": [name for name, digest in now.items() if then.get(name, digest) != digest],
        "new": [name for name in now if name not in then],
        "no longer there": [name for name in then if name not in now],
    }
    words = [f"{len(names):,} {kind}: {_some(names)}" for kind, names in kinds.items() if names]
    return f" ({'; '.join(words)})" if words else ""


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_FILES_SHOWN]) + (", …" if len(names) > _FILES_SHOWN else "")


def _differences(then: object, now: str, of_files: str) -> str:
    """What differs between the identities of two runs that are JSON, in words: parts, and options with both values."""
    try:
        before, after = json.loads(str(then)), json.loads(now)
        found = [
            f"{name} ({json.dumps(before[name])} then, {json.dumps(after[name])} now)"
            if name in _SHOWN
            else _PARTS.get(name, name) + (of_files if name == "data" else "")
            for name in sorted({*before, *after} - {"recipe"})
            if before.get(name) != after.get(name)
        ]
        recipes = [dict(_options(entries.get("recipe", {}))) for entries in (before, after)]
    except (ValueError, AttributeError, KeyError, TypeError):
        return ""
    missing = object()
    for name in sorted({*recipes[0], *recipes[1]}):
        values = [recipe.get(name, missing) for recipe in recipes]
        if values[0] != values[1]:
            words = ["left out" if value is missing else json.dumps(value) for value in values]
            found.append(f"{name} ({words[0]} then, {words[1]} now)")
    return f": {', '.join(found)} {'differs' if len(found) == 1 else 'differ'}" if found else ""


def _options(entries: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in entries.items():
        if isinstance(value, dict):
            yield from _options(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
