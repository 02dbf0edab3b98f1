"""Where a training run writes: the model file, and beside it the checkpoint, the history and the report."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from polylogit.data.tables.data_names import first_stem
from polylogit.errors import PolylogitError, RecipeError

__all__ = [
    "check_report_ending",
    "checkpoint_path",
    "claimed_model_path",
    "default_model_path",
    "existing_outputs",
    "history_path",
    "report_path",
    "report_paths",
]

MODEL_NAME = "model.safetensors"
_REPORT_ENDINGS = (".html", ".htm", ".json", ".md")


def default_model_path(data: str, kind: str) -> Path:
    """`runs/<data>-<model>/model.safetensors`.

    Example:
        >>> default_model_path("tables/wine.csv", "linear").as_posix()
        'runs/wine-linear/model.safetensors'
    """
    return Path("runs") / f"{first_stem(data)}-{kind}" / MODEL_NAME


@contextmanager
def claimed_model_path(data: str, kind: str, *, resume: bool = False) -> Iterator[Path]:
    """The default model path in a folder of its own: with a number where earlier or simultaneous runs have the name.

    The folder is made at once, so that two runs that start together do not take the same one; it is removed again if
    the run leaves nothing in it.

    Args:
        data: DATA as given on the command line.
        kind: The kind of model.
        resume: Whether to take the newest folder of these names that has a checkpoint, if there is one.

    Yields:
        The path of the model file.

    Raises:
        PolylogitError: The folder cannot be made.
    """
    path = default_model_path(data, kind)
    folders = (path.parent if n == 1 else path.parent.with_name(f"{path.parent.name}-{n}") for n in count(1))
    interrupted = None
    for folder in folders:
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            known = folder / MODEL_NAME
            interrupted = known if checkpoint_path(known).exists() else interrupted
            continue
        except OSError as error:
            raise PolylogitError(
                f"{folder}: the folder cannot be made: {error.strerror}. Name one with --out."
            ) from error
        path = folder / MODEL_NAME
        break
    try:
        yield interrupted if resume and interrupted is not None else path
    finally:
        with suppress(OSError):  # where they are not empty
            path.parent.rmdir()
            path.parent.parent.rmdir()


def existing_outputs(model_path: Path, report: Path | None, *, resume: bool = False) -> tuple[Path, ...]:
    """The files of an earlier run that a run replaces.

    Args:
        model_path: The model file of the run.
        report: Its report, if one is written.
        resume: Whether the run continues an interrupted one, whose history it extends.
    """
    written = [model_path, *([] if resume else [history_path(model_path)]), *report_paths(model_path, report)]
    return tuple(path for path in written if path.exists())


def checkpoint_path(model_path: Path) -> Path:
    """The file that contains the state of a network's fit until it ends.

    Example:
        >>> checkpoint_path(Path("runs/zoo-mlp/model.safetensors")).as_posix()
        'runs/zoo-mlp/model.checkpoint.safetensors'
    """
    return model_path.with_name(f"{model_path.stem}.checkpoint.safetensors")


def history_path(model_path: Path) -> Path:
    """The file with one JSON object for each epoch or iteration.

    Example:
        >>> history_path(Path("runs/zoo-mlp/model.safetensors")).name, history_path(Path("a.safetensors")).name
        ('history.jsonl', 'a.history.jsonl')
    """
    return _beside(model_path, "history.jsonl")


def report_path(model_path: Path) -> Path:
    """The page that the command line writes.

    Example:
        >>> report_path(Path("runs/zoo-mlp/model.safetensors")).name, report_path(Path("a.safetensors")).name
        ('report.html', 'a.report.html')
    """
    return _beside(model_path, "report.html")


def report_paths(model_path: Path, report: Path | None) -> tuple[Path, ...]:
    """The report and, where it is at its default place, the same as JSON and Markdown beside it.

    Example:
        >>> [path.name for path in report_paths(Path("a.safetensors"), Path("a.report.html"))]
        ['a.report.html', 'a.report.json', 'a.report.md']
        >>> [path.name for path in report_paths(Path("a.safetensors"), Path("page.html"))]
        ['page.html']
    """
    if report is None:
        return ()
    more = (".json", ".md") if report == report_path(model_path) else ()
    return (report, *(report.with_suffix(ending) for ending in more))


def check_report_ending(report: Path | None) -> None:
    """Check that the ending of a report says what to write, before there is anything to report.

    Args:
        report: The file; None: none is written.

    Raises:
        RecipeError: The ending is not known.
    """
    if report is not None and report.suffix.lower() not in _REPORT_ENDINGS:
        raise RecipeError(f"--report {report}: the ending is not known. Expected .html, .json or .md.")


def _beside(model_path: Path, name: str) -> Path:
    """A file beside a model file; its name starts with that of the model file, unless this is `model.safetensors`."""
    return model_path.with_name(name if model_path.name == MODEL_NAME else f"{model_path.stem}.{name}")
