"""Damaged Arrow files and streams: one error, where polars alone would end the process."""

import struct

import polars as pl
import pytest

from polylogit.data.tables.arrow_check import check_arrow
from polylogit.data.tables.reading import read_table, scan_table
from polylogit.errors import DataError

ROWS = 1234
FRAME = pl.DataFrame({"a": [1.5] * ROWS, "kind": ["x", "a text that is longer than twelve bytes"] * (ROWS // 2)})


@pytest.fixture(params=["file", "stream"])
def written(request, tmp_path):
    """A function that writes a frame and gives its path."""

    def write(frame, **options):
        path = tmp_path / "t.arrow"
        (frame.write_ipc if request.param == "file" else frame.write_ipc_stream)(path, **options)
        return path

    return write


@pytest.mark.parametrize("claimed", [2**60, -(2**40), ROWS + 1])
def test_a_length_without_bytes_behind_it_is_one_error(written, claimed):
    path = written(FRAME)
    content = path.read_bytes()
    assert content.count(struct.pack("<q", ROWS)) >= 3  # of the batch, and of each column
    first = content.index(struct.pack("<q", ROWS))
    column = content.index(struct.pack("<q", ROWS), first + 8)
    for place in (first, column):
        path.write_bytes(content[:place] + struct.pack("<q", claimed) + content[place + 8 :])
        for read in (read_table, lambda path: list(scan_table(path))):
            with pytest.raises(DataError, match=r"t\.arrow"):
                read(path)


@pytest.mark.parametrize("compression", ["uncompressed", "lz4", "zstd"])
def test_sound_files_are_read_as_before(written, compression):
    frame = FRAME.with_columns(
        pl.Series("category", ["x", "y"] * (ROWS // 2), dtype=pl.Categorical),
        pl.lit(None).alias("nothing"),
        pl.lit(3).cast(pl.Decimal(10, 2)).alias("decimal"),
        pl.date(2024, 2, 29).alias("date"),
        pl.lit(1.5, dtype=pl.Float32).alias("half"),
    )
    path = written(frame, compression=compression)
    assert read_table(path).equals(frame)
    assert pl.concat(scan_table(path)).equals(frame)


def test_integers_that_cannot_be_checked_are_refused_with_a_way_out(written):
    path = written(FRAME.with_columns(pl.lit(2**100, dtype=pl.Int128).alias("big")))
    with pytest.raises(DataError, match=r"64 bits .*or the table as Parquet"):
        read_table(path)


def test_the_check_copies_nothing_that_is_not_compressed(written):
    import pyarrow as pa

    path = written(FRAME)
    before = pa.total_allocated_bytes()
    check_arrow(path, stream=path.read_bytes()[:6] != b"ARROW1")
    assert pa.total_allocated_bytes() == before
