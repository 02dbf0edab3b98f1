"""Broken and malicious model files: a clear error each, and nothing in them is run."""

import json
import pickle
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save, save_file

from polylogit import Classifier, ModelFileError
from polylogit.errors import PolylogitWarning
from polylogit.model_header import FORMAT_VERSION, MOST_HEADER_BYTES, read_header
from polylogit.model_tensors import content_digest


class Bomb:
    def __reduce__(self):
        return (Path.write_text, (Path("ran"), "code from the file was run"))


def header_of(path):
    return json.loads(json.dumps(read_header(path).model_dump(mode="json", exclude_none=True)))


def rewritten(run, tmp_path, entries=None, tensors=None):
    """The zoo model with another header or other tensors."""
    path = tmp_path / "m.safetensors"
    text = json.dumps(entries if entries is not None else header_of(run.model_path))
    tensors = load_file(run.model_path) if tensors is None else tensors
    save_file(tensors, path, metadata={"polylogit": text, "digest": content_digest(text, tensors)})
    return path


def with_entry(run, tmp_path, name, value):
    entries = header_of(run.model_path)
    place = entries
    *sections, last = name.split(".")
    for section in sections:
        place = place[section]
    place[last] = value
    return rewritten(run, tmp_path, entries)


def refused(path):
    with pytest.raises(ModelFileError) as caught:
        Classifier.load(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_every_cut_of_the_file_is_refused(zoo_run, tmp_path):
    content = zoo_run.model_path.read_bytes()
    path = tmp_path / "m.safetensors"
    for length in [*range(0, len(content), 97), len(content) - 1]:
        path.write_bytes(content[:length])
        assert "cut short" in refused(path)


def test_a_flipped_bit_anywhere_is_refused(zoo_run, tmp_path):
    content = bytearray(zoo_run.model_path.read_bytes())
    path = tmp_path / "m.safetensors"
    draw = torch.Generator().manual_seed(0)
    for _ in range(300):
        at = int(torch.randint(len(content), (1,), generator=draw))
        mutated = content.copy()
        mutated[at] ^= 1 << int(torch.randint(8, (1,), generator=draw))
        path.write_bytes(mutated)
        refused(path)


def test_a_changed_weight_is_named_as_damage(zoo_run, tmp_path):
    path = tmp_path / "m.safetensors"
    content = bytearray(zoo_run.model_path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert "the content differs from the digest that was written with it" in refused(path)


def test_a_file_without_a_digest_is_refused_unless_it_is_of_version_1(zoo_run, tmp_path):
    path = tmp_path / "m.safetensors"
    entries = header_of(zoo_run.model_path)
    save_file(load_file(zoo_run.model_path), path, metadata={"polylogit": json.dumps(entries)})
    assert "the digest of the content is missing" in refused(path)
    save_file(load_file(zoo_run.model_path), path, metadata={"polylogit": json.dumps(entries | {"format_version": 1})})
    with pytest.warns(PolylogitWarning, match="without a digest of its content"):
        Classifier.load(path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hidden": [1] * 3_000_000}, "network.options.hidden: 3000000 entries exceeds"),
        ({"hidden": [10**9]}, "network.options.hidden: 1 entries exceeds"),
        ({"dropout": 1e300}, "network.options.dropout: 1e+300 exceeds"),
        ({"classes": -7}, "network.options.classes: -7 exceeds"),
    ],
)
def test_options_are_bounded_by_the_tensors_before_a_network_is_built(options, words, zoo_run, tmp_path, monkeypatch):
    monkeypatch.setattr("polylogit.model_file.build_network", None)
    entries = header_of(zoo_run.model_path)
    entries["network"] = {"kind": "mlp", "options": {"features": 16, "classes": 7, **options}}
    assert words in refused(rewritten(zoo_run, tmp_path, entries))


def test_blocks_are_bounded_by_the_number_of_tensors(zoo_run, tmp_path):
    assert "blocks: 100000000 exceeds" in refused(
        with_entry(zoo_run, tmp_path, "network.options", {"features": 16, "classes": 7, "blocks": 10**8})
    )


def test_an_empty_tensor_is_refused(zoo_run, tmp_path):
    tensors = load_file(zoo_run.model_path) | {"network.linear.weight": torch.zeros(7, 0)}
    assert "the tensor network.linear.weight is empty" in refused(rewritten(zoo_run, tmp_path, tensors=tensors))


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("data.encoding", "rot13"),
        ("data.encoding", "bogus"),
        ("data.target", "x\ud800"),
        ("data.separator", "€"),
        ("data.separator", '"'),
        ("training.C", -1.0),
        ("surprise.option", 1),
    ],
)
def test_a_recipe_at_fault_names_the_model_file(entry, value, zoo_run, tmp_path, polylogit):
    entries = header_of(zoo_run.model_path)
    section, option = entry.split(".")
    entries["recipe"].setdefault(section, {})[option] = value
    path = rewritten(zoo_run, tmp_path, entries)
    for command in ("evaluate", "predict"):
        done = polylogit(command, path, "zoo")
        assert done.exit_code == 1
        assert f"{path.name}: the recipe in the model file is at fault" in done.stderr


@pytest.mark.parametrize("write", [pickle.dumps, None])
def test_a_pickle_is_refused_unopened(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "m.safetensors"
    if write is None:
        torch.save({"weight": Bomb()}, path)
    else:
        path.write_bytes(write(Bomb()))
    assert "this is a pickle" in refused(path)
    assert not Path("ran").exists()


@pytest.mark.parametrize("length", [MOST_HEADER_BYTES + 1, 2**40, 2**63, 2**64 - 1])
def test_a_huge_header_is_refused_before_it_is_read(length, tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(struct.pack("<Q", length) + b"{}")
    assert f"the header claims {length} bytes" in refused(path)


def test_a_huge_header_that_is_really_there_is_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", MOST_HEADER_BYTES + 1) + b"{")
        file.truncate(MOST_HEADER_BYTES + 100)
    assert "are read. This is no file of polylogit's" in refused(path)


def test_a_safetensors_file_of_somebody_else_is_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(save({"weight": torch.zeros(2)}, metadata={"format": "pt"}))
    assert "without polylogit's header" in refused(path)


@pytest.mark.parametrize("text", ["[" * 100_000, "nonsense", "3", "[]", '{"format_version": 1}'])
def test_a_header_that_is_no_header_is_refused(text, tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(save({"weight": torch.zeros(2)}, metadata={"polylogit": text}))
    assert "header" in refused(path)


@pytest.mark.parametrize(
    ("version", "remedy"), [(FORMAT_VERSION + 1, "Install a newer polylogit"), (0, "Train the model again")]
)
def test_another_format_version_is_refused_with_what_to_do(version, remedy, zoo_run, tmp_path):
    told = refused(with_entry(zoo_run, tmp_path, "format_version", version))
    assert f"format version {version}, but this polylogit reads versions 1 to {FORMAT_VERSION}" in told
    assert remedy in told


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("temperature", 0.0, "temperature: Input should be greater than or equal to"),
        ("temperature", 1e-320, "temperature: Input should be greater than or equal to"),
        ("floor", 1e-310, "floor: Input should be greater than or equal to"),
        ("vector_scaling", {"scale": [1e300] * 7, "bias": [0.0] * 7}, "Input should be less than or equal to"),
        ("temperature", "hot", "temperature: Input should be a valid number"),
        ("class_names", ["a"], "class_names: List should have at least 2 items"),
        ("class_names", ["a"] * 7, "a name occurs twice"),
        ("class_names", ["a", "b"], "expected the number of rows of 2 classes"),
        ("surprise", 1, "surprise: Extra inputs are not permitted"),
        ("network.kind", "os.system", 'no network of kind "os.system" is known here'),
        (
            "network.options",
            {"features": 16, "classes": 7, "code": "x"},
            "the options of the linear network do not fit",
        ),
        ("network.options", {"features": 17, "classes": 7}, "network.linear.weight: expected torch.float32 [7, 17]"),
        ("network.options", {"features": 10**12, "classes": 7}, "network.options.features: 1000000000000 exceeds"),
        ("preprocessing.kind", "magic", "preprocessing"),
        (
            "preprocessing.columns",
            [{"name": "legs", "type": "number"}],
            "preprocessing.mean: expected torch.float64 [1]",
        ),
        ("trained_on.fingerprint", "../../etc", "trained_on.fingerprint"),
    ],
)
def test_an_entry_that_breaks_the_format_is_named(name, value, words, zoo_run, tmp_path):
    assert words in refused(with_entry(zoo_run, tmp_path, name, value))


def test_preprocessing_that_does_not_fit_the_network_is_refused(zoo_run, tmp_path):
    columns = [{"name": f"c{index}", "type": "number"} for index in range(17)]
    tensors = load_file(zoo_run.model_path)
    entries = header_of(zoo_run.model_path)
    entries["preprocessing"]["columns"] = columns
    tensors |= {f"preprocessing.{name}": torch.ones(17, dtype=torch.float64) for name in ("mean", "scale")}
    told = refused(rewritten(zoo_run, tmp_path, entries, tensors))
    assert "the network does not take what the preprocessing gives" in told


def changed(tensors, name, value):
    return {key: tensor for key, tensor in {**tensors, name: value}.items() if tensor is not None}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("network.linear.weight", None, "the tensor network.linear.weight is missing"),
        ("preprocessing.mean", None, "preprocessing.mean: expected torch.float64 [16], found nothing"),
        ("network.linear.weight", torch.zeros(7, 15), "expected torch.float32 [7, 16], found torch.float32 [7, 15]"),
        ("network.linear.bias", torch.zeros(7).double(), "expected torch.float32 [7], found torch.float64 [7]"),
        ("network.linear.bias", torch.full((7,), torch.nan), "network.linear.bias holds NaN or infinity"),
        ("preprocessing.scale", torch.zeros(16).double(), "every scale must be positive"),
        (
            "preprocessing.scale",
            torch.full((16,), 1e-320, dtype=torch.float64),
            "expected 1e-300 to 1e+101 in each place",
        ),
        ("preprocessing.mean", torch.full((16,), 1e300, dtype=torch.float64), "expected magnitudes up to 1e+101"),
        ("network.stranger", torch.zeros(1), "tensors that belong to no part of the model: network.stranger"),
        ("stranger", torch.zeros(1), "tensors that belong to no part of the model: stranger"),
    ],
)
def test_a_tensor_out_of_place_is_named(name, value, words, zoo_run, tmp_path):
    tensors = changed(load_file(zoo_run.model_path), name, value)
    assert words in refused(rewritten(zoo_run, tmp_path, tensors=tensors))


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_the_command_line_reports_a_model_file_at_fault(command, polylogit, tmp_path):
    (tmp_path / "m.safetensors").write_bytes(b"\x80\x04K\x01.")
    for model in ("m.safetensors", "none.safetensors"):
        done = polylogit(command, model, "zoo")
        assert done.exit_code == 1
        assert done.stderr.startswith(f"error: {model}: ")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("drop", 1e300), ("drop", [1]), ("weight", [1]), ("group", {}), ("split", True), ("separator", [","])),
        *(("encoding", 5), ("quote", 1.0), ("skip_lines", True), ("skip_lines", -1), ("comment", ["#"])),
        *(("missing", "--"), ("missing", [None]), ("missing", {"a": 1}), ("sheet", 2)),
    ],
)
def test_options_of_tables_that_a_prediction_reads_are_checked_with_the_file(option, value, zoo_run, tmp_path):
    assert f"recipe: Value error, data.{option}" in refused(
        with_entry(zoo_run, tmp_path, f"recipe.data.{option}", value)
    )


@pytest.mark.parametrize("value", [[1], "a", 3])
def test_a_data_section_that_is_none_is_refused(value, zoo_run, tmp_path):
    assert "recipe: Value error, data: " in refused(with_entry(zoo_run, tmp_path, "recipe.data", value))


def test_numbers_that_mark_missing_values_count_as_texts_do(zoo_run, tmp_path):
    """A recipe may have either; here so many that a look at each in turn would take minutes."""
    path = with_entry(zoo_run, tmp_path, "recipe.data.missing", [*range(100, 20_000), "?"])
    expected = zoo_run.classifier.predict_probabilities("zoo")
    assert torch.equal(Classifier.load(path).predict_probabilities("zoo"), expected)
