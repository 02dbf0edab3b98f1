"""`polylogit` in a process of torchrun that is killed in the third epoch of its fit, unless it was started again.

Usage: torchrun killed_process.py ARGUMENTS OF polylogit
"""

import os
import signal

from polylogit.cli.app import main
from polylogit.fitting.running_fit import RunningFit

report_epoch = RunningFit._report_epoch


def report_or_end(self, record, on_epoch):
    """Report an epoch, but for the third."""
    if record.epoch == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    report_epoch(self, record, on_epoch)


if __name__ == "__main__":
    if os.environ["RANK"] == "1" and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
        RunningFit._report_epoch = report_or_end
    main()
