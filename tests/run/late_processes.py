"""A process that joins others: run by `test_joined_group.py`.

Usage: python late_processes.py SECONDS [VERSION], in the environment that torchrun would set
"""

import sys
from datetime import timedelta

from polylogit.errors import PolylogitError
from polylogit.run import joined_group


def main():
    """Join, or print why not."""
    joined_group.LONGEST_TO_JOIN = timedelta(seconds=float(sys.argv[1]))
    if len(sys.argv) > 2:
        joined_group.version = lambda _: sys.argv[2]
    try:
        joined_group.joined_group()
    except PolylogitError as error:
        sys.stdout.write(str(error))


if __name__ == "__main__":
    main()
