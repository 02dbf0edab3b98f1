"""A process that tries mutated files and reports what none of them may do.

    python tests/hostile/fuzz_worker.py tables|models FIRST COUNT

For each number from FIRST on, the file of that number is written and used. Forbidden are an exception other than a
PolylogitError, more than ten seconds of work or 300 in all, and more memory than ten times the file and 200 MB.
One JSON object a line: each number before it is tried, so that after a crash the last one is known, each fault, and at
the end a summary.
"""

import faulthandler
import json
import resource
import sys
import tempfile
import time
import traceback
from pathlib import Path

import mutated_models
import mutated_tables

from polylogit.errors import PolylogitError

MOST_SECONDS = 10
MOST_WAITING = 300
MOST_MEMORY = 200 * 10**6
MEMORY_PER_BYTE = 10
ADDRESSES = 4 * 2**30
KINDS = {"tables": mutated_tables, "models": mutated_models}


def memory(name: str) -> int:
    """An entry of the process's status in bytes: VmRSS now, VmHWM at most since it was reset, VmSize."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def tell(**entries: object) -> None:
    """One line of JSON on standard output."""
    print(json.dumps(entries), flush=True)  # noqa: T201 - the report of this script


def main(kind: str, first: int, count: int) -> None:
    """Try the files."""
    mutated = KINDS[kind]
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**30, 2**30))
    answered = refused = 0
    slowest = most = 0.0
    with tempfile.TemporaryDirectory() as name:
        tempfile.tempdir = name
        mutated.warm_up(Path(name))
        limit = memory("VmSize") + ADDRESSES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        for number in range(first, first + count):
            path = mutated.write(number, Path(name))
            tell(number=number)
            faulthandler.dump_traceback_later(MOST_WAITING, exit=True)
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
            before, start = memory("VmRSS"), time.process_time()
            try:
                mutated.use(path, number)
                answered += 1
            except PolylogitError as fault:
                refused += 1
                if not str(fault):
                    tell(fault=number, what="an empty message")
            except BaseException:  # every other exception is what is looked for, a panic of polars too
                tell(fault=number, what=traceback.format_exc()[-2500:])
            used, seconds = memory("VmHWM") - before, time.process_time() - start
            faulthandler.cancel_dump_traceback_later()
            if used > MOST_MEMORY + MEMORY_PER_BYTE * path.stat().st_size:
                tell(fault=number, what=f"{used} bytes of memory for a file of {path.stat().st_size}")
            if seconds > MOST_SECONDS:
                tell(fault=number, what=f"{seconds:.1f} seconds of work")
            slowest, most = max(slowest, seconds), max(most, used)
            for file in Path(name).iterdir():
                if file.is_file():
                    file.unlink()
    tell(answered=answered, refused=refused, slowest_seconds=round(slowest, 2), most_memory=most)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
