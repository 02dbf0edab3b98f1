"""Results of an unfinished `polylogit lessons --all`, kept in a file so that the next one continues there.

The file holds what was measured, not how it compared: the printed numbers and tolerances are those of the catalogue
when the file is read. It is removed once every lesson has been run.
"""

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from polylogit.errors import PolylogitError
from polylogit.lessons.catalogue import Lesson
from polylogit.lessons.comparison import LessonResult, compare
from polylogit.system.atomic_file import atomic_write

__all__ = ["UNFINISHED", "KeptResults"]

UNFINISHED = Path("runs", "lessons-unfinished.json")
"""Where the command line keeps the results, seen from the current folder."""


class KeptResults:
    """The lessons that an unfinished run has finished, by their ids.

    Results measured with another version of polylogit or torch are not used, and lessons that could not be run, such as
    for missing data, are run again.

    Args:
        path: The file; it need not exist.

    Raises:
        PolylogitError: The file is there, and is no file of results.

    Example:
        >>> import tempfile
        >>> from polylogit.lessons.catalogue import choose_lessons
        >>> from polylogit.lessons.running import run_lesson
        >>> path = Path(tempfile.mkdtemp()) / "unfinished.json"
        >>> lesson = choose_lessons(["seeded-draws"])[0]
        >>> KeptResults(path).result_of(lesson) is None
        True
        >>> KeptResults(path).keep(run_lesson(lesson))
        >>> KeptResults(path).result_of(lesson).ok
        True
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._versions = {name: version(name) for name in ("polylogit", "torch")}
        self._entries = _entries_of(path, self._versions)

    def result_of(self, lesson: Lesson) -> LessonResult | None:
        """The result that was kept for a lesson; None where it has to be run.

        Args:
            lesson: A lesson of the catalogue.

        Returns:
            Its result, compared with the numbers of the catalogue.
        """
        entry = self._entries.get(lesson.id)
        if entry is None or any(number.quantity not in entry["measured"] for number in lesson.numbers):
            return None
        rows = tuple(compare(lesson.id, number, entry["measured"][number.quantity]) for number in lesson.numbers)
        return LessonResult(lesson=lesson, rows=rows, seconds=entry["seconds"])

    def keep(self, result: LessonResult) -> None:
        """Add a result to the file, with an atomic write.

        Args:
            result: A lesson that was run; one that could not be run is not kept.
        """
        if result.fault:
            return
        measured = {row.quantity: row.measured for row in result.rows}
        self._entries[result.lesson.id] = {"seconds": result.seconds, "measured": measured}
        with atomic_write(self.path) as temporary:
            temporary.write_text(
                json.dumps({"versions": self._versions, "results": self._entries}, indent=1), encoding="utf-8"
            )

    def remove(self) -> None:
        """Remove the file, once the run is finished."""
        self.path.unlink(missing_ok=True)


def _entries_of(path: Path, versions: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        same = kept["versions"] == versions
        return {
            name: {"seconds": float(entry["seconds"]), "measured": dict(entry["measured"])}
            for name, entry in kept["results"].items()
            if same
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
        raise PolylogitError(
            f"{path}: expected the results of an unfinished polylogit lessons --all, "
            f"and it cannot be read as such ({type(fault).__name__}: {fault}). Start again with --all --restart."
        ) from fault
