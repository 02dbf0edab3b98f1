"""Files of predictions: .csv, .parquet and .jsonl, written frame by frame and atomically."""

import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import polars as pl
from polars.io.plugins import register_io_source

from polylogit.errors import PolylogitError
from polylogit.run.spreadsheet_text import with_sets_as_text
from polylogit.system.atomic_file import atomic_write

__all__ = ["PREDICTION_ENDINGS", "check_columns_fit", "write_frames"]

PREDICTION_ENDINGS = (".csv", ".parquet", ".jsonl")


def write_frames(frames: Iterable[pl.DataFrame], path: Path) -> None:
    """Write frames of the same columns below each other, so that only one is in memory.

    Args:
        frames: At least one frame.
        path: The file to write: .csv, .parquet or .jsonl.

    Raises:
        PolylogitError: The ending is not known, or the file cannot be written. What the frames raise passes through,
            and nothing is written then.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "classes.csv"
        >>> write_frames([pl.DataFrame({"class": ["bird"]}), pl.DataFrame({"class": ["fish"]})], path)
        >>> path.read_text().splitlines()
        ['class', 'bird', 'fish']
    """
    with atomic_write(path) as temporary:
        match path.suffix.lower():
            case ".csv":
                with temporary.open("wb") as file:
                    _write_text(frames, file, lambda frame, first: _write_csv(frame, file, header=first))
            case ".jsonl":
                with temporary.open("wb") as file:
                    _write_text(frames, file, lambda frame, _: _write_json(frame, file))
            case ".parquet":
                _write_parquet(frames, temporary, path)
            case ending:
                raise PolylogitError(
                    f"{path}: the ending {ending!r} is not known. Expected one of {', '.join(PREDICTION_ENDINGS)}."
                )


def check_columns_fit(frame: pl.DataFrame, ending: str) -> None:
    """Refuse to write a column that a format has no form for.

    Args:
        frame: Predictions, perhaps with columns that are carried.
        ending: The ending of the file.

    Raises:
        PolylogitError: There is one.

    Example:
        >>> check_columns_fit(pl.DataFrame({"box": [[1, 2], [3, 4]]}), ".csv")
        Traceback (most recent call last):
        ...
        polylogit.errors.PolylogitError: --carry box: values of type List(Int64) cannot be written as .csv. ...
    """
    for name, kind in frame.schema.items():
        unfit = {".csv": kind.is_nested() or kind in (pl.Binary, pl.Duration), ".jsonl": kind == pl.Binary}
        if unfit.get(ending, False):
            raise PolylogitError(
                f"--carry {name}: values of type {kind} cannot be written as {ending}. Write .parquet with --out, or "
                "leave the option out."
            )


def _write_csv(frame: pl.DataFrame, file: BinaryIO, *, header: bool) -> None:
    text = with_sets_as_text(frame)
    check_columns_fit(text, ".csv")
    text.write_csv(file, include_header=header)


def _write_json(frame: pl.DataFrame, file: BinaryIO) -> None:
    check_columns_fit(frame, ".jsonl")
    frame.write_ndjson(file)


def _write_text(frames: Iterable[pl.DataFrame], file: BinaryIO, write: Callable[[pl.DataFrame, bool], object]) -> None:
    first = True
    for frame in frames:
        write(frame, first)
        first = False
    file.flush()


def _write_parquet(frames: Iterable[pl.DataFrame], temporary: Path, path: Path) -> None:
    """Write what polars' streaming engine pulls from the frames, one row group after the other.

    The engine runs in a thread of its own, so that a signal is answered while it writes.
    """
    batches = iter(frames)
    head = next(batches)
    faults: list[BaseException] = []
    stopped = threading.Event()

    def source(*_: object) -> Iterator[pl.DataFrame]:
        yield head
        try:
            for frame in batches:
                if stopped.is_set():
                    return
                yield frame
        except BaseException as fault:  # polars would wrap it in an error of its own, even an interrupt
            faults.append(fault)

    def write() -> None:
        try:
            register_io_source(source, schema=head.schema).sink_parquet(temporary, engine="streaming")
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as fault:
            reason = (str(fault) or type(fault).__name__).splitlines()[0]
            faults.append(PolylogitError(f"{path}: cannot be written ({reason}). Choose another place with --out."))
        except BaseException as fault:  # raised again below, in the thread that asked
            faults.append(fault)

    writer = threading.Thread(target=write, name="parquet")
    writer.start()
    try:
        while writer.is_alive():
            writer.join(timeout=0.1)
    finally:
        stopped.set()
        writer.join()
    if faults:
        raise faults[0]
