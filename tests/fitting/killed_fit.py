"""The fits that test_checkpoint kills, each in a process of its own.

    killed_fit.py FOLDER MOMENT ...    forks a fit for each moment and kills it (SIGKILL) then; a fit goes on from the
                                       checkpoint in FOLDER. The last fit runs to its end.

A moment is a number of seconds after a new checkpoint stands there, or the word "writing": while one is written. Torch
is imported once and first used after the fork, so that no thread of its own is lost. Prints how each fit ended.
"""

import os
import signal
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import save_file

from polylogit.fitting.checkpoint import Checkpoint
from polylogit.fitting.loop import fit_network
from polylogit.fitting.options import TrainingOptions
from polylogit.networks import CnnNetwork


def fit(folder: Path) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = CnnNetwork(1, 8, 8, 3, widths=(8, 8, 8), dropout=0.2)
    generator = torch.Generator().manual_seed(1)
    fit_network(
        network,
        torch.randn(256, 1, 8, 8, generator=generator),
        torch.randint(3, (256,), generator=generator),
        options=TrainingOptions(epochs=24, batch_size=32, learning_rate=0.01, averaging=0.9),
        checkpoint=Checkpoint(folder / "checkpoint.safetensors", "killed", resume=True, share=1e9),
    )
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(state, folder / "weights.safetensors")


def written(checkpoint: Path) -> int | None:
    return checkpoint.stat().st_ino if checkpoint.exists() else None


def wait_for(moment: str, checkpoint: Path) -> None:
    before = written(checkpoint)
    while written(checkpoint) == before:
        time.sleep(0.001)
    if moment == "writing":
        while not any(checkpoint.parent.glob("*.part")) and not any(checkpoint.parent.glob(".*.part")):
            pass
    else:
        time.sleep(float(moment))


def main(folder: Path, moments: list[str]) -> None:
    torch.optim.SGD([torch.empty(1)])  # the first optimiser of a process loads much of torch: once is enough
    for moment in (*moments, None):
        child = os.fork()
        if child == 0:
            fit(folder)
            os._exit(0)
        if moment is not None:
            wait_for(moment, folder / "checkpoint.safetensors")
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
