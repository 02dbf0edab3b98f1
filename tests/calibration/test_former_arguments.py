from dataclasses import replace

import pytest

from polylogit.calibration import Calibration
from polylogit.calibration.quadratic import QuadraticMap
from polylogit.errors import PolylogitWarning


def test_a_classifier_takes_the_arguments_of_version_0_1(zoo_run):
    classifier = replace(zoo_run.classifier, calibration=Calibration())
    with pytest.warns(PolylogitWarning, match=r"calibration=Calibration\(temperature=..., quadratic=..."):
        former = replace(classifier, temperature=1.5, curve=QuadraticMap(1.2, 0.1))
    assert former.calibration == Calibration(QuadraticMap(1.2, 0.1), temperature=1.5)


def test_a_former_argument_changes_its_own_part_only(zoo_run):
    mixed = replace(zoo_run.classifier, calibration=Calibration(uniform_share=0.1))
    with pytest.warns(PolylogitWarning):
        former = replace(mixed, temperature=2.0)
    assert former.calibration == Calibration(temperature=2.0, uniform_share=0.1)


def test_an_unknown_argument_is_still_refused(zoo_run):
    with pytest.raises(TypeError, match="warmth"):
        replace(zoo_run.classifier, warmth=2.0)
