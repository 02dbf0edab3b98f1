import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from polylogit.solver import newton
from polylogit.solver.softmax_regression import fit_softmax_regression


def test_each_step_descends_until_the_tolerance(made_problem, minimised):
    solver, objectives = minimised(made_problem())
    assert solver.stop_reason() == "tolerance"
    assert len(objectives) > 2
    assert objectives == sorted(objectives, reverse=True)


def test_a_tolerance_beyond_rounding_ends_and_says_so(made_problem, minimised):
    solver, _ = minimised(made_problem(), tolerance=0.0)
    assert solver.stop_reason() == "rounding" or solver.gap == 0.0


def test_logits_that_are_carried_along_stay_those_of_the_weights(made_problem, minimised):
    solver, _ = minimised(made_problem(), tolerance=1e-12)
    fresh = solver.problem.design.logits(solver.weight, torch.float64)
    assert solver.objective == pytest.approx(solver.problem.objective(solver.weight, fresh), rel=1e-13)


def test_many_rows_start_from_some_and_reach_the_same_optimum():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(60_000, 8, generator=generator, dtype=torch.float32)
    targets = (rows @ torch.randn(8, 3, generator=generator) + torch.randn(60_000, 3, generator=generator)).argmax(1)
    first: list[float] = []
    many = fit_softmax_regression(
        rows, targets, classes=3, tolerance=1e-8, on_iteration=lambda record: first.append(record.objective)
    )
    from_zeros = fit_softmax_regression(
        rows, targets, classes=3, tolerance=1e-8, initial=(torch.zeros(3, 8), torch.zeros(3))
    )
    torch.testing.assert_close(many.weight, from_zeros.weight, atol=1e-3, rtol=0)
    assert many.objective == pytest.approx(from_zeros.objective, rel=2e-8)
    assert first[0] < 1.02 * many.objective


@pytest.mark.skipif(os.name != "posix", reason="SIGINT is sent the POSIX way")
def test_the_interrupt_key_ends_a_fit_with_the_point_so_far():
    program = Path(__file__).with_name("interrupted_fit.py")
    with subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            last = line.strip()
            if last == "2":  # once in each fit, for a signal may come when a fit has just ended
                process.send_signal(signal.SIGINT)
    assert process.returncode == 0
    word, objective, message = last.split(" ", 2)
    assert word == "stopped"
    assert float(objective) < torch.log(torch.tensor(8.0))
    assert "stopped by an interrupt" in message


def test_the_last_step_proves_itself_without_another_gradient(made_problem, minimised):
    problem = made_problem(C=1e5)
    solver, _ = minimised(problem, tolerance=1e-3)
    fresh = solver.problem.design.logits(solver.weight, torch.float64)
    gradient = problem.residual_sums(torch.softmax(fresh, 0)) + problem.penalty * solver.weight
    assert solver.stop_reason() == "tolerance"
    # By its gradient alone the point would not be known to be this good.
    assert float(gradient.square().sum()) / (2 * problem.ridge) > solver.tolerance * solver.objective
    further, _ = minimised(problem, tolerance=1e-12)
    assert 0 <= solver.objective - further.objective <= solver.gap * further.objective


def test_a_step_that_falls_short_of_its_promise_is_searched_and_the_optimum_is_the_same(
    made_problem, minimised, monkeypatch
):
    expected, _ = minimised(made_problem(), tolerance=1e-9)
    monkeypatch.setattr(newton, "_TRUSTED", math.inf)
    monkeypatch.setattr(newton, "_AS_PROMISED", 1e3)
    searched = []
    search = newton.step_length

    def counted(*arguments):
        searched.append(search(*arguments))
        return searched[-1]

    monkeypatch.setattr(newton, "step_length", counted)
    solver, objectives = minimised(made_problem(), tolerance=1e-9)
    assert solver.stop_reason() == "tolerance"
    assert len(searched) == solver.iteration
    assert objectives == sorted(objectives, reverse=True)
    assert solver.objective == pytest.approx(expected.objective, rel=1e-9)


def test_where_no_step_is_left_the_fit_ends_and_does_not_run_to_the_limit():
    generator = torch.Generator().manual_seed(0)
    rows = 1e4 * torch.randn(100, 60, generator=generator)
    targets = torch.randint(5, (100,), generator=generator)
    fit = fit_softmax_regression(rows, targets, classes=5, C=1e6)
    assert fit.stop_reason == "separable"
    assert fit.iterations < 20
