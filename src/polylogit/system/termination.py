"""SIGTERM and SIGHUP as an exception, so that temporary files are removed and files stay whole."""

import os
import signal
import tempfile
from contextlib import suppress
from functools import partial
from types import FrameType

__all__ = ["Terminated", "end_on_termination", "raise_on_termination", "stop_raising"]

_SECONDS_BETWEEN = 3.0


class Terminated(BaseException):
    """The process was asked to end.

    Args:
        number: The number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.number = number


def raise_on_termination() -> None:
    """Raise `Terminated` in the main thread on the first SIGTERM or SIGHUP; a second one ends the process at once.

    Python discards an exception that is raised in a finalizer or in some callbacks of libraries. So, where the system
    has SIGALRM, `Terminated` is raised every 3 seconds, until `stop_raising`. A signal that the caller of the program
    ignores, as after `nohup`, stays ignored. Child processes end as by default.
    """
    with suppress(
        OSError
    ):  # Python tries the temporary folder with a file, which a signal in between would leave there
        tempfile.gettempdir()
    process = os.getpid()

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        if os.getpid() != process:
            signal.raise_signal(number)
        if hasattr(signal, "setitimer") and signal.getsignal(signal.SIGALRM) == signal.SIG_DFL:
            signal.signal(signal.SIGALRM, partial(_raise_again, number))
            signal.setitimer(signal.ITIMER_REAL, _SECONDS_BETWEEN, _SECONDS_BETWEEN)
        raise Terminated(number)

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, end)


def end_on_termination() -> None:
    """Let SIGTERM and SIGHUP end the process as by default: for a process that has nothing left to clean up."""
    stop_raising()
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def _raise_again(terminated_by: int, number: int, frame: FrameType | None) -> None:
    raise Terminated(terminated_by)


def stop_raising() -> None:
    """Raise `Terminated` no more: to be called where it was caught and the process is about to end."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)
