"""SIGTERM and SIGHUP as an exception, so that temporary files are removed and files stay whole."""

import os
import signal
from types import FrameType

__all__ = ["Terminated", "raise_on_termination"]


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

    A signal that the caller of the program ignores, as after `nohup`, stays ignored. Child processes end as by default.
    """
    process = os.getpid()

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        if os.getpid() != process:
            signal.raise_signal(number)
        raise Terminated(number)

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, end)
