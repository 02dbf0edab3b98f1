import math

import pytest
from matplotlib.ticker import MaxNLocator

from polylogit.report.chart import Axis, around


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-0.02, 1.03), (0.97, 1.0018), (0.3, 0.4), (-250, 1e6), (0, 1e-3)])
def test_ticks_are_round_numbers_within_the_ends(low, high):
    axis = Axis("x", low, high)
    values = [value for value, _ in axis.ticks()]
    assert 2 <= len(values) <= 7
    peer = MaxNLocator(nbins=6, steps=[1, 2, 5, 10]).tick_values(low, high)
    assert values == pytest.approx(
        [value for value in peer if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)], abs=1e-12
    )
    assert [float(text.replace(",", "")) for _, text in axis.ticks()] == pytest.approx(values, abs=1e-12)


def test_whole_numbers_have_whole_ticks():
    assert [text for _, text in Axis("epoch", 0.9, 2.1, "whole").ticks()] == ["1", "2"]
    assert [text for _, text in Axis("epoch", 0, 3000, "whole").ticks(3)] == ["0", "1,000", "2,000", "3,000"]


def test_shares_below_the_line_count_downwards():
    assert [text for _, text in Axis("share", -0.4, 0.4, "percent").ticks(4)] == ["40%", "20%", "0%", "20%", "40%"]
    assert [text for _, text in Axis("share", 0.991, 1, "percent").ticks(3)] == ["99.5%", "100.0%"]


def test_decades_are_thinned_where_there_are_many():
    axis = Axis("gap", 1e-9, 0.3, "power")
    assert [text for _, text in axis.ticks()] == ["1e-09", "1e-07", "1e-05", "1e-03", "1e-01"]
    assert axis.place(1e-9) == 0
    assert axis.place(math.sqrt(1e-9 * 0.3)) == pytest.approx(0.5)


def test_ends_are_never_the_same():
    for values in ([0.0], [3.0, 3.0], [-1.0, 4.0]):
        low, high = around(values)
        assert low < min(values) <= max(values) < high
