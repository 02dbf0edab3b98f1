"""The report as JSON and Markdown: the numbers of the page, and names that are no markup."""

import json

import pytest

from polylogit.report import write_report
from polylogit.report.document import report_json, report_markdown


@pytest.mark.parametrize("kind", ["table", "pictures", "many", "weighted", "bare"])
def test_json_holds_the_metrics_and_the_conclusions(reports, kind, tmp_path):
    report = reports[kind]
    write_report(report, tmp_path / "report.json")
    plain = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert plain == json.loads(json.dumps(report_json(report)))
    assert plain["test"] == json.loads(json.dumps(report.evaluation.as_json()))
    assert [each["code"] for each in plain["conclusions"]] == [each.code for each in report.conclusions]
    assert (plain["audit"] is None) == (report.audit is None)
    assert plain["label_errors"] == (None if report.labels is None else report.labels.as_json())
    assert "NaN" not in json.dumps(plain)


@pytest.mark.parametrize("kind", ["table", "pictures", "many", "weighted", "bare"])
def test_markdown_holds_them_too(reports, kind, tmp_path):
    report = reports[kind]
    write_report(report, tmp_path / "report.md")
    page = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert page == report_markdown(report)
    assert f"| log loss | {report.evaluation.log_loss:.4f} |" in page
    for conclusion in report.conclusions:
        assert f"**{conclusion.level} {conclusion.code}**" in page
    for line in page.splitlines():
        if line.startswith("|"):
            assert line.count("|") - line.count("\\|") in {3, 6, 7}
    assert ("## Labels" in page) == (report.labels is not None)


def test_names_in_markdown_are_no_markup(reports):
    page = report_markdown(reports["table"])
    assert "<script" not in page
    assert "<b>" not in page
    assert "&lt;b&gt;fins" in page


def test_train_writes_all_three_beside_the_model(polylogit, tmp_path):
    printed = json.loads(polylogit("train", "zoo", "--json").stdout)
    folder = tmp_path / "runs" / "zoo-linear"
    names = ["history.jsonl", "model.safetensors", "report.html", "report.json", "report.md"]
    assert sorted(path.name for path in folder.iterdir()) == names
    plain = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert plain["test"] == printed["test"]
    assert plain["conclusions"] == printed["conclusions"]
    done = polylogit("evaluate", printed["model_path"], "zoo", "--report", "again.md")
    assert done.exit_code == 0
    assert (tmp_path / "again.md").read_text(encoding="utf-8").startswith("# zoo, linear\n")
    assert not (tmp_path / "again.json").exists()
