"""A cache of features on the disk, so that the second run on the same pictures takes seconds.

The keys are digests of a picture file and of all that its features depend on. What is in the cache can be recomputed at
any time: a file that is damaged or cannot be written is a warning, and never ends a run.
"""

import sqlite3
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polylogit.errors import PolylogitWarning
from polylogit.system.cache_folder import cache_folder

__all__ = ["FeatureCache", "default_cache_file"]

MOST_BYTES = 2**30
"""Features beyond this many bytes make room: those that were used longest ago are removed."""

_KEYS_AT_ONCE = 500
_SECONDS_TO_WAIT = 30.0
_DAY = 86400
_TABLE = """CREATE TABLE IF NOT EXISTS features (key BLOB PRIMARY KEY, value BLOB NOT NULL, used INTEGER NOT NULL)"""


def default_cache_file() -> Path | None:
    """The file of the cache, in the folder `cache_folder`; None where there is none."""
    folder = cache_folder()
    return None if folder is None else folder / "features.sqlite"


class FeatureCache:
    """Features by key, in one SQLite file that several processes may use at once.

    Args:
        file: The file, made where it is missing; None: nothing is kept.
        most_bytes: Features beyond this many bytes make room.

    Example:
        >>> import tempfile
        >>> cache = FeatureCache(Path(tempfile.mkdtemp()) / "features.sqlite")
        >>> cache.write({b"a": torch.tensor([1.0, 2.0])})
        >>> {key: features.tolist() for key, features in cache.read([b"a", b"b"], 2).items()}
        {b'a': [1.0, 2.0]}
    """

    def __init__(self, file: Path | None, most_bytes: int = MOST_BYTES) -> None:
        self._file = file
        self._most_bytes = most_bytes

    def read(self, keys: Sequence[bytes], features: int) -> dict[bytes, Float[Tensor, " D"]]:
        """The features that are there.

        Args:
            keys: What is asked for.
            features: D; entries of another length are passed over.

        Returns:
            Features by key, finite numbers all.
        """
        found: dict[bytes, Tensor] = {}

        def look_up(connection: sqlite3.Connection) -> None:
            for start in range(0, len(keys), _KEYS_AT_ONCE):
                some = keys[start : start + _KEYS_AT_ONCE]
                places = ",".join("?" * len(some))
                rows = connection.execute(f"SELECT key, value FROM features WHERE key IN ({places})", some)  # noqa: S608
                for key, value in rows.fetchall():
                    numbers = np.frombuffer(value, dtype="<f4") if len(value) == 4 * features else None
                    if numbers is not None and np.isfinite(numbers).all():
                        found[key] = torch.from_numpy(numbers.astype(np.float32))
                connection.execute(f"UPDATE features SET used = ? WHERE key IN ({places})", [_today(), *some])  # noqa: S608

        self._run(look_up, "read")
        return found

    def write(self, features: Mapping[bytes, Float[Tensor, " D"]]) -> None:
        """Keep features, and remove those that were used longest ago where there are too many.

        Args:
            features: By key.
        """

        def keep(connection: sqlite3.Connection) -> None:
            rows = [(key, each.numpy().astype("<f4").tobytes(), _today()) for key, each in features.items()]
            connection.executemany("INSERT OR REPLACE INTO features (key, value, used) VALUES (?, ?, ?)", rows)
            while True:
                sizes = connection.execute("SELECT COALESCE(SUM(LENGTH(value)), 0), COUNT(*) FROM features")
                kept, count = sizes.fetchone()
                if kept <= self._most_bytes:
                    break
                connection.execute(
                    "DELETE FROM features WHERE key IN (SELECT key FROM features ORDER BY used, rowid LIMIT ?)",
                    [max(1, count // 10)],
                )

        self._run(keep, "written")

    def _run(self, action: Callable[[sqlite3.Connection], None], doing: str) -> None:
        """Run statements in one transaction; where the file is at fault, warn once and do without it."""
        if self._file is None:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._file, timeout=_SECONDS_TO_WAIT)) as connection, connection:
                connection.execute(_TABLE)
                action(connection)
        except (sqlite3.Error, OSError) as fault:
            warnings.warn(
                f"{self._file}: the cache of features cannot be {doing} ({fault}), so features are computed again. "
                "Remove the file, or name another folder in POLYLOGIT_CACHE.",
                PolylogitWarning,
                stacklevel=4,
            )
            self._file = None


def _today() -> int:
    return int(time.time()) // _DAY
