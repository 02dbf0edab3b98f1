import pytest

from polylogit.report.numbers import counted, percent


@pytest.mark.parametrize(
    ("share", "told"),
    [(0.0, "0%"), (1.0, "100%"), (0.5, "50%"), (0.8914, "89.1%"), (0.9999, ">99.9%"), (1e-6, "<0.1%"), (None, "–")],
)
def test_percent(share, told):
    assert percent(share) == told


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 classes"), (1, "1 class"), (2, "2 classes"), (12345, "12,345 classes"), (2.5, "2.5 classes")],
)
def test_counted(count, text):
    assert counted(count, "class", "classes") == text
