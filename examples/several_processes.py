"""Softmax regression by several processes, each with rows of its own: the model of all rows, to a certified gap.

    torchrun --standalone --nproc-per-node 2 several_processes.py

On several machines the command is the same on each, with torchrun's --nnodes and --rdzv-endpoint in place of
--standalone.
"""

import numpy as np
import torch.distributed

from polylogit import SoftmaxRegression

ROWS, COLUMNS, CLASSES = 100_000, 20, 5


def rows_of(part: int, parts: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows of one process; a job of your own reads its files here."""
    weight = np.random.default_rng(0).normal(size=(COLUMNS, CLASSES))
    draw = np.random.default_rng(1 + part)
    features = draw.normal(size=(ROWS // parts, COLUMNS))
    return features, (features @ weight + draw.gumbel(size=(len(features), CLASSES))).argmax(1)


def main() -> None:
    """Fit together, and let the first process say what came out."""
    torch.distributed.init_process_group("gloo")
    rank, size = torch.distributed.get_rank(), torch.distributed.get_world_size()
    X, y = rows_of(rank, size)
    model = SoftmaxRegression(process_group="world").fit(X, y)
    if rank == 0:
        new, truth = rows_of(size, 10 * size)  # no process has fitted to these
        print(f"{size} processes, {size * len(y):,} rows: certified gap {model.optimality_gap_:.1e}")
        print(f"{len(truth):,} other rows: accuracy {model.score(new, truth):.3f}")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
