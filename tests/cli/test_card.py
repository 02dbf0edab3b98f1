"""`polylogit card`: metadata, metrics where a report has them, and names that are no markup."""

import json

import pytest

yaml = pytest.importorskip("yaml")


def metadata(text):
    return yaml.safe_load(text.split("---\n")[1])


def test_a_card_has_the_metrics_of_the_report_beside_the_model(polylogit):
    run = json.loads(polylogit("train", "zoo", "--json").stdout)
    done = polylogit("card", run["model_path"])
    assert (done.exit_code, done.stderr) == (0, "")
    head = metadata(done.stdout)
    assert (head["library_name"], head["pipeline_tag"]) == ("polylogit", "tabular-classification")
    found = {each["type"]: each["value"] for each in head["model-index"][0]["results"][0]["metrics"]}
    assert found["log_loss"] == pytest.approx(run["test"]["log_loss"], rel=1e-5)
    assert f"| accuracy | {run['test']['accuracy']:.4f} |" in done.stdout
    assert "| milk | number |" in done.stdout


def test_without_a_report_it_says_so(polylogit, tmp_path):
    polylogit("train", "zoo", "--out", "m.safetensors", "--report", "page.html")
    done = polylogit("card", "m.safetensors", "--out", "README.md")
    assert "there is no m.report.json, so the card has no metrics" in done.stderr
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "model-index" not in metadata(text)
    assert "holds no metrics" in text
    again = polylogit("card", "m.safetensors", "--out", "README.md")
    assert (again.exit_code, (tmp_path / "README.md").read_text(encoding="utf-8")) == (1, text)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"test": {"accuracy": "x"}, "conclusions": []}'])
def test_a_report_that_is_none_is_one_message(polylogit, tmp_path, content):
    polylogit("train", "zoo", "--out", "m.safetensors")
    (tmp_path / "r.json").write_text(content)
    done = polylogit("card", "m.safetensors", "--report", "r.json")
    assert done.exit_code == 1
    assert "r.json: expected a JSON report" in done.stderr


def test_names_are_no_markup(polylogit, tmp_path):
    rows = "".join(f"{n % 5},{'<script>x</script>' if n % 2 else '*bird*'}\n" for n in range(40))
    (tmp_path / "a: b.csv").write_text("le|gs,kind\n" + rows)
    polylogit("train", "a: b.csv", "--target", "kind", "--out", "m.safetensors")
    done = polylogit("card", "m.safetensors")
    assert done.exit_code == 0
    body = done.stdout.split("---\n", 2)[2].split("## Recipe")[0]
    assert "<script" not in body
    assert "\\*bird\\*" in body
    assert "| le\\|gs | number |" in body
    assert metadata(done.stdout)["model-index"][0]["name"] == "a: b, linear"
