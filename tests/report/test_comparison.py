"""The page of a comparison: names that are no markup, and a browser without complaints."""

from dataclasses import replace

import pytest

from polylogit.evaluation.paired import McNemar, PairedDifference
from polylogit.report.comparison import ComparedModel, Comparison, Disagreement, Pair, comparison_report, pair_sentence
from polylogit.report.comparison_page import comparison_html, write_comparison
from polylogit.report.terminal_text import TerminalConsole

DIFFERENCES = (
    PairedDifference("log_loss", 0.3, 0.25, -0.08, -0.02),
    PairedDifference("accuracy", 0.9, 0.91, -0.01, 0.03),
    PairedDifference("brier_score", 0.2, 0.2, 0.0, 0.0),
)


@pytest.fixture
def comparison():
    metrics = {"log_loss": 0.3, "accuracy": 0.9, "brier_score": 0.2}
    return Comparison(
        data="<b>pets</b>.csv",
        method="The intervals are those of 2,000 bootstrap draws of rows.",
        unit="row",
        units=400,
        models=(ComparedModel("A", "<i>a</i>.safetensors", "linear", metrics), ComparedModel("B", "b", "mlp", metrics)),
        pairs=(Pair("A", "B", DIFFERENCES, {}, McNemar(8, 2, 0.109, 0.065)),),
        disagreements=(Disagreement(17, "cat", ("dog", "<u>cat"), (0.1, 0.8)),),
        disagreeing=12,
        notes=("a note",),
    )


def test_names_are_no_markup(comparison):
    page = comparison_html(comparison)
    for markup in ("<b>pets", "<i>a<", "<u>cat", "<script"):
        assert markup not in page
    assert "&lt;b&gt;pets" in page
    assert "only A is right on 8 rows" in page
    assert "disagree on 12 rows" in page


def test_the_browser_has_no_complaint(told_by_browser, comparison, tmp_path):
    page = tmp_path / "comparison.html"
    write_comparison(comparison, page)
    console, urls, dom = told_by_browser(page, tmp_path)
    assert (console, urls) == ([], [])
    assert dom.count("<svg") == 3


def test_folds_have_p_values_and_no_disagreements(comparison):
    p_values = {"log_loss": 0.0004, "accuracy": 0.2, "brier_score": 1.0}
    pair = replace(comparison.pairs[0], p_values=p_values, mcnemar=None)
    page = comparison_html(replace(comparison, unit="fold", pairs=(pair,), disagreements=(), disagreeing=None))
    assert "&lt;0.001" in page
    assert "Disagreements" not in page
    assert "McNemar" not in page


def test_the_sentence_names_the_better_model(comparison):
    (pair,) = comparison.pairs
    assert pair_sentence(pair) == "B has the lower log loss; the accuracy does not decide between A and B."
    worse = PairedDifference("accuracy", 0.9, 0.8, -0.15, -0.05)
    assert pair_sentence(replace(pair, differences=(worse,))) == "A has the higher accuracy."


def test_the_terminal_shows_models_differences_and_rows(comparison):
    console = TerminalConsole()
    with console.capture() as captured:
        console.print(comparison_report(comparison))
    text = " ".join(captured.get().split())
    assert "400 rows compared" in text
    assert "-0.0500 95% interval -0.0800 to -0.0200" in text
    assert "The models disagree on 12 rows" in text
