import pytest

from polylogit.plural import agreeing, counted


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 classes"), (1, "1 class"), (2, "2 classes"), (1234567, "1,234,567 classes"), (2.5, "2.5 classes")],
)
def test_counted(count, text):
    assert counted(count, "class", "classes") == text


@pytest.mark.parametrize(("count", "text"), [(0, "are"), (1, "is"), (1.0, "is"), (1.5, "are"), (2, "are")])
def test_agreeing(count, text):
    assert agreeing(count, "is", "are") == text
