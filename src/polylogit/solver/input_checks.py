"""Checks of what is to be fitted: one message per fault, on every process where several fit together."""

import math
from typing import Any

import torch
from torch import Tensor

from polylogit.errors import DataError
from polylogit.plural import counted
from polylogit.solver.design_matrix import check_magnitude
from polylogit.system.processes import Processes

__all__ = ["check_input"]


def check_input(
    processes: Processes,
    features: Tensor,
    targets: Tensor,
    *,
    rows: Tensor | None,
    sample_weight: Tensor | None,
    initial: tuple[Tensor, Tensor] | None,
    options: dict[str, Any],
) -> None:
    """Check the input of `fit_softmax_regression`.

    Args:
        processes: Those that fit together.
        features: The rows of this process.
        targets: The class indices of those fitted to.
        rows: The numbers of those fitted to; None: all.
        sample_weight: Their weights; None: all ones.
        initial: Weights and intercepts to start from.
        options: The numbers that must be the same on all processes, among them "number of classes", "C", "l1",
            "tolerance" and "max_iterations".

    Raises:
        DataError: Something is out of range, or differs between processes where it must not.
    """
    classes, C, l1 = options["number of classes"], options["C"], options["l1"]
    alone = processes.size == 1

    def check() -> None:
        _check_own(features, rows, targets, classes=classes, C=C, l1=l1, sample_weight=sample_weight, alone=alone)
        _check_initial(initial, classes, features.shape[1])
        for name in ("tolerance", "max_iterations"):
            if not options[name] >= 0:
                raise DataError(f"{name}: expected a number of at least 0, got {options[name]}.")

    processes.together(check)
    if alone:
        return
    own = {"number of columns": features.shape[1], "layout of the features": str(features.layout)}
    processes.check_same(own | options | {"whether a start is given": initial is not None})
    weighted = len(targets) if sample_weight is None else int((sample_weight > 0).sum())
    if not processes.total_number(float(weighted)):
        raise DataError(
            f"sample_weight: expected a row with a weight above 0 on at least one of {processes.size} processes."
        )
    if l1:
        raise DataError(
            "l1: an L1 penalty is fitted by one process only. Take l1 = 0 (l1_ratio = 0), or start one process."
        )


def _check_own(
    features: Tensor,
    rows: Tensor | None,
    targets: Tensor,
    *,
    classes: int,
    C: float,
    l1: float,
    sample_weight: Tensor | None,
    alone: bool,
) -> None:
    """Check what is to be fitted; one message per fault. One process of several may have no rows."""
    if features.ndim != 2 or 0 in (features.shape if alone else features.shape[1:]):
        raise DataError(f"features: expected a matrix (rows, columns) of numbers, got shape {tuple(features.shape)}.")
    if features.layout not in {torch.strided, torch.sparse_csr}:
        raise DataError(f"features: expected a dense or CSR matrix, got layout {features.layout}.")
    check_magnitude(features)
    count = features.shape[0] if rows is None else len(rows)
    if targets.shape != (count,):
        raise DataError(
            f"targets: expected one class index for each of {counted(count, 'row')}, got shape {tuple(targets.shape)}."
        )
    if len(targets) and (int(targets.min()) < 0 or int(targets.max()) >= classes):
        raise DataError(
            f"targets: expected class indices 0 to {classes - 1}, got {int(targets.min())} to {int(targets.max())}."
        )
    if not C > 0:
        raise DataError(f"C: expected a positive number (inf is no penalty), got {C}.")
    if not 0 <= l1 < math.inf:
        raise DataError(f"l1: expected a finite number of at least 0, got {l1}.")
    if sample_weight is not None and (
        sample_weight.shape != targets.shape
        or not bool((sample_weight >= 0).all())
        or not bool(torch.isfinite(sample_weight).all())
        or (alone and not bool((sample_weight > 0).any()))
    ):
        raise DataError("sample_weight: expected one finite weight >= 0 for each row, and not all of them 0.")


def _check_initial(initial: tuple[Tensor, Tensor] | None, classes: int, columns: int) -> None:
    """Check the start: shapes and finite values."""
    if initial is None:
        return
    for name, values, shape in zip(("weights", "intercepts"), initial, ((classes, columns), (classes,)), strict=True):
        if tuple(values.shape) != shape:
            raise DataError(f"initial {name}: expected shape {shape}, got {tuple(values.shape)}.")
        if not bool(torch.isfinite(values).all()):
            place = tuple(int(index) for index in torch.nonzero(~torch.isfinite(values))[0])
            raise DataError(
                f"initial {name}, entry {list(place)}: expected a finite number, got {values[place].item()}. "
                "Leave out the start, or take that of a fit that converged."
            )
