"""One process at a time; the lock ends with the process."""

import subprocess
import sys

import pytest

from polylogit.errors import PolylogitError
from polylogit.system.exclusive_lock import exclusive_lock

HOLD = """
import sys, time
from pathlib import Path
from polylogit.system.exclusive_lock import exclusive_lock
with exclusive_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_until_the_first_ends_even_if_killed(tmp_path):
    written = tmp_path / "new" / "model.safetensors"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(written)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with (
            pytest.raises(PolylogitError, match=r"model\.safetensors: another run is writing"),
            exclusive_lock(written),
        ):
            pass
        other.kill()
        other.wait()
    with exclusive_lock(written):  # the file that the killed process left is no obstacle
        pass
    assert list(written.parent.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    refused = pytest.raises(PolylogitError, match=r"file: cannot be written .*--out")
    with refused, exclusive_lock(tmp_path / "file" / "model.safetensors"):
        pass
