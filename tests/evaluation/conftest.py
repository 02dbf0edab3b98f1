"""Drawn rows for the judgement's tests: logits that are right more often than not, and too sure."""

import pytest
import torch


@pytest.fixture
def draw():
    def of(rows, classes, seed=0, sharpness=2.0):
        generator = torch.Generator().manual_seed(seed)
        logits = torch.randn(rows, classes, generator=generator, dtype=torch.float64)
        targets = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
        return sharpness * logits, targets

    return of


@pytest.fixture
def whole_weights():
    """Whole-numbered weights, some zero: weighting must equal repeating the rows."""

    def of(rows, seed=0):
        return torch.randint(0, 4, (rows,), generator=torch.Generator().manual_seed(seed))

    return of
