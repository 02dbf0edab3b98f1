import pytest
import torch

from polylogit.lessons.catalogue import choose_lessons
from polylogit.lessons.eight_rows import INPUTS, TARGETS, descend, linear_from_zero
from polylogit.lessons.running import run_lesson


def test_the_loop_walks_as_plain_torch_does_with_the_documents_shared_bias():
    weight, bias = torch.zeros(4, 3, requires_grad=True), torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([weight, bias], lr=0.1)
    expected = []
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(INPUTS @ weight + bias, TARGETS)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        expected.append(loss.item())
    assert descend(linear_from_zero(4, 3), INPUTS, TARGETS, epochs=29) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", ["softmax-twice", "cross-entropy", "module"])
def test_what_comes_out_is_what_was_printed(name):
    (lesson,) = choose_lessons([f"eight-rows-{name}"])
    result = run_lesson(lesson)
    assert [row for row in result.rows if not row.ok] == []
