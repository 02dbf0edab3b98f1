"""Pictures and networks through the main job: train, evaluate and predict, also after a kill."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from polylogit import Classifier
from polylogit.data.pictures.encoder import Pictures
from polylogit.data.pictures.sources import PictureSource
from polylogit.data.split import Split
from polylogit.data.tables.data_names import data_of_files
from polylogit.errors import DataError, ModelFileError, RecipeError
from polylogit.fitting.callbacks import TrainingCallback
from polylogit.recipes.recipe import LinearRecipe, recipe_from_entries
from polylogit.run import evaluate, predict, train

SMALL = {
    "model": {"kind": "cnn", "widths": [8], "kernel_sizes": 3, "strides": 1, "pools": 2},
    "training": {"epochs": 4, "learning_rate": 0.02},
}


def recipe(**changes):
    return recipe_from_entries({**SMALL, **changes})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Bright upper halves and bright lower halves, with noise."""
    folder = tmp_path_factory.mktemp("halves") / "halves"
    draw = np.random.default_rng(0)
    for name, half in (("lower", slice(4, 8)), ("upper", slice(0, 4))):
        (folder / name).mkdir(parents=True)
        for number in range(60):
            values = draw.integers(0, 90, size=(8, 8), dtype=np.uint8)
            values[half] += 120
            Image.fromarray(values).save(folder / name / f"{number:02}.png")
    return folder


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    return train(str(folder), recipe(), out=tmp_path_factory.mktemp("run") / "model.safetensors")


def test_a_folder_of_pictures_is_learned_and_evaluated_on_pictures_held_out(run):
    told = run.as_json()
    assert told["classes"] == ["lower", "upper"]
    assert (told["rows_train"], told["rows_test"]) == (96, 24)
    assert told["test"]["accuracy"] > 0.9
    assert told["whole"] is True
    history = [json.loads(line) for line in run.history_path.read_text().splitlines()]
    assert [record["epoch"] for record in history] == [1, 2, 3, 4]
    assert history[-1]["validation_accuracy"] > 0.9
    assert not list(run.model_path.parent.glob("*checkpoint*"))


def test_a_saved_model_predicts_the_same_bits(run, folder):
    pixels = torch.randint(256, (5, 1, 8, 8), dtype=torch.uint8)
    loaded = Classifier.load(run.model_path)
    assert torch.equal(loaded.predict_logits(pixels), run.classifier.predict_logits(pixels))
    assert loaded.predict(str(folder / "upper")) == ["upper"] * 60


def test_a_picture_has_the_same_probabilities_alone_and_among_others(run):
    pixels = torch.randint(256, (300, 1, 8, 8), dtype=torch.uint8)
    together = run.classifier.predict_probabilities(pixels)
    for row in (0, 7, 299):
        alone = run.classifier.predict_probabilities(pixels[row : row + 1])[0]
        torch.testing.assert_close(alone, together[row], rtol=0, atol=1e-6)


def test_a_network_on_gradients_is_kept_and_predicts_the_same_bits(folder, tmp_path):
    model = {**SMALL["model"], "orientations": 4, "cell": 2, "hidden": [6]}
    run = train(str(folder), recipe(model=model), out=tmp_path / "model.safetensors")
    pixels = torch.randint(256, (300, 1, 8, 8), dtype=torch.uint8)
    together = run.classifier.predict_logits(pixels)
    loaded = Classifier.load(run.model_path)
    assert torch.equal(loaded.predict_logits(pixels), together)
    for row in (0, 7, 299):
        torch.testing.assert_close(loaded.predict_logits(pixels[row : row + 1])[0], together[row])


def test_the_calibration_is_chosen_on_training_rows_that_were_not_fitted(folder, tmp_path):
    doubtful = tmp_path / "doubtful"
    shutil.copytree(folder, doubtful)
    for number in range(9):  # where nothing is ever wrong, no temperature is the best
        (doubtful / "lower" / f"{number:02}.png").rename(doubtful / "upper" / f"from-lower-{number}.png")
    training = {"epochs": 4, "validation_fraction": 0.6}
    warm = train(str(doubtful), recipe(training=training), out=tmp_path / "m.safetensors")
    assert warm.calibration.rows == 58
    assert warm.calibration.candidates[0].name == "temperature"
    options = recipe(training=training, calibration={"method": "none"})
    cold = train(str(doubtful), options, out=tmp_path / "m.safetensors")
    assert cold.calibration is None


def test_the_same_recipe_gives_the_same_file(run, folder, tmp_path):
    again = train(str(folder), recipe(), out=tmp_path / "again.safetensors")
    assert again.model_path.read_bytes() == run.model_path.read_bytes()


def test_evaluation_on_the_training_folder_evaluates_the_pictures_held_out(run, folder):
    judged = evaluate(run.model_path, str(folder))
    assert judged.test.as_json() == run.test.as_json()
    assert "only the 24 held-out ones are evaluated" in judged.notes[0]


def test_pictures_of_other_sizes_and_colours_are_brought_to_the_models(run, tmp_path):
    for name, upper in (("lower", 0), ("upper", 200)):
        (tmp_path / name).mkdir()
        picture = Image.new("RGB", (40, 32), (200 - upper,) * 3)
        picture.paste((upper,) * 3, (0, 0, 40, 16))
        picture.save(tmp_path / name / "large.jpg")
    judged = evaluate(run.model_path, str(tmp_path))
    assert judged.test.rows == 2
    assert judged.test.accuracy == 1.0
    assert judged.notes == ()


def test_a_class_that_the_model_does_not_know_is_named(run, folder, tmp_path):
    for name in ("upper", "uper"):
        (tmp_path / name).mkdir()
        Image.new("L", (8, 8)).save(tmp_path / name / "a.png")
    with pytest.raises(DataError, match=r'the class "uper" is none of the 2 .* Did you mean "upper"'):
        evaluate(run.model_path, str(tmp_path))


def test_pictures_have_no_columns_to_carry(run, folder):
    with pytest.raises(RecipeError, match=r"--carry type: .*halves are pictures, which have no columns"):
        predict(run.model_path, str(folder), carry=["type"])


def test_pictures_are_predicted_frame_by_frame(run, folder, monkeypatch):
    whole = predict(run.model_path, str(folder)).frame
    monkeypatch.setattr("polylogit.run.prediction_frames.PICTURES_AT_ONCE", 50)
    counted = []
    assert predict(run.model_path, str(folder), on_progress=counted.append).frame.equals(whole)
    assert counted == [50, 100, 120]


def test_predictions_name_the_files(run, folder, tmp_path):
    out = tmp_path / "classes.csv"
    predict(run.model_path, str(folder), out)
    frame = pl.read_csv(out)
    assert frame.columns == ["file", "class", "probability_lower", "probability_upper"]
    assert frame.height == 120
    assert frame["file"][0].endswith("lower/00.png")
    one = predict(run.model_path, str(folder / "upper" / "00.png")).frame
    assert one["class"].to_list() == ["upper"]


@pytest.mark.parametrize(
    ("data", "message"),
    [("nowhere.png", "there is no such file"), ("zoo", "zoo: a table came where pictures are expected")],
)
def test_what_is_no_picture_is_refused(run, data, message):
    with pytest.raises(DataError, match=message):
        predict(run.model_path, data)


def test_an_empty_folder_is_refused(run, tmp_path):
    with pytest.raises(DataError, match="no picture in this folder"):
        predict(run.model_path, str(tmp_path))


def test_tables_and_pictures_are_not_taken_for_each_other(run, zoo_run):
    with pytest.raises(DataError, match=r"the model takes pictures: .* got DataFrame"):
        run.classifier.predict(pl.DataFrame({"a": [1]}))
    with pytest.raises(DataError):
        zoo_run.classifier.predict(torch.zeros(2, 1, 16, 16, dtype=torch.uint8))


@pytest.mark.parametrize("kind", ["linear", "mlp", "residual"])
def test_every_kind_of_model_takes_pictures(folder, tmp_path, kind):
    small = {"mlp": {"hidden": [16]}, "residual": {"stem": 4, "widths": [8, 8], "blocks": 1}}.get(kind, {})
    entries = {"model": {"kind": kind, **small}, "training": {"epochs": 5}}
    result = train(str(folder), recipe_from_entries(entries), out=tmp_path / "m.safetensors")
    assert result.test.accuracy > 0.9
    loaded = Classifier.load(result.model_path)
    assert loaded.predict(str(folder / "lower" / "00.png")) == ["lower"]


def test_an_mlp_takes_tables(tmp_path):
    result = train("zoo", recipe_from_entries({"model": {"kind": "mlp"}}), out=tmp_path / "m.safetensors")
    assert result.test.accuracy >= 0.9
    assert evaluate(result.model_path, "zoo").test.as_json() == result.test.as_json()


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"model": {"kind": "cnn"}}, "takes pictures, and this is a table"),
        ({"model": {"kind": "mlp"}, "augmentation": {"flip": True}}, r"augmentation\.flip: does not apply to a table"),
        ({"model": {"kind": "mlp"}, "training": {"batch_size": 5000}}, "5000 rows in a batch, but there are"),
    ],
)
def test_a_recipe_that_does_not_fit_the_data_is_refused(entries, message, tmp_path):
    with pytest.raises(RecipeError, match=message):
        train("zoo", recipe_from_entries(entries), out=tmp_path / "m.safetensors")


def test_a_data_sets_own_test_part_is_what_is_evaluated(monkeypatch, tmp_path):
    pixels = torch.randint(256, (40, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    source = PictureSource(
        name="mnist",
        pictures=Pictures(pixels),
        targets=torch.arange(40) % 2,
        class_names=("0", "1"),
        fingerprint="0" * 64,
        own_split=Split(train=torch.arange(30), test=torch.arange(30, 40)),
    )
    for place in ("sources", "unlabelled"):
        monkeypatch.setattr(f"polylogit.data.pictures.{place}.open_named_pictures", lambda name, root: source)
    result = train("mnist", recipe(), out=tmp_path / "m.safetensors", data_root=tmp_path)
    assert (result.train.rows, result.test.rows) == (30, 10)
    assert evaluate(result.model_path, "mnist").test.as_json() == result.test.as_json()
    assert predict(result.model_path, "mnist").frame.height == 10


KILLED = {"model": {"kind": "mlp", "hidden": [64]}, "training": {"epochs": 300}}


def recorded_epochs(folder):
    lines = (folder / "killed.history.jsonl").read_text().splitlines()
    return [json.loads(line)["epoch"] for line in lines]


def test_a_run_that_was_killed_goes_on_with_resume(tmp_path):
    """Kills the real command as soon as a checkpoint stands, stops it by Ctrl-C later, and lets it end at last."""
    recipe = tmp_path / "killed.toml"  # of the recipe alone: --model mlp would start from the one for tables
    recipe.write_text('[model]\nkind = "mlp"\nhidden = [64]\n[training]\nepochs = 300\n')
    words = [sys.executable, "-m", "polylogit", "train", "zoo", "--recipe", recipe, "--out"]
    source = Path(__file__).parents[2] / "src"
    environment = {**os.environ, "PYTHONPATH": str(source)}
    whole = train("zoo", recipe_from_entries(KILLED), out=tmp_path / "whole" / "model.safetensors")
    out = tmp_path / "killed.safetensors"
    checkpoint = tmp_path / "killed.checkpoint.safetensors"
    process = subprocess.Popen([*words, out], env=environment, stdout=subprocess.DEVNULL)
    while not checkpoint.exists() and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not out.exists()
    recorded = recorded_epochs(tmp_path)
    assert recorded == list(range(1, len(recorded) + 1))
    assert len(recorded) >= 1
    process = subprocess.Popen(
        [*words, out, "--resume"], env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    while len(recorded_epochs(tmp_path)) <= len(recorded) and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    summary, noted = (stream.decode() for stream in process.communicate())
    assert process.returncode == 130
    assert re.search(r"Interrupted in epoch \d+ of 300; .* --resume continues from the last checkpoint", noted)
    assert "The model can be used as it is" in noted
    assert "Interrupted" not in summary
    assert re.search(r"mlp: stopped after \d+ epochs", summary)
    assert Classifier.load(out).predict("zoo")
    subprocess.run([*words, out, "--resume"], env=environment, check=True, stdout=subprocess.DEVNULL)
    assert recorded_epochs(tmp_path) == list(range(1, 301))
    first, second = load_file(whole.model_path), load_file(out)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not checkpoint.exists()


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path):
    out = tmp_path / "model.safetensors"

    class Interrupt(TrainingCallback):
        def epoch_done(self, record):
            if record.epoch == 2:
                signal.raise_signal(signal.SIGINT)

    entries = {"model": {"kind": "mlp"}, "training": {"epochs": 9}}
    cut = train("zoo", recipe_from_entries(entries), out=out, callbacks=[Interrupt()])
    assert cut.whole is False
    assert "Interrupted in epoch 3 of 9" in cut.fit_message
    assert Classifier.load(out).predict("zoo")
    with pytest.raises(ModelFileError, match=r"of another run: seed \(0 then, 1 now\) differs\. Repeat"):
        train("zoo", recipe_from_entries({**entries, "seed": 1}), out=out, resume=True)
    with pytest.raises(ModelFileError, match=r"of another run: the content of the data, data\.target .* differ\."):
        train("eight-rows", recipe_from_entries(entries), out=out, resume=True)
    done = train("zoo", recipe_from_entries(entries), out=out, resume=True)
    assert (done.whole, done.epochs) == (True, 9)


def test_pictures_that_stay_in_their_files_give_the_same_model(run, folder, tmp_path, monkeypatch):
    options = recipe(data={"pictures_in_memory": "never"})
    stored = train(str(folder), options, out=tmp_path / "m.safetensors", report=tmp_path / "report.html")
    first, second = load_file(run.model_path), load_file(stored.model_path)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert stored.test.as_json() == run.test.as_json()
    monkeypatch.setattr("polylogit.data.pictures.sources.available_memory", lambda device: 1)
    assert evaluate(stored.model_path, str(folder)).test.as_json() == run.test.as_json()
    assert predict(stored.model_path, str(folder)).frame.height == 120
    with pytest.raises(RecipeError, match="a linear model needs all pictures in memory"):
        train(str(folder), LinearRecipe(), out=tmp_path / "linear.safetensors")


@pytest.mark.parametrize("values", ["standardised", "unit"])
def test_a_broken_picture_that_stays_in_its_file_is_named_before_the_fit(folder, tmp_path, values):
    shutil.copytree(folder, tmp_path / "pictures")
    for name in ("lower", "upper"):
        for number in range(30, 60):
            file = tmp_path / "pictures" / name / f"{number}.png"
            file.write_bytes(file.read_bytes()[:60])
    options = recipe(data={"pictures_in_memory": "never", "picture_values": values})
    with pytest.raises(DataError, match=r"/\d\d\.png: no picture can be read from it"):
        train(str(tmp_path / "pictures"), options, out=tmp_path / "m.safetensors")
    assert not list(tmp_path.glob("*history.jsonl"))


def test_pictures_and_tables_are_not_taken_for_each_other(run, folder, zoo_run, tmp_path):
    for judge in (predict, evaluate):
        with pytest.raises(DataError, match="pictures came where a table is expected"):
            judge(zoo_run.model_path, str(folder))
    table = tmp_path / "t.csv"
    table.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="a table came where pictures are expected"):
        predict(run.model_path, "zoo")
    with pytest.raises(RecipeError, match=r"Which column holds the names of the picture files\? .* data\.path=COLUMN"):
        predict(run.model_path, str(table))


def test_several_picture_files_and_patterns_are_predicted_as_their_folder_is(run, folder):
    whole = predict(run.model_path, str(folder)).frame
    files = [str(file) for file in sorted(folder.glob("*/*.png"))[:3]]
    found = predict(run.model_path, data_of_files(files)).frame
    assert found["file"].to_list() == files
    assert found.equals(whole.filter(pl.col("file").is_in(files)))
    assert predict(run.model_path, f"{folder}/*/*.png").frame.equals(whole)
    with pytest.raises(DataError, match=r"\*\.bmp: no file matches this pattern"):
        predict(run.model_path, f"{folder}/*/*.bmp")


def test_a_table_of_file_names_is_predicted_in_its_order_with_columns_carried(run, folder, tmp_path):
    files = sorted(folder.glob("*/*.png"))[:4][::-1]
    shutil.copytree(folder, tmp_path / "copy")
    table = tmp_path / "copy" / "list.csv"
    names = [str(file.relative_to(folder)) for file in files]
    pl.DataFrame({"name": names, "who": list("dcba")}).write_csv(table)
    one_by_one = predict(run.model_path, data_of_files([str(file) for file in files])).frame
    found = predict(run.model_path, str(table), carry=["who"], settings=["data.path=name"]).frame
    assert found.columns[:3] == ["who", "file", "class"]
    assert found["who"].to_list() == list("dcba")
    assert found["file"].to_list() == names
    assert found["class"].to_list() == [dict(one_by_one["file", "class"].iter_rows())[str(file)] for file in files]


def test_broken_pictures_are_left_out_of_predictions_and_evaluations(run, folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    broken = copy / "lower" / "broken.png"
    broken.write_bytes(b"")
    with pytest.raises(DataError, match=r"broken\.png: the file is empty"):
        predict(run.model_path, str(copy))
    found = predict(run.model_path, str(copy), settings=["data.broken=skip"])
    assert found.rows == 120
    assert found.notes == (f"1 picture cannot be read and was skipped: {broken}.",)
    noted = evaluate(run.model_path, str(copy), settings=["data.broken=skip"])
    assert noted.test.rows == 24
    assert f"1 picture cannot be read and was skipped: {broken}." in noted.notes
    with pytest.raises(
        RecipeError, match=r"only options of how the pictures are found apply: data\.path, data\.broken"
    ):
        predict(run.model_path, str(copy), settings=["data.picture_size=8"])


def test_images_and_single_arrays_are_predicted_as_their_files_are(run, folder):
    files = sorted(folder.glob("*/*.png"))[:3]
    expected = run.classifier.predict(str(files[0]))
    with Image.open(files[0]) as image:
        assert run.classifier.predict(image) == expected
        array = np.asarray(image)
        assert run.classifier.predict(array) == expected
        assert run.classifier.predict(np.ascontiguousarray(array[::-1])[::-1]) == expected
        assert run.classifier.predict([array, array]) == expected * 2
    assert run.classifier.predict(files) == [run.classifier.predict(file)[0] for file in files]
    with pytest.raises(DataError, match="got an empty list"):
        run.classifier.predict([])
    with pytest.raises(DataError, match="got a list of float"):
        run.classifier.predict([0.5])


def test_brackets_in_names_stand_for_themselves(run, tmp_path):
    for name, light in (("p[1]", 0), ("p1", 200)):
        (tmp_path / name).mkdir()
        for number in range(2):
            Image.fromarray(np.full((12, 12), light, np.uint8)).save(tmp_path / name / f"{number}.png")
    found = predict(run.model_path, f"{tmp_path}/p[1]/*.png").frame
    assert found["file"].to_list() == [f"{tmp_path}/p[1]/{number}.png" for number in range(2)]
    with pytest.raises(DataError, match="there is no such file or folder"):
        predict(run.model_path, f"{tmp_path}/p1/[01].png")


def test_a_pattern_with_a_space_is_one_pattern(run, tmp_path):
    for number in (2, 10):
        Image.fromarray(np.full((12, 12), number, np.uint8)).save(tmp_path / f"p {number}.png")
    expected = [f"{tmp_path}/p {number}.png" for number in (2, 10)]
    assert predict(run.model_path, f"{tmp_path}/p *.png").frame["file"].to_list() == expected
    assert predict(run.model_path, f"'{expected[0]}' '{expected[1]}'").frame["file"].to_list() == expected
