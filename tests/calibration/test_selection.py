import pytest
import torch

from polylogit.calibration import fit_calibration, fit_temperature
from polylogit.calibration.candidates import CANDIDATES, candidates_for
from polylogit.evaluation import summarise_logits


@pytest.fixture(scope="module")
def biased():
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(2000, 4, generator=generator)
    truth = logits + torch.tensor([0.0, 0.5, -0.5, 1.0])
    return 1.5 * logits, torch.multinomial(truth.softmax(1), 1, generator=generator)[:, 0]


@pytest.mark.parametrize("seed", range(5))
def test_calibrated_logits_get_no_calibration(draw, seed):
    fit = fit_calibration(*draw(400, 3, seed=seed, sharpness=1.0))
    if fit.method != "none":  # one standard error: some draws pass by chance, and then little is changed
        assert fit.calibration.temperature == pytest.approx(1.0, abs=0.25)
    else:
        assert fit.calibration.is_identity
        assert fit.log_loss_after == fit.log_loss_before
        assert fit.reason


def test_no_calibration_is_the_usual_choice_for_calibrated_logits(draw):
    methods = [fit_calibration(*draw(400, 3, seed=seed, sharpness=1.0)).method for seed in range(20)]
    assert methods.count("none") >= 15


def test_the_temperature_alone_where_it_is_enough(draw):
    logits, targets = draw(2000, 4)
    fit = fit_calibration(logits, targets)
    assert fit.method == "temperature"
    assert fit.calibration.temperature == pytest.approx(fit_temperature(logits, targets).temperature, rel=0.01)
    assert fit.calibration.structured_scaling is None
    assert fit.chosen.gain > fit.chosen.gain_error


def test_structured_scaling_is_chosen_where_classes_are_favoured(biased):
    logits, targets = biased
    fit = fit_calibration(logits, targets, method="vector")
    assert fit.method == "structured vector scaling"
    after = summarise_logits(fit.calibration.apply(logits), targets).log_loss
    assert after < fit_calibration(logits, targets, method="temperature").log_loss_after - 0.05
    assert after < fit.log_loss_after + 1e-3


def test_matrix_scaling_is_chosen_where_classes_are_confused():
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(4000, 3, generator=generator)
    mixing = torch.tensor([[1.0, 0.8, 0.0], [-0.5, 1.0, 0.0], [0.0, 0.6, 1.0]])
    truth = logits.log_softmax(1) @ mixing.T
    targets = torch.multinomial(truth.softmax(1), 1, generator=generator)[:, 0]
    assert fit_calibration(logits, targets).method == "structured matrix scaling"


def test_a_quadratic_map_corrects_smoothed_labels():
    generator = torch.Generator().manual_seed(0)
    truth = (4 * torch.randn(4000, 10, generator=generator)).softmax(1)
    targets = torch.multinomial(truth, 1, generator=generator)[:, 0]
    smoothed = (0.9 * truth + 0.01).log()
    fit = fit_calibration(smoothed, targets, method="temperature")
    assert "quadratic map" in fit.method
    calibrated = summarise_logits(fit.calibration.apply(smoothed), targets)
    scaled = summarise_logits(smoothed / fit_temperature(smoothed, targets).temperature, targets)
    assert calibrated.log_loss < scaled.log_loss - 0.01
    assert calibrated.calibration_error < scaled.calibration_error


def test_confident_mistakes_raise_the_uniform_share_and_not_the_temperature():
    generator = torch.Generator().manual_seed(0)
    logits = 5 * torch.randn(3000, 5, generator=generator)
    targets = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    wrong = torch.rand(3000, generator=generator) < 0.03
    targets = torch.where(wrong, torch.randint(5, (3000,), generator=generator), targets)
    alone, fit = fit_temperature(logits, targets), fit_calibration(logits, targets, method="temperature")
    assert fit.method == "temperature and uniform mixing"
    assert alone.temperature > 1.2
    assert fit.calibration.temperature < 1.1
    assert 0.02 < fit.calibration.uniform_share < 0.05


def test_the_gain_is_measured_on_rows_that_the_candidate_was_not_fitted_to():
    """Labels that are pure noise: fitted and evaluated on the same rows every map would seem to help."""
    generator = torch.Generator().manual_seed(0)
    logits = 0.05 * torch.randn(300, 6, generator=generator)
    targets = torch.randint(6, (300,), generator=generator)
    fit = fit_calibration(logits, targets)
    gains = {score.name: score.gain for score in fit.candidates}
    assert gains["structured vector scaling"] < 0
    assert fit.method == "none"


def test_rows_that_are_all_right_get_a_finite_temperature():
    logits = 2 * torch.eye(3).repeat(40, 1) + 0.1 * torch.randn(120, 3, generator=torch.Generator().manual_seed(0))
    fit = fit_calibration(logits, torch.arange(3).repeat(40), method="temperature")
    assert fit.method == "temperature"
    assert 0.1 < fit.calibration.temperature < 1


def test_weights_count_as_repetition(biased):
    """Rows of weight zero are as if they were not there, and the unit of the weights does not matter."""
    logits, targets = biased
    half = (torch.arange(2000) % 2).double()
    weighted = fit_calibration(logits, targets, sample_weight=3 * half)
    alone = fit_calibration(logits[1::2], targets[1::2])
    assert weighted.method == alone.method
    torch.testing.assert_close(weighted.calibration.apply(logits), alone.calibration.apply(logits))


def test_groups_are_not_divided(draw):
    """Each row stands ten times: with rows of a group in several folds the noise of the labels would be learnt."""
    logits, targets = draw(60, 6, sharpness=0.2)
    groups = torch.arange(60).repeat_interleave(10)
    repeated, known = logits.repeat_interleave(10, 0), targets.repeat_interleave(10)
    name = "structured vector scaling"
    gains = [
        next(score.gain for score in fit.candidates if score.name == name)
        for fit in (fit_calibration(repeated, known), fit_calibration(repeated, known, groups=groups))
    ]
    assert gains[1] < gains[0]
    weights = torch.ones(600)
    weights[:10] = 0
    assert fit_calibration(repeated, known, groups=groups, sample_weight=weights).rows == 590


def test_few_rows_are_not_enough(draw):
    assert "40 rows were held out, and 50 are needed" in fit_calibration(*draw(40, 3)).reason


def test_the_methods_differ_in_their_candidates():
    names = {method: set(candidates_for(method, 4, 10_000.0)) for method in ("temperature", "vector", "auto")}
    assert names["auto"] == set(CANDIDATES)
    assert names["auto"] - names["vector"] == {"structured matrix scaling"}
    assert names["vector"] - names["temperature"] == {"structured vector scaling"}
    assert "structured matrix scaling" not in candidates_for("auto", 2, 10_000.0)
    assert set(candidates_for("auto", 1000, 1e6)) == names["temperature"]


def test_json_holds_the_candidates_and_the_keys_of_version_0_1(biased):
    entries = fit_calibration(*biased, method="vector").as_json()
    assert entries.keys() >= {"temperature", "curve", "floor", "vector", "rows", "log_loss_before", "log_loss_after"}
    assert entries["vector"]["scale"] == entries["structured_scaling"]["scale"]
    assert entries["candidates"][0]["name"] == "temperature"
