import json
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from polylogit.classes import class_indices
from polylogit.classifier import Classifier
from polylogit.data.split import stratified_split
from polylogit.data.tables.sources import open_source
from polylogit.fitting.callbacks import TrainingCallback
from polylogit.model_header import read_header
from polylogit.recipes.recipe import LinearRecipe, recipe_from_entries
from polylogit.run import evaluate, predict, train, training


def written(load, path):
    """A table that scikit-learn ships, as the CSV that a user would have."""
    bunch = load(as_frame=True)
    names = np.array([str(name) for name in bunch.target_names])
    pl.from_pandas(bunch.data).with_columns(kind=pl.Series(names[bunch.target])).write_csv(path)
    return path


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer, load_digits])
def test_real_tables_are_learnt_as_well_as_scikit_learn_does(load, tmp_path):
    path = written(load, tmp_path / "table.csv")
    result = train(str(path), recipe_from_entries({"data": {"target": "kind"}}), out=tmp_path / "m.safetensors")
    frame = open_source(str(path)).frame
    (features, labels), (held_features, held_labels) = parts(frame, result)
    reference = make_pipeline(StandardScaler(), LogisticRegression(max_iter=10_000)).fit(features, labels)
    assert result.test.rows == len(held_labels) == round(0.2 * frame.height)
    # With two classes scikit-learn penalises one vector where softmax has two, so single rows may fall otherwise.
    assert result.test.accuracy == pytest.approx(
        reference.score(held_features, held_labels), abs=1.01 / len(held_labels)
    )
    assert result.test.accuracy > result.test.baselines.majority_accuracy + 0.2


def test_the_fit_is_the_optimum_that_scikit_learn_finds(tmp_path):
    path = written(load_wine, tmp_path / "wine.csv")
    recipe = recipe_from_entries({"data": {"target": "kind"}, "training": {"C": 0.3, "tolerance": 1e-9}})
    result = train(str(path), recipe, out=tmp_path / "m.safetensors")
    (features, labels), _ = parts(open_source(str(path)).frame, result)
    reference = LogisticRegression(C=0.3, tol=1e-10, max_iter=10_000)
    reference.fit(StandardScaler().fit_transform(features), labels)
    weight = result.classifier.network.linear.weight.detach().numpy()
    np.testing.assert_allclose(weight, reference.coef_, atol=2e-5)


def parts(frame, result):
    """Features and labels of the rows trained on and of those held out."""
    targets = class_indices(frame["kind"].to_list(), result.classifier.class_names)
    split = stratified_split(targets, result.recipe.data.test_fraction, result.recipe.seed)
    return [
        (frame[rows.numpy()].drop("kind").cast(pl.Float64).to_numpy(), frame[rows.numpy()]["kind"].to_list())
        for rows in (split.train, split.test)
    ]


def test_the_figures_are_those_of_the_held_out_rows(zoo_run):
    judged = evaluate(zoo_run.model_path, "zoo")
    assert judged.test.as_json() == zoo_run.test.as_json()
    assert "only its 20 held-out rows are evaluated" in judged.notes[-1]


def test_other_data_are_evaluated_whole(zoo_run, tmp_path):
    frame = open_source("zoo").frame
    frame[:50].write_csv(tmp_path / "some.csv")
    judged = evaluate(zoo_run.model_path, str(tmp_path / "some.csv"))
    assert judged.test.rows == 50
    expected = zoo_run.classifier.predict(frame[:50])
    assert judged.test.accuracy == pytest.approx(np.mean(np.array(expected) == frame[:50]["type"].to_numpy()))


def test_training_again_gives_the_same_bytes(zoo_run, tmp_path):
    train("zoo", zoo_run.recipe, out=tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == zoo_run.model_path.read_bytes()


def test_the_history_follows_the_solver_down(zoo_run):
    lines = [json.loads(line) for line in zoo_run.history_path.read_text().splitlines()]
    assert [line["epoch"] for line in lines] == sorted(line["epoch"] for line in lines)
    assert lines[-1]["objective"] < lines[0]["objective"]
    assert lines[-1]["optimality_gap"] <= zoo_run.recipe.training.tolerance
    assert zoo_run.epochs == lines[-1]["epoch"]


def test_predictions_carry_the_class_and_a_probability_per_class(zoo_run):
    frame = predict(zoo_run.model_path, "zoo").frame
    assert frame.columns == ["class", *(f"probability_{name}" for name in zoo_run.classifier.class_names)]
    expected = zoo_run.classifier.predict_probabilities("zoo")
    assert torch.equal(torch.from_numpy(frame.drop("class").to_numpy()), expected)
    assert frame["class"].to_list() == zoo_run.classifier.predict("zoo")


def test_columns_in_another_order_with_others_between_give_the_same(zoo_run, tmp_path):
    frame = open_source("zoo").frame.drop("type")
    frame.select(pl.lit("x").alias("name"), *reversed(frame.columns)).write_csv(tmp_path / "other.csv")
    shuffled = predict(zoo_run.model_path, str(tmp_path / "other.csv"))
    assert shuffled.frame.equals(predict(zoo_run.model_path, "zoo").frame)
    assert shuffled.notes == ("columns that the model does not use: name.",)


def test_an_interrupted_solver_leaves_a_model_and_says_so(tmp_path):
    class Interrupt(TrainingCallback):
        def iteration_done(self, record):
            if record.iteration == 1:
                raise KeyboardInterrupt

    cut = train("zoo", LinearRecipe(), out=tmp_path / "model.safetensors", callbacks=[Interrupt()])
    assert (cut.whole, cut.as_json()["whole"]) == (False, False)
    assert "stopped by an interrupt" in cut.fit_message
    assert predict(cut.model_path, "zoo").rows == 101
    assert train("zoo", LinearRecipe(), out=tmp_path / "model.safetensors").whole


def test_the_seconds_end_with_the_written_model(tmp_path, monkeypatch):
    clock = [0.0]

    def taking(seconds, original):
        def timed(*args, **options):
            clock[0] += seconds
            return original(*args, **options)

        return timed

    monkeypatch.setattr(training, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    monkeypatch.setattr(Classifier, "save", taking(10, Classifier.save))
    monkeypatch.setattr(training, "evaluate_rows", taking(200, training.evaluate_rows))
    monkeypatch.setattr(training, "cross_validate", taking(3000, training.cross_validate))
    assert train("zoo", LinearRecipe(), out=tmp_path / "model.safetensors").seconds == 10
    assert clock == [3210]


@pytest.mark.cross_validated
def test_iterations_and_refits_are_reported_through_one_channel(zoo_run, tmp_path):
    calls = []

    class Record(TrainingCallback):
        def iteration_done(self, record):
            calls.append(record.iteration)

        def refit_done(self, purpose, done, total):
            calls.append((purpose, done, total))

    recipe = recipe_from_entries({"training": {"C": 1}, "cross_validation": {"folds": 4, "repeats": 2}})
    train("zoo", recipe, out=tmp_path / "model.safetensors", callbacks=[Record()])
    iterations = list(range(zoo_run.epochs + 1))
    calibration = [("calibration", done, 10) for done in range(1, 11)]
    folds = [("cross-validation", done, 8) for done in range(1, 9)]
    assert calls == [*iterations, *calibration, *folds]


def test_the_former_name_of_callbacks_works_and_warns(tmp_path):
    seen = []

    class Record(TrainingCallback):
        def iteration_done(self, record):
            seen.append(record)

    recipe = recipe_from_entries({"calibration": {"method": "none"}})
    with pytest.warns(DeprecationWarning, match="observers is now called callbacks"):
        train("zoo", recipe, out=tmp_path / "model.safetensors", observers=[Record()])
    assert seen


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_the_same_number_of_threads_gives_the_same_bytes(kind, tmp_path):
    entries = {"model": {"kind": kind}, "cross_validation": {"folds": 0}}
    entries |= {"training": {"epochs": 3}} if kind == "mlp" else {}
    written, before = {}, torch.get_num_threads()
    try:
        for name, threads in (("one", 1), ("two", 2), ("two again", 2)):
            torch.set_num_threads(threads)
            run = train("zoo", recipe_from_entries(entries), out=tmp_path / f"{name}.safetensors")
            assert read_header(run.model_path).trained_on.threads == threads
            written[name] = run.model_path.read_bytes()
    finally:
        torch.set_num_threads(before)
    assert written["two"] == written["two again"]
    assert written["one"] != written["two"]  # at least in the entry itself
