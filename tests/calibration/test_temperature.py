import pytest
import torch
from scipy.optimize import minimize_scalar
from sklearn.metrics import log_loss

from polylogit.calibration import fit_temperature


@pytest.mark.parametrize("sharpness", [0.05, 0.5, 1.0, 3.0, 40.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_temperature_is_scipys_minimum(draw, whole_weights, sharpness, weighted):
    logits, targets = draw(600, 5, sharpness=sharpness)
    weights = whole_weights(600).double() if weighted else None
    fit = fit_temperature(logits, targets, sample_weight=weights)

    def loss(log_temperature):
        probabilities = (logits / torch.tensor(log_temperature).exp()).softmax(1)
        return log_loss(targets, probabilities, labels=range(5), sample_weight=weights)

    best = minimize_scalar(loss, bounds=(-6, 6), method="bounded", options={"xatol": 1e-9})
    assert fit.fitted
    assert fit.log_loss_after == pytest.approx(best.fun, abs=1e-12)
    assert torch.tensor(fit.temperature).log().item() == pytest.approx(best.x, abs=1e-5)


def test_scaled_logits_give_a_scaled_temperature(draw):
    logits, targets = draw(300, 3)
    assert fit_temperature(100 * logits, targets).temperature == pytest.approx(
        100 * fit_temperature(logits, targets).temperature, rel=1e-8
    )


def test_weights_equal_repetition(draw, whole_weights):
    logits, targets = draw(300, 3)
    weights = whole_weights(300)
    repeated = fit_temperature(logits.repeat_interleave(weights, 0), targets.repeat_interleave(weights))
    weighted = fit_temperature(logits, targets, sample_weight=weights.double())
    assert weighted.temperature == pytest.approx(repeated.temperature, rel=1e-8)


def test_the_standard_error_is_that_of_repeated_draws(draw):
    fits = [fit_temperature(*draw(200, 4, seed=seed, sharpness=1.0)) for seed in range(80)]
    spread = torch.tensor([fit.temperature for fit in fits]).log().std().item()
    claimed = sum(fit.relative_error for fit in fits) / len(fits)
    assert claimed == pytest.approx(spread, rel=0.2)


@pytest.mark.parametrize(
    ("logits", "targets", "reason"),
    [
        (torch.eye(3)[:2], torch.tensor([0, 1]), "2 rows were held out; 50 are needed"),
        (torch.eye(3).repeat(30, 1), torch.arange(3).repeat(30), "every held-out row is right"),
        (torch.eye(3).repeat(30, 1), torch.tensor([1, 2, 0]).repeat(30), "no better than chance"),
        (torch.ones(90, 3), torch.arange(3).repeat(30), "do not distinguish the classes"),
        (
            torch.tensor([[30.0, 0.0]]).repeat(60, 1) * torch.linspace(0.01, 1, 60)[:, None],
            torch.eye(60, dtype=torch.int64)[0],
            "determine it only",
        ),
    ],
)
def test_rows_that_do_not_suffice_leave_the_temperature_at_one(logits, targets, reason):
    fit = fit_temperature(logits, targets)
    assert fit.temperature == 1.0
    assert not fit.fitted
    assert reason in fit.reason
    assert fit.log_loss_after == fit.log_loss_before


def test_weights_that_rest_on_few_rows_do_not_suffice(draw):
    logits, targets = draw(400, 3)
    weights = torch.full((400,), 1e-6)
    weights[:10] = 1
    assert "10 rows were held out" in fit_temperature(logits, targets, sample_weight=weights).reason
