"""What is drawn row by row for few rows, and as normal sums for very many."""

import pytest
import torch

from polylogit.evaluation import reliability
from polylogit.evaluation.reliability import consistency_intervals, reliability_bins
from polylogit.evaluation.rows import ScoredRows
from polylogit.evaluation.smooth_calibration import (
    ROWS_DRAWN_ONE_BY_ONE,
    _binned,
    _draws_of_rows,
    _draws_of_sums,
    smooth_calibration,
)

ROWS = ROWS_DRAWN_ONE_BY_ONE + 20_000


@pytest.fixture(scope="module", params=[1.0, 1.1], ids=["calibrated", "overconfident"])
def rows(request):
    draw = torch.Generator().manual_seed(0)
    logits = 1.5 * torch.randn(ROWS, 3, generator=draw)
    targets = torch.multinomial(logits.softmax(1), 1, generator=draw)[:, 0]
    return ScoredRows.check(request.param * logits, targets, 0.2 + torch.rand(ROWS, generator=draw))


def test_sums_vary_as_those_of_rows_drawn_one_by_one(rows):
    top = rows.probabilities.max(dim=1).values
    place = (top * 8).long()
    arguments = (top, rows.hits - top, rows.weights / rows.weights.sum(), place)
    used = _binned(torch.ones_like(top), place) > 1000
    for of_rows, of_sums in zip(_draws_of_rows(*arguments), _draws_of_sums(*arguments), strict=True):
        exact, normal = of_rows[:, used], of_sums[:, used]
        error = exact.std(dim=0) / len(exact) ** 0.5
        assert ((exact.mean(dim=0) - normal.mean(dim=0)).abs() < 6 * error).all()
        assert normal.std(dim=0).numpy() == pytest.approx(exact.std(dim=0).numpy(), rel=0.3)


def test_the_verdict_on_many_rows_is_that_of_their_draws(rows, request):
    found = smooth_calibration(rows)
    assert found.miscalibrated == ("overconfident" in request.node.name)
    assert found.interval[0] <= found.error <= found.interval[1]


def test_intervals_of_large_bins_are_those_of_their_draws(rows, monkeypatch):
    found = consistency_intervals(rows)
    monkeypatch.setattr(reliability, "ROWS_OF_A_LARGE_BIN", ROWS + 1)
    drawn = consistency_intervals(rows)
    assert [one is None for one in found] == [one is None for one in drawn]
    for one, other, weight in zip(found, drawn, reliability_bins(rows).weight, strict=True):
        if one is None or weight < 1 / 15:  # small bins are drawn in both cases
            continue
        middle, width = sum(other) / 2, other[1] - other[0]
        assert sum(one) / 2 == pytest.approx(middle, abs=0.3 * width)
        assert one[1] - one[0] == pytest.approx(width, rel=0.3)
