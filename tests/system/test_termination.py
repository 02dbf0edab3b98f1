import signal
import subprocess
import sys

import pytest

SWALLOWS = """
import os, signal, sys, time
from polylogit.system import termination
termination._SECONDS_BETWEEN = 0.2
termination.raise_on_termination()
try:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(1)
except BaseException:
    print("swallowed", flush=True)  # as a finalizer or a library's callback would
try:
    time.sleep(20)
except termination.Terminated as ended:
    termination.stop_raising()
    time.sleep(0.5)  # no third one
    print("ended by", ended.number, flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no timers")
def test_a_swallowed_termination_is_raised_again():
    done = subprocess.run([sys.executable, "-c", SWALLOWS], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.split("\n")[:2] == ["swallowed", f"ended by {int(signal.SIGTERM)}"]
