import pytest

from polylogit.report.numbers import percent


@pytest.mark.parametrize(
    ("share", "told"),
    [(0.0, "0%"), (1.0, "100%"), (0.5, "50%"), (0.8914, "89.1%"), (0.9999, ">99.9%"), (1e-6, "<0.1%"), (None, "–")],
)
def test_percent(share, told):
    assert percent(share) == told
