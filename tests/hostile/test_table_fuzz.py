"""Mutated table files: an answer or a PolylogitError for each, never another exception.

The quick run tries a slice; `POLYLOGIT_FUZZ=10000` sets how many files are tried (`make fuzz`).
"""

import gzip
import os
import random

import polars as pl
import pytest

from polylogit.data.tables.audit import audit_table
from polylogit.data.tables.delimited import Dialect
from polylogit.data.tables.reading import scan_table
from polylogit.data.tables.sources import open_source
from polylogit.errors import PolylogitError

FILES = int(os.environ.get("POLYLOGIT_FUZZ", "400"))
ENDINGS = (".csv", ".tsv", ".csv.gz", ".parquet", ".arrow", ".jsonl")
PIECES = (
    *(
        b"\0",
        b"\xff",
        b'"',
        b'""',
        b"\n",
        b"\r",
        b",",
        b";",
        b"\t",
        b"NaN",
        b"inf",
        b"1e999",
        b"{",
        b"}",
        b"[",
        b"null",
    ),
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"-", b"9" * 40, b"a" * 3000, b"2024-02-30", "ü".encode(), b"\x01", b" "),
)

TABLE = pl.DataFrame(
    {
        "number": [1.5, None, -3.25, 4e9] * 8,
        "name": ["a", "b, with comma", 'c "quoted"', None] * 8,
        "flag": [True, False, None, True] * 8,
        "day": pl.Series(["2024-01-31", "2023-02-28", None, "1999-12-31"] * 8).str.to_date(),
        "kind": ["x", "y", "z", "x"] * 8,
    }
)


def sound_bytes(tmp_path):
    written = {}
    for ending in ENDINGS:
        path = tmp_path / f"sound{ending}"
        match ending:
            case ".csv":
                TABLE.write_csv(path)
            case ".tsv":
                TABLE.write_csv(path, separator="\t")
            case ".csv.gz":
                path.write_bytes(gzip.compress(TABLE.write_csv().encode()))
            case ".parquet":
                TABLE.write_parquet(path)
            case ".arrow":
                TABLE.write_ipc(path)
            case _:
                TABLE.write_ndjson(path)
        written[ending] = path.read_bytes()
    return written


def mutated(content, draw):
    content = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 5))):
        at = draw.randrange(len(content) + 1)
        match draw.randrange(5):
            case 0:
                content[at:at] = draw.choice(PIECES)
            case 1:
                del content[at : at + draw.choice((1, 3, 50))]
            case 2:
                content[at : at + 1] = bytes([draw.randrange(256)])
            case 3:
                content[at:at] = content[draw.randrange(len(content) + 1) :][: draw.choice((1, 10, 100))]
            case _:
                del content[at:]
        if not content:
            break
    return bytes(content)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_mutated_file_gives_an_answer_or_a_clear_error(ending, tmp_path):
    draw = random.Random(ending)  # noqa: S311 - the mutations are no secret
    sound = sound_bytes(tmp_path)[ending]
    path = tmp_path / f"t{ending}"
    answered = 0
    for _ in range(FILES // len(ENDINGS)):
        path.write_bytes(mutated(sound, draw))
        target = draw.choice(("kind", "name", None))
        try:
            frame = open_source(str(path), Dialect(encoding=draw.choice(("utf-8", "utf-8", "latin-1", "utf-16")))).frame
            audit_table(frame, target=target, place="t").audit.as_json()
            assert sum(batch.height for batch in scan_table(path)) == frame.height
            answered += 1
        except PolylogitError as fault:
            assert str(fault)  # noqa: PT017 - most files are at fault, and which is not known before
    assert answered
