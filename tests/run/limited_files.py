"""`polylogit` in a process of torchrun, one of which cannot write files beyond a size: as on a disk that fills up.

Usage: torchrun limited_files.py RANK BYTES ARGUMENTS OF polylogit
"""

import os
import resource
import sys

from polylogit.cli.app import main

if __name__ == "__main__":
    rank, size = sys.argv.pop(1), int(sys.argv.pop(1))
    if os.environ["RANK"] == rank:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    main()
