import pytest
import torch

from polylogit.calibration import Calibration, QuadraticMap, StructuredScaling, VectorScaling

LOGITS = torch.randn(40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

PARTS = {
    "quadratic": QuadraticMap(slope=0.8, curvature=0.1),
    "temperature": 1.7,
    "vector_scaling": VectorScaling((1.0, 0.9, 1.2), (0.0, 0.3, -0.1)),
    "structured_scaling": StructuredScaling(
        (1.1, 1.0, 0.9), (0.0, 0.1, 0.2), ((0.0, 0.1, 0.0), (0.0, 0.0, 0.2), (0.3, 0.0, 0.0))
    ),
    "uniform_share": 0.05,
}


def test_the_default_is_the_identity():
    assert Calibration().is_identity
    assert torch.equal(Calibration().apply(LOGITS), LOGITS)
    assert Calibration().in_words() == []
    assert Calibration().as_header() == {"temperature": 1.0}


@pytest.mark.parametrize("name", PARTS)
def test_each_part_counts_alone(name):
    calibration = Calibration(**{name: PARTS[name]})
    assert not calibration.is_identity
    assert not torch.allclose(calibration.apply(LOGITS).softmax(1), LOGITS.softmax(1))
    assert len(calibration.in_words()) == 1
    assert Calibration.from_header(calibration.as_header()) == calibration


def test_the_parts_are_applied_in_the_order_of_the_fields():
    scores = LOGITS.log_softmax(1)
    curved = (0.8 * scores - 0.1 * scores**2) / 1.7
    scaled = curved * torch.tensor([1.0, 0.9, 1.2]) + torch.tensor([0.0, 0.3, -0.1])
    structured = PARTS["structured_scaling"].apply(scaled)
    expected = 0.95 * structured.softmax(1) + 0.05 / 3
    torch.testing.assert_close(Calibration(**PARTS).apply(LOGITS).softmax(1), expected, rtol=0, atol=1e-7)


def test_json_has_every_key_whatever_is_applied():
    assert Calibration().as_json().keys() == Calibration(**PARTS).as_json().keys()
    assert Calibration(**PARTS).as_json()["vector_scaling"] == {"scale": [1.0, 0.9, 1.2], "bias": [0.0, 0.3, -0.1]}


def test_the_order_of_the_classes_stays_without_scaling_of_classes():
    keeping = Calibration(PARTS["quadratic"], 1.7, uniform_share=0.05)
    assert torch.equal(keeping.apply(LOGITS).argsort(1), LOGITS.argsort(1))
