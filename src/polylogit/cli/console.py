"""What the command line prints, and how errors become one message and an exit status.

Exit statuses: 0 done, 1 the data or the model is at fault, 2 wrong usage, 130 interrupted, 143 ended by SIGTERM.
With `--json` standard output belongs to the JSON object alone. Notes, warnings and errors go to standard error.
"""

import errno
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO

import typer
from rich.text import Text

from polylogit.cli.several_processes import started_by_torchrun
from polylogit.errors import PolylogitError, PolylogitWarning, RecipeError
from polylogit.report.terminal_text import TerminalConsole, short_message
from polylogit.system.out_of_memory import is_out_of_memory
from polylogit.system.termination import Terminated, stop_raising

if TYPE_CHECKING:
    from polylogit.report.live import FoldProgress, LiveFit, NotesAtOnce

__all__ = [
    "fold_progress",
    "live_fit",
    "notes_at_once",
    "print_json",
    "print_notes",
    "print_warnings",
    "reported_errors",
    "row_counter",
]

_NO_MEMORY = "there is not enough memory. Take fewer rows or columns, or raise the limit on memory."
_STREAM_FAULTS = (errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EBADF)


def print_json(content: object) -> None:
    """Print one JSON value on one line of standard output."""
    typer.echo(json.dumps(content, ensure_ascii=False))


def print_notes(notes: Iterable[str]) -> None:
    """Print what a reader must know, a line each, on standard error."""
    for note in notes:
        typer.echo(short_message(f"note: {note}"), err=True)


def print_warnings(findings: Iterable[object]) -> None:
    """Print what is likely to spoil the result, a line each, on standard error."""
    for warning in findings:
        typer.echo(short_message(f"warning: {warning}"), err=True)


def accept_any_character() -> None:
    """Let standard output and standard error show characters that their encoding lacks as escapes."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Callable[..., Any] | None = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


@contextmanager
def reported_errors() -> Iterator[None]:
    """Turn errors that the user can fix into one message and an exit status, and polylogit's warnings into notes."""
    try:
        with _warnings_as_notes():
            yield
        sys.stdout.flush()
    except PolylogitError as error:
        _print_error(str(error))
        raise typer.Exit(2 if isinstance(error, RecipeError) else 1) from error
    except (MemoryError, ImportError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        _print_error(_NO_MEMORY)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo("interrupted. Files are written atomically, so none is incomplete.", err=True)
        raise typer.Exit(130) from None
    except Terminated as ended:
        stop_raising()
        of_torchrun = " torchrun ends all processes where one has ended; a network goes on with --resume."
        _print_error(
            "ended by a signal. Files are written atomically, so none is incomplete."
            + (of_torchrun if started_by_torchrun() else "")
        )
        raise typer.Exit(128 + ended.number) from None
    except BrokenPipeError:  # the reader, for example `head`, has closed the pipe
        _discard_standard_output()
        raise typer.Exit(0) from None
    except OSError as error:
        if is_out_of_memory(error):
            _print_error(_NO_MEMORY)
            raise typer.Exit(1) from None
        if error.filename is not None:
            _print_error(f"{os.fsdecode(error.filename)}: {error.strerror}.")
            raise typer.Exit(1) from error
        if error.errno not in _STREAM_FAULTS:
            raise
        _discard_standard_output()
        _print_error(f"standard output cannot be written: {error.strerror}.")
        raise typer.Exit(1) from error


@contextmanager
def _warnings_as_notes() -> Iterator[None]:
    """Print each warning of polylogit as a note, without the place in the code; others as Python does."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def note(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, PolylogitWarning):
                print_notes([str(message)])
            else:
                show(message, category, filename, lineno, file, line)

        warnings.simplefilter("always", PolylogitWarning)
        # of Pillow, whose limit on pixels is an error of twice that size, which is reported
        warnings.filterwarnings("ignore", message=r"Image size \(\d+ pixels\) exceeds limit", category=RuntimeWarning)
        warnings.showwarning = note
        yield


def _print_error(message: str) -> None:
    with suppress(OSError):  # nobody reads standard error either
        typer.echo(short_message(f"error: {message}"), err=True)


def _discard_standard_output() -> None:
    """Send what is still buffered nowhere: flushing it at exit would fail again, with a traceback."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


@contextmanager
def row_counter() -> Iterator[Callable[[int], None] | None]:
    """A callback that shows how many rows are predicted; None where standard error is no terminal."""
    console = TerminalConsole(stderr=True)
    if not console.is_terminal:
        yield None
        return
    with console.status(Text("predicting")) as status:
        yield lambda rows: status.update(Text(f"{rows:,} rows predicted"))


@contextmanager
def live_fit(unit: str) -> Iterator["LiveFit | None"]:
    """The display of a fit in progress; None where standard error is no terminal.

    Args:
        unit: What a row of the data is called, in the plural.
    """
    console = TerminalConsole(stderr=True)
    if not console.is_terminal:
        yield None
        return
    from polylogit.report.live import LiveFit

    with LiveFit(console, unit) as live:
        yield live


def notes_at_once() -> "NotesAtOnce":
    """A training callback that prints notes before the step that they are about."""
    from polylogit.report.live import NotesAtOnce

    return NotesAtOnce(lambda note: print_notes([note]))


@contextmanager
def fold_progress() -> Iterator["FoldProgress | None"]:
    """The display of fits fold by fold; None where standard error is no terminal."""
    console = TerminalConsole(stderr=True)
    if not console.is_terminal:
        yield None
        return
    from polylogit.report.live import FoldProgress

    with console.status(Text("reading the data")) as status:
        yield FoldProgress(status)
