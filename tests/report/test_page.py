import dataclasses
import re
from html.parser import HTMLParser

import polars as pl
import pytest
import torch

from polylogit.evaluation import evaluate_logits
from polylogit.report import ReportData, report_html, write_report
from polylogit.report.numbers import percent

EXPECTED_FIGURES = {
    "table": {"confusion", "reliability", "probabilities", "coverage", "curve-objective", "curve-optimality-gap",
              "importance", "coefficients", "mistakes", "suspects"},
    "pictures": {"confusion", "reliability", "probabilities", "coverage", "curve-log-loss", "curve-accuracy",
                 "coefficients", "mistakes", "suspects"},
    "many": {"confusion", "reliability", "probabilities", "coverage", "coefficients", "mistakes"},
    "weighted": {"confusion", "reliability", "probabilities", "coverage", "mistakes"},
    "bare": {"confusion", "reliability", "probabilities", "coverage"},
}  # fmt: skip


class Elements(HTMLParser):
    """Every start tag with its attributes, and the text by the id of the innermost element that has one."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text, self.open = [], {}, []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.open.append((tag, dict(attributes).get("id")))

    def handle_endtag(self, tag):
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        named = [name for _, name in self.open if name]
        if named:
            self.text[named[-1]] = self.text.get(named[-1], "") + data

    def all(self, attribute):
        return [attributes[attribute] for _, attributes in self.tags if attribute in attributes]


@pytest.fixture(scope="module", params=EXPECTED_FIGURES)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def page(kind, reports):
    return report_html(reports[kind])


def test_every_figure_is_there(kind, page):
    ids = Elements(page).all("id")
    assert {name.removeprefix("figure-") for name in ids if name.startswith("figure-")} == EXPECTED_FIGURES[kind]
    assert len(ids) == len(set(ids))


def test_the_numbers_are_those_of_the_json(kind, page, reports):
    told, text = reports[kind].evaluation.as_json(), Elements(page).text
    assert text["accuracy"] == percent(told["accuracy"], 0 if told["rows"] < 100 else 1)
    for name in ("log_loss", "calibration_error", "brier_score"):
        assert float(text[name.replace("_", "-")]) == pytest.approx(told[name], abs=0.00051)


def test_cross_validated_metrics_are_the_headline(reports):
    better = dataclasses.replace(reports["table"].uncalibrated, accuracy=0.123, log_loss=4.567)
    report = dataclasses.replace(reports["table"], cross_validated=better, foremost="Cross-validated.")
    page = report_html(report)
    text = Elements(page).text
    assert (text["accuracy"], text["log-loss"]) == ("12.3%", "4.567")
    assert f"test set {percent(report.evaluation.accuracy)}" in page
    assert "accuracy 12.3%</title>" in page
    assert "These are cross-validated metrics." in page


def test_the_audit_is_shown_with_types_classes_and_findings(reports):
    page = report_html(reports["table"])
    data = page[page.index('<section id="data"') : page.index('<section id="run"')]
    assert "Warning <code>duplicate-rows</code>: 3 rows are the same as others. Drop them." in data
    assert re.search(r">milk</th><td>boolean</td>", data)
    assert re.search(r">mammal</th><td class=\"n\">250</td>", data)


def test_the_audit_of_pictures_has_no_table_of_columns(reports):
    audit = dataclasses.replace(reports["table"].audit, columns={})
    page = report_html(dataclasses.replace(reports["table"], audit=audit))
    assert "<h3>Classes</h3>" in page
    assert "<h3>Columns</h3>" not in page


def test_conclusions_have_their_codes(reports):
    report = reports["bare"]
    page = report_html(report)
    assert len(report.conclusions) >= 2
    for conclusion in report.conclusions:
        assert f"{conclusion.level.capitalize()} {conclusion.code}</b>" in page


def test_confusion_cells_are_the_counts(page, reports, kind):
    evaluation = reports[kind].evaluation
    if len(evaluation.class_names) > 20 or kind == "weighted":
        pytest.skip("drawn as a picture, or sums of weights")
    matrix = page[page.index('id="figure-confusion"') :]
    lines = re.findall(r"<tr><th scope=\"row\".*?</tr>", matrix[: matrix.index("</table>")], flags=re.DOTALL)
    cells = [[int(count or 0) for count in re.findall(r"<td class=\"[^>]*>(?:(\d+)<small>|·)", line)] for line in lines]
    assert cells == [list(row) for row in evaluation.confusion]


def test_the_page_asks_for_nothing(page):
    elements = Elements(page)
    assert "script" not in {tag for tag, _ in elements.tags}
    assert not re.search(r"https?://(?!www\.w3\.org/)", page)
    assert all(link.startswith(("#", "data:")) for link in elements.all("href") + elements.all("src"))
    assert "default-src 'none'" in page
    assert "url(" not in page.replace("url(#", "")


def test_every_figure_is_labelled(page):
    elements = Elements(page)
    labels = set(elements.all("id"))
    for tag, attributes in elements.tags:
        if tag == "svg":
            assert attributes["role"] == "img"
            assert attributes["aria-labelledby"] in labels
        if tag == "img":
            assert attributes["alt"]
        if tag == "th":
            assert attributes["scope"] in {"row", "col"}
    assert {link[1:] for link in elements.all("href") if link.startswith("#")} <= labels
    assert ("html", {"lang": "en"}) in elements.tags


def test_names_are_text_and_never_markup(reports):
    page = report_html(reports["table"])
    assert "<script" not in page
    assert "<b>fins" not in page
    assert "&lt;b&gt;fins&lt;/b&gt;" in page
    assert "fish &amp; $chips$" in page


def test_figures_take_the_colours_of_the_page(page):
    for svg in re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL):
        assert set(re.findall(r"#[0-9a-f]{6}", svg)) <= {"#000000"}  # black: nothing that is drawn
        assert "var(--accent)" in svg or "data:image" in svg


def test_the_same_data_give_the_same_page(reports):
    assert report_html(reports["table"]) == report_html(reports["table"])


def test_names_that_the_fonts_here_lack_draw_no_warning():
    names = [f"새 {k}" for k in range(30)]
    logits, targets = torch.eye(30), torch.arange(30)
    page = report_html(ReportData("birds", "linear", evaluate_logits(logits, targets, names), logits, targets))
    assert "새 29</text>" in page


def test_rows_of_mistakes_carry_their_number_in_the_file(reports):
    page = report_html(reports["table"])
    mistakes = page[page.index('<table id="figure-mistakes"') :]
    numbers = re.findall(r'<th scope="row" class="n">(\d+)</th>', mistakes[: mistakes.index("</table>")])
    assert numbers
    assert all(1000 <= int(number) < 1150 for number in numbers)


def test_missing_cells_of_mistakes_are_dashes(reports):
    report = reports["table"]
    empty = report.table.with_columns(pl.lit(None).alias(report.table.columns[0]))
    page = report_html(dataclasses.replace(report, table=empty))
    mistakes = page[page.index('<table id="figure-mistakes"') :]
    mistakes = mistakes[: mistakes.index("</table>")]
    assert "<td>–</td>" in mistakes
    assert ">None<" not in mistakes


def test_rows_that_carry_weights_are_shown_by_them(reports):
    report = reports["weighted"]
    page = report_html(report)
    assert "the rows have weights" in page
    assert f">{report.evaluation.per_class[0].support:,g}</td>" in page
    unweighted = report_html(dataclasses.replace(report, sample_weight=None))
    charts = re.compile(r"<svg.*?svg-(?:reliability|probabilities|coverage)-title.*?</svg>", flags=re.DOTALL)
    assert all(left != right for left, right in zip(charts.findall(page), charts.findall(unweighted), strict=True))


def test_what_reports_more_than_the_evaluated_rows_is_reported_before_them(reports):
    report = dataclasses.replace(reports["table"], foremost="Cross-validation says: <84%>.")
    page = report_html(report)
    assert Elements(page).text["foremost"] == "Cross-validation says: <84%>."
    assert page.index("Cross-validation says") < page.index("Accuracy ")
    assert 'id="foremost"' not in report_html(reports["table"])


def test_two_hundred_classes_do_not_bury_what_follows_them(reports):
    """Whatever has a line for each of so many classes is folded away."""
    page = re.sub(r"<details>.*?</details>", "", report_html(reports["many"]), flags=re.DOTALL)
    assert max(table.count("<tr>") for table in re.findall(r"<table.*?</table>", page, flags=re.DOTALL)) <= 31
    assert "The largest weights of each of the 200 classes" in report_html(reports["many"])


def test_a_page_is_written_whole(reports, tmp_path):
    path = tmp_path / "deep" / "report.html"
    write_report(reports["bare"], path)
    assert path.read_text(encoding="utf-8") == report_html(reports["bare"])
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
