"""Fits by several processes, each with some of the rows: run by `test_several_processes.py`, one process a rank.

Usage: python several_processes.py RANK SIZE STORE RESULTS
"""

import json
import sys
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from scipy.sparse import csr_array

from polylogit.errors import DataError
from polylogit.solver.softmax_regression import fit_softmax_regression
from polylogit.system.csr_tensor import csr_tensor


def problem(rows=400, columns=6, classes=3, *, seed=0):
    """Rows, class indices and weights, the same wherever they are made."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    logits = features @ torch.randn(columns, classes, generator=generator, dtype=torch.float64)
    targets = (logits + 2 * torch.randn(logits.shape, generator=generator)).argmax(1)
    return features, targets, torch.rand(rows, generator=generator, dtype=torch.float64)


def _csr(rows):
    stored = csr_array(rows.numpy())
    return csr_tensor(
        torch.from_numpy(stored.indptr),
        torch.from_numpy(stored.indices),
        torch.from_numpy(stored.data),
        tuple(rows.shape),
    )


def _one_class_a_process():
    features, targets, _ = problem()
    order = targets.argsort(stable=True)
    return features[order], targets[order], int((targets == 0).sum()), {}


def _zero_column():
    features, targets, _ = problem()
    features[:150, 2] = 0
    return features, targets, 150, {}


def _mostly_zero(features, targets, _):
    return torch.where(features.abs() > 1, features, 0), targets, 150, {}


def _very_many_classes():
    features, targets, _ = problem(3000, 4, 300)
    targets[:300] = torch.arange(300)
    return features, targets, 1000, {}


def _many_rows(rows):
    features, targets, _ = problem(rows, 5, 4)
    return features.float(), targets, len(features) // 3, {}


_MADE = {
    "plain": lambda: (*problem()[:2], 150, {}),
    "weights": lambda: (*problem()[:2], 150, {"sample_weight": problem()[2]}),
    "no rows on the first": lambda: (*problem()[:2], 0, {}),
    "no rows on the last": lambda: (*problem()[:2], 400, {}),
    "one class a process": _one_class_a_process,
    "zero column": _zero_column,
    "conjugate gradients": lambda: (*problem(900, 40, 12)[:2], 150, {}),
    "no rows on the first, conjugate gradients": lambda: (*problem(900, 40, 12)[:2], 0, {}),
    "many rows, sampled everywhere": lambda: _many_rows(80_000),
    "many rows, sampled by each": lambda: _many_rows(45_000),
    "sparse": lambda: _mostly_zero(*problem()),
    "sparse, conjugate gradients": lambda: _mostly_zero(*problem(900, 40, 12)),
    "fewer rows than columns": lambda: (*problem(40, 100)[:2], 15, {}),
    "no penalty": lambda: (*problem()[:2], 150, {"C": torch.inf}),
    "no penalty, conjugate gradients": lambda: (*problem(900, 40, 3)[:2], 150, {"C": torch.inf}),
    "absent class": lambda: (*problem()[:2], 150, {"classes": 5}),
    "very many classes": _very_many_classes,
    "no intercept": lambda: (*problem()[:2], 150, {"fit_intercept": False}),
}

CASES = tuple(_MADE)


def _case(name):
    """Features, targets, how many rows the first process has, and options."""
    features, targets, first, options = _MADE[name]()
    return features, targets, first, {"classes": int(targets.max()) + 1, "tolerance": 1e-8} | options


def fitted(name, rank=0, group=None, **others):
    """The fit of a case by the processes of a group, or by this process alone, as plain numbers."""
    features, targets, first, options = _case(name)
    options |= others
    if group is not None:
        own = slice(0, first) if rank == 0 else slice(first, len(features))
        features, targets = features[own], targets[own]
        if "sample_weight" in options:
            options["sample_weight"] = options["sample_weight"][own]
    if name.startswith("sparse"):
        features = _csr(features)
    fit = fit_softmax_regression(features, targets, process_group=group, **options)
    return {
        "weight": fit.weight.tolist(),
        "bias": fit.bias.tolist(),
        "objective": fit.objective,
        "gap": fit.optimality_gap,
        "reason": fit.stop_reason,
        "iterations": fit.iterations,
    }


def _faults(rank, group):
    """The messages of fits that cannot be."""
    features, targets, weights = problem(60)
    broken = features.clone()
    broken[7, 3] = torch.nan
    huge = torch.full_like(targets, 9)
    attempts = {
        "columns": lambda: fit_softmax_regression(features[:, : 6 - rank], targets, classes=3, process_group=group),
        "nan": lambda: fit_softmax_regression(
            broken if rank == 1 else features, targets, classes=3, process_group=group
        ),
        "index": lambda: fit_softmax_regression(
            features, huge if rank == 1 else targets, classes=3, process_group=group
        ),
        "C": lambda: fit_softmax_regression(features, targets, classes=3, C=1.0 + rank, process_group=group),
        "l1": lambda: fit_softmax_regression(features, targets, classes=3, l1=0.1, process_group=group),
        "weights": lambda: fit_softmax_regression(
            features, targets, classes=3, sample_weight=0 * weights, process_group=group
        ),
    }
    messages = {}
    for name, attempt in attempts.items():
        try:
            attempt()
            messages[name] = "no error"
        except DataError as error:
            messages[name] = str(error)
    return messages


def _sums_over_processes(rank, group):
    """How many sums and broadcasts the fits to many rows take, at the tolerance that the sample is fitted to."""
    count = 0

    def counted(collective):
        def call(*arguments, **options):
            nonlocal count
            count += 1
            return collective(*arguments, **options)

        return call

    plain = dist.all_reduce, dist.broadcast
    dist.all_reduce, dist.broadcast = map(counted, plain)
    counts = {}
    for name in CASES:
        if name.startswith("many rows"):
            count = 0
            fitted(name, rank, group, tolerance=1e-3)
            counts[name] = count
    dist.all_reduce, dist.broadcast = plain
    return counts


def main():
    """Fit all cases as one process of several."""
    rank, size, store, results = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=size, timeout=timedelta(seconds=60)
    )
    found = {name: fitted(name, rank, dist.group.WORLD) for name in CASES}
    found["sums"] = _sums_over_processes(rank, dist.group.WORLD)
    found["faults"] = _faults(rank, dist.group.WORLD)
    results.write_text(json.dumps(found))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
