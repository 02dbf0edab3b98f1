import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt

from polylogit.errors import DataError
from polylogit.evaluation import ScoredRows, calibration_error, evaluate_logits
from polylogit.report import (
    confident_mistakes,
    plot_confusion,
    plot_coverage,
    plot_learning_curves,
    plot_pictures,
    plot_probabilities,
    plot_reliability,
)

LOGITS = 3 * torch.randn(300, 4, generator=torch.Generator().manual_seed(0))
TARGETS = torch.multinomial((LOGITS / 3).softmax(1), 1, generator=torch.Generator().manual_seed(1))[:, 0]


@pytest.fixture(autouse=True)
def _headless():
    with mpl.rc_context({"backend": "agg"}):
        yield
    plt.close("all")


@pytest.mark.parametrize("plot", [plot_reliability, plot_coverage, plot_probabilities])
def test_it_draws_into_the_axes_it_is_given(plot):
    _, ax = plt.subplots()
    assert plot(LOGITS, TARGETS, ax=ax) is ax
    assert plot(LOGITS, TARGETS) is not ax


@pytest.mark.parametrize("plot", [plot_reliability, plot_coverage, plot_probabilities])
def test_arrays_are_drawn_as_tensors_are(plot):
    weights = torch.linspace(0, 2, 300)
    of_tensors = plot(LOGITS, TARGETS, sample_weight=weights)
    of_arrays = plot(LOGITS.numpy(), TARGETS.numpy(), sample_weight=weights.numpy())
    plotted = [[line.get_xydata().tolist() for line in ax.lines] for ax in (of_tensors, of_arrays)]
    assert plotted[0] == plotted[1]
    assert [str(patch) for patch in of_tensors.patches] == [str(patch) for patch in of_arrays.patches]


@pytest.mark.parametrize("shape", [(5, 8, 8), (5, 1, 8, 8), (5, 8, 8, 3), (5, 3, 8, 8)])
def test_pictures_of_every_shape_are_drawn(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    drawn = [ax.images[0].get_array().shape[:2] for ax in plot_pictures(pixels, list("abcde"), columns=3)]
    assert drawn == [(8, 8)] * 5


def test_what_cannot_be_drawn_is_reported():
    with pytest.raises(DataError, match="expected uint8 values"):
        plot_pictures(np.zeros((2, 8, 8)))
    with pytest.raises(DataError, match="one for each of 2 pictures, got 1"):
        plot_pictures(np.zeros((2, 8, 8), dtype=np.uint8), ["a"])
    with pytest.raises(DataError, match="none of the 0 records has a loss"):
        plot_learning_curves([])
    with pytest.raises(DataError, match=r'has "accurcy"\. Known: log loss'):
        plot_learning_curves([{"epoch": 1, "train_loss": 0.5}], "accurcy")


def test_settings_of_matplotlib_stay_as_they_were():
    before = dict(mpl.rcParams)
    plot_reliability(LOGITS, TARGETS)
    assert dict(mpl.rcParams) == before


def test_confusion_cells_carry_the_counts():
    evaluation = evaluate_logits(LOGITS, TARGETS, ["a", "b", "c", "$d$"])
    ax = plot_confusion(evaluation)
    drawn = {text.get_position(): int(text.get_text()) for text in ax.texts}
    counts = np.array(evaluation.confusion)
    assert drawn == {(column, row): counts[row, column] for row, column in np.argwhere(counts)}
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c", "$d$"]


def test_reliability_points_give_the_calibration_error():
    ax = plot_reliability(LOGITS, TARGETS)
    points = max(ax.collections, key=lambda drawn: len(drawn.get_offsets()))
    claimed, came_true = np.asarray(points.get_offsets()).T
    weight = (points.get_sizes() - 14) / 260
    error = float(weight @ np.abs(claimed - came_true))
    assert error == pytest.approx(calibration_error(ScoredRows.check(LOGITS, TARGETS)))


def test_histogram_bars_add_up_to_all_rows():
    heights = np.array([bar.get_height() for bar in plot_probabilities(LOGITS, TARGETS).patches])
    assert np.abs(heights).sum() == pytest.approx(1.0)
    accuracy = float((LOGITS.argmax(1) == TARGETS).double().mean())
    assert heights[heights > 0].sum() == pytest.approx(accuracy)


def test_learning_curves_leave_out_what_was_not_measured():
    history = [
        {"epoch": 1, "train_loss": 2.0, "validation_loss": None},
        {"epoch": 2, "train_loss": 1.0, "validation_loss": 1.5},
    ]
    ax = plot_learning_curves(history)
    assert [list(line.get_xdata()) for line in ax.lines] == [[1, 2], [2]]


def test_pictures_are_drawn_with_their_titles():
    axes = plot_pictures(torch.zeros(5, 3, 4, 4, dtype=torch.uint8), list("abcde"), columns=3)
    assert [ax.get_title() for ax in axes] == list("abcde")
    assert axes[0].images[0].get_array().shape == (4, 4, 3)


def test_mistakes_come_by_confidence():
    mistakes = confident_mistakes(LOGITS, TARGETS, most=50)
    probabilities = LOGITS.double().softmax(1)
    wrong = LOGITS.argmax(1) != TARGETS
    assert [mistake.probability for mistake in mistakes] == pytest.approx(
        probabilities[wrong].max(1).values.sort(descending=True).values[:50].tolist()
    )
    assert all(mistake.true == TARGETS[mistake.row] != mistake.predicted for mistake in mistakes)


def test_a_legend_stays_within_its_figure():
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(300, 4, generator=generator)
    ax = plot_reliability(logits, torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0], before=2 * logits)
    figure = ax.get_figure()
    figure.draw_without_rendering()
    assert len(ax.get_legend().get_texts()) == 3
    assert ax.get_legend().get_window_extent().x1 <= figure.bbox.x1
