"""Mutated tables and model files in a process of their own: an answer or one clear error, in time and in memory.

The quick run tries some files of each kind; `POLYLOGIT_FUZZ=10000` sets how many (`make fuzz`).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FILES = int(os.environ.get("POLYLOGIT_FUZZ", "120"))
WORKER = Path(__file__).with_name("fuzz_worker.py")
CRASHES = 5


def tried(kind, first, count):
    """What the worker reports, and how it ended."""
    words = [sys.executable, "-W", "ignore", str(WORKER), kind, str(first), str(count)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return [json.loads(line) for line in done.stdout.splitlines()], done


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is measured through Linux's /proc")
@pytest.mark.parametrize("kind", ["tables", "models"])
def test_a_mutated_file_gives_an_answer_or_one_clear_error(kind):
    first, faults, answered, refused = 0, [], 0, 0
    while first < FILES and len(faults) <= CRASHES:
        lines, done = tried(kind, first, FILES - first)
        faults += [line for line in lines if "fault" in line]
        if done.returncode == 0:
            answered, refused = lines[-1]["answered"], lines[-1]["refused"]
            break
        numbers = [line["number"] for line in lines if "number" in line]
        assert numbers, done.stderr
        faults.append({"fault": numbers[-1], "what": f"exit status {done.returncode}: {done.stderr[-2000:]}"})
        first = numbers[-1] + 1
    assert faults == []
    assert answered > FILES // 20
    assert refused > FILES // 20
