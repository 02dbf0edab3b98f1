import pytest
import torch

from polylogit.lessons.catalogue import choose_lessons
from polylogit.lessons.running import run_lesson
from polylogit.lessons.training_lessons import TrainingLesson


def test_the_loop_walks_as_plain_torch_does_with_the_documents_shared_bias():
    lesson = TrainingLesson.named("eight-rows-cross-entropy", epochs=30)
    assert lesson.inputs.tolist()[3] == [4, 1, 5, 5]
    assert lesson.targets.tolist() == [2, 2, 2, 1, 1, 1, 0, 0]
    weight, bias = torch.zeros(4, 3, requires_grad=True), torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([weight, bias], lr=0.1)
    expected = []
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(lesson.inputs @ weight + bias, lesson.targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        expected.append(loss.item())
    assert lesson.fit(lesson.new_network()) == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["softmax-twice", "cross-entropy", "module"])
def test_what_comes_out_is_what_was_printed(name):
    (lesson,) = choose_lessons([f"eight-rows-{name}"])
    result = run_lesson(lesson)
    assert [row for row in result.rows if not row.ok] == []
