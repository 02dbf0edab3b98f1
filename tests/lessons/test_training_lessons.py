"""Every training lesson is a recipe, and the command line trains by it what the lesson measures."""

import json
from pathlib import Path

import pytest
import torch

from polylogit.errors import RecipeError
from polylogit.lessons.catalogue import all_lessons, choose_lessons
from polylogit.lessons.running import MEASURES
from polylogit.lessons.training_lessons import TrainingLesson
from polylogit.recipes import shipped_recipes

TRAINED = [lesson for lesson in all_lessons() if lesson.data]
WITHOUT_A_RECIPE = {"eight-rows-softmax-twice", "mnist-zero-or-one-probability"}
"""What a recipe cannot ask for: probabilities where a loss takes logits, and the lesson on probabilities itself."""


def printed(name):
    return {number.quantity: number for number in choose_lessons([name])[0].numbers}


def test_every_lesson_that_trains_has_a_recipe_of_its_name_but_two():
    assert {lesson.id for lesson in TRAINED} <= set(shipped_recipes())
    trains = {lesson.id for lesson in all_lessons() for number in lesson.numbers if "epoch" in number.quantity}
    trains |= {lesson.id for lesson in all_lessons() for number in lesson.numbers if "trained on" in number.quantity}
    assert trains - {lesson.id for lesson in TRAINED} == WITHOUT_A_RECIPE


def test_a_lesson_that_is_no_training_run_has_no_recipe():
    with pytest.raises(RecipeError, match="softmax-of-a-vector: the lesson is no training run"):
        TrainingLesson.named("softmax-of-a-vector")


@pytest.mark.parametrize("name", ["zoo-cross-entropy", "zoo-module", "eight-rows-cross-entropy"])
def test_the_command_gives_the_losses_that_the_lesson_measures_and_the_document_prints(name, polylogit):
    (lesson,) = choose_lessons([name])
    done = polylogit(*lesson.command.split()[1:], "--set", "training.epochs=201", "--json")
    assert done.exit_code == 0
    result = json.loads(done.stdout)
    assert result["test"] is None
    history = [json.loads(line) for line in Path(result["history_path"]).read_text(encoding="utf-8").splitlines()]
    losses = [record["train_loss"] for record in history]
    again = TrainingLesson.named(name, epochs=201)
    assert losses == again.fit(again.new_network())
    compared = 0
    for quantity, number in printed(name).items():
        epoch = int(quantity.rpartition(" ")[2]) if quantity.startswith("loss at epoch") else 10_000
        if epoch <= 200:
            assert losses[epoch] == pytest.approx(number.expected, abs=number.tolerance), quantity
            compared += 1
    assert compared == {"zoo-cross-entropy": 1}.get(name, 3)


def test_the_recipe_of_the_drawn_start_differs_from_the_lesson_in_its_start_alone(polylogit):
    done = polylogit("train", "eight-rows", "--recipe", "eight-rows-module", "--set", "training.epochs=3", "--json")
    history = Path(json.loads(done.stdout)["history_path"]).read_text(encoding="utf-8").splitlines()
    torch.manual_seed(1)
    start = torch.nn.Linear(4, 3)
    lesson = TrainingLesson.named("eight-rows-module")
    expected = torch.nn.functional.cross_entropy(start(lesson.inputs), lesson.targets).item()
    assert json.loads(history[0])["train_loss"] == pytest.approx(expected, abs=1e-6)
    assert expected != pytest.approx(printed("eight-rows-module")["loss at epoch 0"].expected, abs=0.1)


@pytest.mark.slow
@pytest.mark.usefixtures("picture_data")
@pytest.mark.parametrize(
    ("name", "quantity"),
    [
        ("mnist-zero-or-one-logit", "the same as a softmax of two classes"),
        ("mnist-three-classes", "accuracy on the rows trained on"),
    ],
)
def test_the_command_is_right_as_often_as_the_lesson_and_the_document(name, quantity, polylogit):
    done = polylogit(*choose_lessons([name])[0].command.split()[1:], "--json")
    assert done.exit_code == 0
    accuracy = json.loads(done.stdout)["train"]["accuracy"]
    number = printed(name)[quantity]
    assert accuracy == pytest.approx(number.expected, abs=number.tolerance)
    assert accuracy == MEASURES[name]()[quantity]


def test_epochs_are_counted_in_the_order_of_the_documents_classes():
    lesson = TrainingLesson.named("zoo-module")
    assert lesson.task.class_names[3] == "fish"
    assert lesson.inputs.shape == (101, 16)
    assert set(lesson.inputs[:, 12].tolist()) == {0, 2, 4, 5, 6, 8}  # legs, as they stand in the table
    milk = lesson.inputs[:, 3] == 1
    assert {lesson.task.class_names[index] for index in lesson.targets[milk].tolist()} == {"mammal"}
