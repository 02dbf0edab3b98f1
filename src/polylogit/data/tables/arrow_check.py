"""Arrow files and streams checked by pyarrow before polars reads them.

polars ends the process, and raises nothing, where a length in the metadata of a damaged file is larger than it can
allocate. pyarrow compares each length with the buffers behind it and raises an error.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc

from polylogit.errors import DataError

__all__ = ["check_arrow"]


def check_arrow(path: Path, *, stream: bool) -> None:
    """Read every batch of an Arrow file once, without a copy where it is not compressed.

    Args:
        path: The file.
        stream: Whether it is in the streaming format, which has no footer.

    Raises:
        DataError: It has integers of more than 64 bits, which pyarrow does not know.
        ValueError: It is damaged.
        OSError: It is damaged, or cannot be read.
    """
    try:
        with pa.memory_map(str(path)) as mapped:
            for batch in _batches(mapped, stream=stream):
                batch.validate()
    except pa.ArrowMemoryError as fault:
        raise ValueError("it claims parts that are larger than the memory") from fault
    except pa.ArrowNotImplementedError as fault:
        raise DataError(
            f"{path}: cannot be checked before it is read ({str(fault).rstrip('.')}). Write the column with 64 bits or "
            "as text, or the table as Parquet."
        ) from fault
    except (pa.ArrowException, UnicodeDecodeError, OverflowError) as fault:
        raise ValueError(str(fault)) from fault


def _batches(mapped: pa.MemoryMappedFile, *, stream: bool) -> Iterator[pa.RecordBatch]:
    if stream:
        with pyarrow.ipc.open_stream(mapped) as reader:
            yield from reader
    else:
        with pyarrow.ipc.open_file(mapped) as reader:
            for number in range(reader.num_record_batches):
                yield reader.get_batch(number)
