import pytest
import torch
from scipy.optimize import minimize

from polylogit.calibration.vector_scaling import PRIOR_ROWS, fit_vector_scaling
from polylogit.evaluation import ScoredRows


def biased(rows, classes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(rows, classes, generator=generator, dtype=torch.float64)
    truth = logits * torch.linspace(0.7, 1.3, classes) + torch.linspace(-1, 1, classes)
    return logits, torch.multinomial(truth.softmax(1), 1, generator=generator)[:, 0]


def test_the_scaling_is_scipys_minimum():
    logits, targets = biased(800, 4)
    fit = fit_vector_scaling(ScoredRows.check(logits, targets))

    def objective(parameters):
        scale, bias = torch.tensor(parameters).chunk(2)
        losses = torch.nn.functional.cross_entropy(logits * scale + bias, targets, reduction="sum")
        return float(losses + PRIOR_ROWS / 2 * ((scale - 1).square().sum() + bias.square().sum()))

    best = minimize(objective, [1.0] * 4 + [0.0] * 4, method="BFGS", options={"gtol": 1e-6})
    assert fit.reason is None
    assert [*fit.scaling.scale, *fit.scaling.bias] == pytest.approx(best.x.tolist(), abs=1e-4)
    assert fit.gain > 3 * fit.gain_error


def test_the_unit_of_weights_does_not_matter_and_rows_of_weight_zero_are_not_there():
    logits, targets = biased(2000, 3)
    whole = fit_vector_scaling(ScoredRows.check(logits, targets))
    heavy = fit_vector_scaling(ScoredRows.check(logits, targets, torch.full((2000,), 5.0)))
    assert [*heavy.scaling.scale, *heavy.scaling.bias] == pytest.approx(
        [*whole.scaling.scale, *whole.scaling.bias], rel=1e-9
    )
    half = (torch.arange(2000) % 2).double()
    assert fit_vector_scaling(ScoredRows.check(logits, targets, half)) == fit_vector_scaling(
        ScoredRows.check(logits[1::2], targets[1::2])
    )


def test_heavier_rows_count_more():
    logits, targets = biased(2000, 3)
    favoured = fit_vector_scaling(ScoredRows.check(logits, targets, 1.0 + 3.0 * (targets == 0))).scaling
    whole = fit_vector_scaling(ScoredRows.check(logits, targets)).scaling
    assert favoured.bias[0] - favoured.bias[1] > whole.bias[0] - whole.bias[1] + 0.5


@pytest.mark.parametrize("seed", range(5))
def test_calibrated_logits_are_left_as_they_are(draw, seed):
    fit = fit_vector_scaling(ScoredRows.check(*draw(1000, 5, seed=seed, sharpness=1.0)))
    assert "more than one standard error" in fit.reason
    assert fit.scaling is None


def test_few_rows_are_not_enough():
    logits, targets = biased(39, 4)
    assert "39 rows were held out" in fit_vector_scaling(ScoredRows.check(logits, targets)).reason
