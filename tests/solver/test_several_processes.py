"""A fit by several processes is the fit by one: same optimum, same certificate, same result on every process."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from several_processes import CASES, fitted

PROGRAM = Path(__file__).with_name("several_processes.py")


@pytest.fixture(scope="module")
def by_two(tmp_path_factory):
    """What two processes found, in the order of their ranks."""
    folder = tmp_path_factory.mktemp("processes")
    running = [
        subprocess.Popen(
            [sys.executable, str(PROGRAM), str(rank), "2", str(folder / "store"), str(folder / f"{rank}.json")],
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        for process in running:
            _, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors
    finally:
        for process in running:
            process.kill()
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize("name", CASES)
def test_the_optimum_is_that_of_one_process(by_two, name):
    first, second = (found[name] for found in by_two)
    alone = fitted(name)
    assert first == second  # to the bit, the certificate included
    assert first["reason"] == alone["reason"] == "tolerance"
    assert first["gap"] <= 1e-8
    assert math.isclose(first["objective"], alone["objective"], rel_tol=2e-8)
    # F is strongly convex where there is a penalty: points within a relative gap of 1e-8 are close
    torch.testing.assert_close(torch.tensor(first["weight"]), torch.tensor(alone["weight"]), rtol=1e-3, atol=1e-3)


def test_a_sample_that_is_everywhere_is_solved_without_sums_over_processes(by_two):
    many, fewer = (by_two[0]["sums"][f"many rows, sampled {where}"] for where in ("everywhere", "by each"))
    assert 2 * many < fewer


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("columns", "number of columns: expected the same on all 2 processes, got 6 on process 0 and 5 on process 1"),
        ("nan", "process 1 of 2: features, row 7, column 3: expected a finite number, got nan"),
        ("index", "process 1 of 2: targets: expected class indices 0 to 2, got 9 to 9"),
        ("C", "C: expected the same on all 2 processes, got 1.0 on process 0 and 2.0 on process 1"),
        ("l1", "an L1 penalty is fitted by one process only"),
        ("weights", "sample_weight: expected a row with a weight above 0 on at least one of 2 processes"),
    ],
)
def test_a_fault_of_one_process_is_an_error_on_all(by_two, fault, message):
    assert all(message in found["faults"][fault] for found in by_two)
