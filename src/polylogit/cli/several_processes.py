"""The command line as one of several processes that torchrun has started: the first speaks, the others fit with it."""

import os
import sys
from collections.abc import Callable

from polylogit.errors import PolylogitError
from polylogit.system.termination import Terminated, end_on_termination, stop_raising

__all__ = ["restarted_by_torchrun", "run_as_one_of_several", "started_by_torchrun"]


def started_by_torchrun() -> bool:
    """Whether torchrun has started this process together with others."""
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def restarted_by_torchrun() -> bool:
    """Whether a process has ended before and torchrun, with --max-restarts, has started all of them again."""
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def run_as_one_of_several(app: Callable[[], None]) -> None:
    """Run the command in the first process, and fit with it in the others; only `train` has work for several.

    Args:
        app: Runs the command of `sys.argv`, prints and exits.
    """
    command, first = next(iter(sys.argv[1:]), ""), os.environ.get("RANK") == "0"
    if command != "train":
        if first:
            sys.stderr.write(
                f"error: polylogit {command} runs in one process, and torchrun has started "
                f"{os.environ['WORLD_SIZE']}. Leave torchrun out; only polylogit train uses several.\n"
            )
        sys.exit(2)
    from polylogit.run.worker_processes import joined_processes, work_for_first_process

    def run_as_first() -> None:
        with joined_processes():
            app()

    try:
        _with_message(run_as_first if first else work_for_first_process)
    finally:
        end_on_termination()  # torchrun sends SIGTERM to all where one has ended


def _with_message(part: Callable[[], None]) -> None:
    """The part of this process; of signals, which reach every process, only the command itself speaks."""
    try:
        part()
    except PolylogitError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Terminated as ended:
        stop_raising()
        sys.exit(128 + ended.number)
