"""Mutated table files of every format, and what polylogit must be able to do with each of them.

Most mutations know the structure: the text of a compressed file is mutated before it is compressed, a footer of Parquet
or Arrow gets other numbers in place of its own, JSON gets other values and names.
"""

import bz2
import gzip
import io
import json
import lzma
import random
import struct
import sys
from functools import cache
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

from polylogit.data.tables.audit import audit_table
from polylogit.data.tables.delimited import Dialect
from polylogit.data.tables.reading import scan_table
from polylogit.data.tables.sources import open_source
from polylogit.run import predict

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FIXTURES = Path(__file__).parents[1] / "fixtures" / "models_0_1"
MODEL = FIXTURES / "mixed_mlp.safetensors"
PIECES = (
    *(b"\0", b"\xff", b'"', b'""', b"\n", b"\r", b",", b";", b"\t", b"NaN", b"inf", b"1e999", b"{", b"}", b"[", b"-"),
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"9" * 40, b"a" * 3000, b"2024-02-30", "ü".encode(), b"\x01", b" ", b"sep=;\n"),
)
NUMBERS = (0, 1, -1, 2, 127, 2**15, 2**31 - 1, -(2**31), 2**32 - 1, 2**40, 2**62, 2**63 - 1, -(2**63))
JSON_VALUES = (None, True, -0.0, 1e308, 10**400, 2**63, "", "\ud800", "x" * 5000, [], [[1], None], {}, {"a": {"b": 1}})
BOMBS = (b"\0", b"1,", b"\n", b'{"a":1}\n')
PACKERS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstd.compress}
TABLE = pl.read_csv(FIXTURES / "mixed.csv").head(40).with_columns(pl.col("seen").str.to_date(strict=False))


@cache
def bomb(packer: str, piece: bytes) -> bytes:
    """A piece eight million times, compressed: a few bytes that expand to 8 MiB and more."""
    return PACKERS[packer](piece * 8 * 2**20)


def bytes_changed(content: bytes, draw: random.Random) -> bytes:
    """Pieces inserted, deleted, replaced, repeated, or the rest cut off."""
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 5))):
        at = draw.randrange(len(changed) + 1)
        match draw.randrange(5):
            case 0:
                changed[at:at] = draw.choice(PIECES)
            case 1:
                del changed[at : at + draw.choice((1, 3, 50))]
            case 2:
                changed[at : at + 1] = bytes([draw.randrange(256)])
            case 3:
                changed[at:at] = changed[draw.randrange(len(changed) + 1) :][: draw.choice((1, 10, 100))]
            case _:
                del changed[at:]
        if not changed:
            break
    return bytes(changed)


def numbers_changed(content: bytes, draw: random.Random) -> bytes:
    """Other numbers in the metadata, which is at the end of Parquet and Arrow files and at the start of a stream."""
    changed = bytearray(content)
    places = range(max(0, len(changed) - 1500), len(changed)) if draw.random() < 0.7 else range(min(1500, len(changed)))
    for _ in range(draw.choice((1, 1, 2, 4))):
        size, letter = draw.choice(((1, "b"), (2, "h"), (4, "i"), (8, "q")))
        at = draw.choice(places) // size * size
        bits = 8 * size
        value = (draw.choice(NUMBERS) + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)
        if at + size <= len(changed):
            struct.pack_into(f"<{letter}", changed, at, value)
    return bytes(changed)


def odd_columns(draw: random.Random) -> pl.DataFrame:
    """The table with a column of another type, of extreme values, or of none."""
    rows = TABLE.height
    integers = pl.Series([draw.choice(NUMBERS) for _ in range(rows)], dtype=pl.Int64)
    odd = draw.choice(
        [
            *(integers.cast(pl.Datetime(unit)) for unit in ("ms", "us", "ns")),
            *(integers.cast(pl.Duration("us")), integers.cast(pl.Int32, strict=False).cast(pl.Date), integers),
            *(
                pl.Series([None] * rows),
                pl.Series([[1, 2]] * rows),
                pl.Series([{"a": 1}] * rows),
                pl.Series([b"\xff"] * rows),
            ),
            *(pl.Series([2**100] * rows, dtype=pl.Int128), pl.Series(["x"] * rows, dtype=pl.Categorical)),
            pl.Series([float("inf"), float("nan")] * (rows // 2)),
        ]
    )
    return TABLE.with_columns(odd.alias(draw.choice([*TABLE.columns, "", "x" * 300, "^.*$", "*"])))


def delimited(draw: random.Random) -> tuple[str, bytes]:
    """CSV or TSV, perhaps compressed."""
    ending = draw.choice((".csv", ".tsv"))
    text = bytes_changed(TABLE.write_csv(separator="\t" if ending == ".tsv" else ",").encode(), draw)
    return compressed(ending, text, draw)


def compressed(ending: str, text: bytes, draw: random.Random) -> tuple[str, bytes]:
    """The text as it is, compressed, in several members, with a bomb behind it, or damaged after compression."""
    if draw.random() < 0.5:
        return ending, text
    packer = draw.choice(list(PACKERS))
    packed = PACKERS[packer](text)
    match draw.randrange(5):
        case 0:
            packed = bytes_changed(packed, draw)
        case 1:
            packed += PACKERS[packer](text)
        case 2:
            packed += bomb(packer, draw.choice(BOMBS))
        case _:
            pass
    return ending + packer, packed


def json_lines(draw: random.Random) -> tuple[str, bytes]:
    """JSON lines with other values, names and nesting, or with changed bytes."""
    rows = [json.loads(line) for line in TABLE.write_ndjson().splitlines()]
    for _ in range(draw.randint(0, 4)):
        row = draw.choice(rows)
        row[draw.choice([*row, "", "new", f"k{draw.random()}"])] = draw.choice(JSON_VALUES)
    lines = [json.dumps(row) for row in rows]
    if draw.random() < 0.2:
        lines.insert(
            draw.randrange(len(lines)), draw.choice(("[" * 5000, '{"a":' * 5000, "[1]", "null", '{"a":1,"a":2}', ""))
        )
    text = "\n".join(lines).encode()
    return compressed(".jsonl", bytes_changed(text, draw) if draw.random() < 0.5 else text, draw)


def parquet(draw: random.Random) -> tuple[str, bytes]:
    """Parquet with odd columns, changed numbers in the footer, or changed bytes."""
    file = io.BytesIO()
    frame = odd_columns(draw) if draw.random() < 0.5 else TABLE
    if draw.random() < 0.3:
        table = pa.table(TABLE.head(draw.choice((0, 1, 40))).to_arrow())
        if draw.random() < 0.5:
            table = table.rename_columns(["x"] * table.num_columns)
        pyarrow.parquet.write_table(table.replace_schema_metadata({"ARROW:schema": "damaged", "pandas": "{"}), file)
    else:
        frame.write_parquet(file, compression=draw.choice(("zstd", "snappy", "uncompressed", "gzip", "lz4")))
    return ".parquet", binary_changed(file.getvalue(), draw)


def arrow(draw: random.Random) -> tuple[str, bytes]:
    """An Arrow file or stream with odd columns, changed numbers in the footer, or changed bytes."""
    file = io.BytesIO()
    frame = odd_columns(draw) if draw.random() < 0.5 else TABLE
    match draw.randrange(3):
        case 0:
            frame.write_ipc_stream(file, compression=draw.choice(("zstd", "lz4", "uncompressed")))
        case 1:
            frame.write_ipc(file, compression=draw.choice(("zstd", "lz4", "uncompressed")))
        case _:
            table = pa.table(TABLE.to_arrow())
            with pyarrow.ipc.new_file(file, table.schema) as writer:
                writer.write_table(table)
    return ".arrow", binary_changed(file.getvalue(), draw)


def binary_changed(content: bytes, draw: random.Random) -> bytes:
    """Nothing, numbers or bytes changed."""
    return draw.choice((numbers_changed, numbers_changed, bytes_changed, lambda same, _: same))(content, draw)


def write(number: int, folder: Path) -> Path:
    """Write the mutated file of a number."""
    draw = random.Random(number)  # noqa: S311 - the mutations are no secret
    ending, content = draw.choice((delimited, json_lines, parquet, arrow))(draw)
    path = folder / f"t{ending}"
    path.write_bytes(content)
    return path


def use(path: Path, number: int) -> None:
    """Read, audit, scan, and now and then predict; a PolylogitError says what is wrong with the file."""
    draw = random.Random(-number - 1)  # noqa: S311
    dialect = Dialect(encoding=draw.choice(("utf-8", "utf-8", "latin-1", "utf-16")))
    frame = open_source(str(path), dialect).frame
    audit_table(frame, target=draw.choice(("kind", "colour", None)), place="t").audit.as_json()
    assert sum(batch.height for batch in scan_table(path, dialect)) == frame.height
    if number % 4 == 0:
        carry = draw.sample(list(frame.columns), min(2, frame.width))
        predict(
            MODEL, str(path), path.with_name(draw.choice(("o.csv", "o.jsonl", "o.parquet"))), carry=carry, force=True
        )


def warm_up(folder: Path) -> None:
    """Use a sound file of each format, so that every library is loaded."""
    for ending, method in (("csv", "csv"), ("jsonl", "ndjson"), ("parquet", "parquet"), ("arrow", "ipc")):
        path = folder / f"t.{ending}"
        getattr(TABLE, f"write_{method}")(path)
        for out in ("o.csv", "o.jsonl", "o.parquet"):
            predict(MODEL, str(path), folder / out, carry=["colour"], force=True)
        audit_table(open_source(str(path)).frame, target="kind", place="t")
