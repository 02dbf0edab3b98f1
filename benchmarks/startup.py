"""How soon the command line answers, and what `polylogit train zoo` costs beyond importing torch.

Each sample is a process of its own, started turn by turn with its peers: `python -c pass`, `import torch`,
`polylogit --help`, a mistyped option, and the whole `polylogit train zoo --model linear`. The work of a training run is
what the run itself reports as `seconds`: from opening the data to the written model file, imports not counted.

    python benchmarks/startup.py [--quick]
"""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from timing import arguments, as_row, side_by_side, write_result

TRAIN = [sys.executable, "-m", "polylogit", "train", "zoo", "--model", "linear", "--json", "--out", "model.safetensors"]
COMMANDS = {
    "python": [sys.executable, "-c", "pass"],
    "import_torch": [sys.executable, "-c", "import torch"],
    "help": [sys.executable, "-m", "polylogit", "--help"],
    "wrong_option": [sys.executable, "-m", "polylogit", "train", "zoo", "--set", "training.epohcs=3"],
    "train_zoo": TRAIN,
}


def main() -> None:
    """Time the commands side by side and write the result."""
    options = arguments(__doc__).parse_args()
    rounds = 3 if options.quick else 15
    work: list[float] = []
    with tempfile.TemporaryDirectory() as folder:

        def run(command: Sequence[str]) -> None:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            expected = 2 if "training.epohcs=3" in command else 0
            assert done.returncode == expected, done.stderr
            if command is TRAIN:
                work.append(json.loads(done.stdout)["seconds"])

        timings = side_by_side(
            {name: lambda command=command: run(command) for name, command in COMMANDS.items()}, rounds=rounds, warmup=1
        )
    row = as_row(timings) | {
        "work_of_train_zoo_median_ms": round(statistics.median(work) * 1e3, 1),
        "work_of_train_zoo_worst_ms": round(max(work) * 1e3, 1),
    }
    write_result(
        "startup",
        claim="polylogit --help and wrong usage answer without torch; the work of train zoo takes under half a second.",
        rows=[row],
        quick=options.quick,
    )


if __name__ == "__main__":
    main()
