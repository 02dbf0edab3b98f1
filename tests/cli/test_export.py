"""`polylogit export`: files, messages, and options that do not apply."""

import json
import sys

import pytest

pytest.importorskip("onnxruntime")


@pytest.fixture
def model(zoo_run, tmp_path):
    path = tmp_path / "zoo.safetensors"
    path.write_bytes(zoo_run.model_path.read_bytes())
    return path


@pytest.mark.parametrize(("target", "ending"), [("onnx", ".onnx"), ("sql", ".sql")])
def test_the_export_is_beside_the_model(polylogit, model, target, ending):
    done = polylogit("export", model, "--to", target, "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["out"] == str(model.with_suffix(ending))
    assert result["bytes"] == model.with_suffix(ending).stat().st_size
    assert 0 <= result["largest_difference"] < 1e-6
    assert all(each["rows"] > 200 for each in result["parity"])


def test_people_read_the_largest_difference(polylogit, model):
    done = polylogit("export", model, "--to", "sql", "--dialect", "bigquery", "--table", "a.b", "--out", "s.sql")
    assert done.exit_code == 0
    assert "rows compared, no class differs" in done.stdout
    assert "largest difference of a probability" in done.stdout
    assert "s.sql" in done.stdout


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--to", "onnx", "--dialect", "sqlite"], 2, "--dialect: applies to --to sql only"),
        (["--to", "torch", "--carry", "legs"], 2, "--carry: applies to --to sql only"),
        (["--to", "onnx", "--out", "model.pb"], 2, "expected a file name that ends in .onnx"),
        (["--to", "sql", "--out", "none/../zoo.onnx"], 2, "expected a file name that ends in .sql"),
    ],
)
def test_options_that_do_not_apply(polylogit, model, words, status, message):
    done = polylogit("export", model, *words)
    assert done.exit_code == status
    assert message in done.stderr
    assert sorted(path.name for path in model.parent.iterdir()) == ["zoo.safetensors"]


@pytest.mark.parametrize(("target", "package"), [("onnx", "onnxruntime"), ("sql", "sqlglot"), ("sql", "duckdb")])
def test_a_missing_package_names_the_extra(polylogit, model, monkeypatch, target, package):
    monkeypatch.setitem(sys.modules, package, None)
    done = polylogit("export", model, "--to", target)
    assert done.exit_code == 1
    assert f"{package} is not installed" in done.stderr
    assert "pip install 'polylogit[export]'" in done.stderr
    assert not model.with_suffix(f".{target}").exists()


def test_a_damaged_model_is_one_message(polylogit, model):
    content = bytearray(model.read_bytes())
    content[-3] ^= 1
    model.write_bytes(content)
    done = polylogit("export", model, "--to", "onnx")
    assert done.exit_code == 1
    assert "the content differs from the digest" in done.stderr


@pytest.mark.parametrize(("target", "ending"), [("onnx", ".onnx"), ("sql", ".sql"), ("torch", ".pt2")])
def test_only_an_export_is_replaced(polylogit, model, target, ending, monkeypatch):
    out = model.with_suffix(ending)
    out.write_text("of the user")
    done = polylogit("export", model, "--to", target)
    assert (done.exit_code, out.read_text()) == (1, "of the user")
    assert "polylogit did not write it" in done.stderr
    import jaxtyping

    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # torch follows a network with symbols for sizes
    assert polylogit("export", model, "--to", target, "--force").exit_code == 0
    assert polylogit("export", model, "--to", target).exit_code == 0
