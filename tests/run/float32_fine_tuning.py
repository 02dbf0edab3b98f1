"""`polylogit` whose fine-tuning computes in float32 also where bfloat16 is faster, to compare numbers of processes.

Usage: torchrun float32_fine_tuning.py ARGUMENTS OF polylogit
"""

from functools import partial

from polylogit.cli.app import main
from polylogit.run import fine_tuning

fine_tuning.TrainingOptions = partial(fine_tuning.TrainingOptions, precision="float32")

if __name__ == "__main__":
    main()
