import dataclasses

import pytest
import torch

from polylogit.calibration import Calibration, fit_calibration, fit_temperature
from polylogit.calibration.uniform_mixing import mix_with_uniform
from polylogit.evaluation import summarise_logits


@pytest.fixture(scope="module")
def biased():
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(2000, 4, generator=generator)
    truth = logits + torch.tensor([0.0, 0.5, -0.5, 1.0])
    return 1.5 * logits, torch.multinomial(truth.softmax(1), 1, generator=generator)[:, 0]


def test_calibrated_up_to_a_temperature_gets_the_temperature_alone(draw):
    logits, targets = draw(500, 4)
    fit = fit_calibration(logits, targets, method="temperature")
    alone = fit_temperature(logits, targets)
    assert fit.calibration == Calibration(temperature=alone.temperature)
    assert (fit.rows, fit.log_loss_before, fit.vector) == (500, alone.log_loss_before, None)
    assert fit.log_loss_after == pytest.approx(alone.log_loss_after, abs=1e-12)


def test_vector_scaling_is_accepted_where_it_helps(biased):
    logits, targets = biased
    fit = fit_calibration(logits, targets, method="vector")
    scaling = fit.calibration.vector_scaling
    assert scaling == fit.vector.scaling
    scaled = logits / fit.calibration.temperature * torch.tensor(scaling.scale) + torch.tensor(scaling.bias)
    assert summarise_logits(scaled, targets).log_loss == pytest.approx(fit.log_loss_after, abs=1e-5)
    assert fit.log_loss_after < fit_calibration(logits, targets, method="temperature").log_loss_after - 0.05


def test_where_scaling_does_not_help_the_rest_is_as_without_it(draw):
    logits, targets = draw(500, 4)
    with_vector, without = (fit_calibration(logits, targets, method=method) for method in ("vector", "temperature"))
    assert dataclasses.replace(with_vector, vector=None) == without
    assert "more than one standard error" in with_vector.vector.reason


def test_a_quadratic_map_corrects_smoothed_labels():
    generator = torch.Generator().manual_seed(0)
    truth = (4 * torch.randn(4000, 10, generator=generator)).softmax(1)
    targets = torch.multinomial(truth, 1, generator=generator)[:, 0]
    smoothed = (0.9 * truth + 0.01).log()
    alone, fit = fit_temperature(smoothed, targets), fit_calibration(smoothed, targets, method="temperature")
    assert fit.calibration.temperature == pytest.approx(alone.temperature, rel=0.02)
    calibrated = summarise_logits(fit.calibration.apply(smoothed), targets)
    assert calibrated.log_loss == pytest.approx(fit.log_loss_after, abs=1e-5)
    sharpened = summarise_logits(smoothed / alone.temperature, targets)
    assert calibrated.log_loss < sharpened.log_loss - 0.01
    assert calibrated.calibration_error < sharpened.calibration_error


def test_confident_mistakes_raise_the_uniform_share_and_not_the_temperature():
    generator = torch.Generator().manual_seed(0)
    logits = 5 * torch.randn(3000, 5, generator=generator)
    targets = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    wrong = torch.rand(3000, generator=generator) < 0.03
    targets = torch.where(wrong, torch.randint(5, (3000,), generator=generator), targets)
    alone, fit = fit_temperature(logits, targets), fit_calibration(logits, targets, method="temperature")
    assert alone.temperature > 1.2
    assert fit.calibration.temperature < 1.1
    softened = summarise_logits(logits / alone.temperature, targets)
    floored = summarise_logits(
        mix_with_uniform(logits / fit.calibration.temperature, fit.calibration.uniform_share), targets
    )
    assert floored.log_loss == pytest.approx(fit.log_loss_after, abs=1e-5)
    assert floored.log_loss < softened.log_loss
    assert floored.calibration_error < softened.calibration_error
