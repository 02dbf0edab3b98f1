import pytest
import torch
from torch import nn

from polylogit.lessons.catalogue import choose_lessons
from polylogit.lessons.running import run_lesson
from polylogit.lessons.training_lessons import TrainingLesson


@pytest.mark.usefixtures("picture_data")
def test_the_recipe_takes_the_lectures_pictures():
    lesson = TrainingLesson.named("mnist-three-classes")
    assert lesson.inputs.shape == (18623, 1, 28, 28)
    assert lesson.targets.bincount().tolist() == [5923, 6742, 5958]
    assert (float(lesson.inputs.min()), float(lesson.inputs.max())) == pytest.approx((0.0, 1.0), abs=1e-7)


@pytest.mark.usefixtures("picture_data")
def test_the_recipe_starts_from_the_very_network_that_the_lecture_writes():
    lesson = TrainingLesson.named("mnist-zero-or-one-logit")
    torch.manual_seed(43052)
    printed = nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 1))
    logits = lesson.new_network()(lesson.inputs[:50])
    assert torch.equal(logits[:, :1], torch.zeros(50, 1))
    assert torch.allclose(logits[:, 1:], printed(lesson.inputs[:50]), atol=1e-6)


@pytest.mark.slow
@pytest.mark.usefixtures("picture_data")
@pytest.mark.parametrize(
    "name",
    ["mnist-zero-or-one-probability", "mnist-zero-or-one-logit", "mnist-three-classes", "fashion-mnist-a-picture"],
)
def test_what_comes_out_is_what_was_printed(name):
    result = run_lesson(choose_lessons([name])[0])
    assert result.fault == ""
    assert [row for row in result.rows if not row.ok] == []
