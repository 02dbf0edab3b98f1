"""A run of two processes of which the second ends before it has fitted: run by `test_worker_processes.py`.

Usage: python abandoned_run.py, in the environment that torchrun would set
"""

import os
import sys

import torch

from polylogit.errors import PolylogitError
from polylogit.run.joined_group import joined_group
from polylogit.run.worker_processes import first_process, joined_processes


def main():
    """Fit as the first process, or end as the second."""
    if os.environ["RANK"] != "0":
        joined_group()
        os._exit(9)
    rows = torch.arange(8.0)[:, None]
    try:
        with joined_processes():
            first_process().fit(rows, torch.arange(8) % 2, rows=None, sample_weight=None, on_iteration=None, classes=2)
    except PolylogitError as error:
        sys.stdout.write(str(error))


if __name__ == "__main__":
    main()
