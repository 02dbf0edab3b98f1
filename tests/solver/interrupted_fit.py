"""A fit that never reaches its tolerance, in a process of its own: it says where it stands once it has been stopped."""

import sys

import torch

from polylogit.solver.softmax_regression import IterationRecord, fit_softmax_regression


def tell(record: IterationRecord) -> None:
    sys.stdout.write(f"{record.iteration}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rows = torch.randn(20_000, 40, dtype=torch.float64)
    targets = (rows @ torch.randn(40, 8, dtype=torch.float64)).argmax(1)
    while True:  # a fit may end between two signals
        fit = fit_softmax_regression(rows, targets, classes=8, C=1e9, tolerance=0.0, on_iteration=tell)
        if "interrupt" in fit.message:
            sys.stdout.write(f"stopped {fit.objective} {fit.message}\n")
            sys.exit(0)
