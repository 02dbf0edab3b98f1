"""A small softmax problem, and its descent by conjugate gradients."""

import pytest
import torch

from polylogit.fitting.convex_descent import Descent
from polylogit.fitting.convex_design import DenseDesign
from polylogit.fitting.convex_problem import Problem


def _made(rows=400, columns=6, classes=3, C=10.0):
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    logits = X @ torch.randn(columns, classes, generator=generator, dtype=torch.float64)
    targets = (logits + torch.randn(logits.shape, generator=generator)).argmax(1)
    penalty = torch.full((columns + 1,), 1 / (C * rows), dtype=torch.float64)
    penalty[-1] = 0
    omega = torch.full((rows,), 1 / rows, dtype=torch.float64)
    return Problem(DenseDesign(X, intercept=True, working=torch.float64), targets, omega, penalty, classes)


def _descended(problem, tolerance=1e-9):
    descent = Descent(problem, coarse=torch.float64, exact=torch.float64, tolerance=tolerance, seed=0)
    descent.place(torch.zeros(problem.classes, problem.design.columns, dtype=torch.float64))
    objectives = []
    descent.measure()
    while not descent.verdict():
        objectives.append(descent.objective)
        descent.step()
        descent.measure()
    return descent, objectives


@pytest.fixture
def made_problem():
    return _made


@pytest.fixture
def descended():
    return _descended
