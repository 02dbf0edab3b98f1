"""The documents' own exhibit: eight rows, three classes, softmax once too often."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from polylogit.losses import cross_entropy_with_logits
from polylogit.misuse import MisuseWarning, diagnose, watch

ROWS = torch.tensor(
    [[1, 2, 1, 1], [2, 1, 3, 2], [3, 1, 3, 4], [4, 1, 5, 5], [1, 7, 5, 5], [1, 2, 5, 6], [1, 6, 6, 6], [1, 7, 7, 7]]
).float()
CLASSES = torch.tensor([2, 2, 2, 1, 1, 1, 0, 0])


class Net(nn.Module):
    """The documents' model: weights and one shared bias at 0, with softmax at the end or without."""

    def __init__(self, *, softmax):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.zeros(4, 3)), nn.Parameter(torch.zeros(1))
        self.softmax = softmax

    def forward(self, rows):
        scores = rows @ self.weight + self.bias
        return scores.softmax(1) if self.softmax else scores


def loss_after_1000_epochs(model, loss):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(1000):
        optimizer.zero_grad()
        loss(model(ROWS), CLASSES).backward()
        optimizer.step()
    return loss(model(ROWS), CLASSES).item()


@pytest.mark.parametrize("loss", [F.cross_entropy, cross_entropy_with_logits])
def test_softmax_twice_stays_behind(loss):
    assert loss_after_1000_epochs(Net(softmax=True), loss) == pytest.approx(0.738749, abs=5e-6)
    assert loss_after_1000_epochs(Net(softmax=False), loss) == pytest.approx(0.399962, abs=5e-6)


def test_the_mistake_is_found_before_the_first_step():
    findings = diagnose(Net(softmax=True), nn.CrossEntropyLoss(), ROWS, CLASSES)
    assert findings.codes == ("softmax-twice",)
    finding = findings[0]
    assert "log(1 + 2/e) = 0.5514" in finding.cost
    assert "8 rows" in finding.seen
    assert "Drop the softmax" in finding.fix
    assert finding.confidence >= 0.99
    assert diagnose(Net(softmax=False), nn.CrossEntropyLoss(), ROWS, CLASSES).codes == ()


def test_the_mistake_is_found_in_a_loop_of_ones_own():
    model, loss = Net(softmax=True), nn.CrossEntropyLoss()
    with pytest.warns(MisuseWarning, match="softmax-twice"), watch(model, loss) as watching:
        loss(model(ROWS), CLASSES).backward()
    assert watching.findings.codes == ("softmax-twice",)


def test_probabilities_taken_for_logits_read_wrong():
    """The documents' other exhibit: 1.9923 where the cross-entropy of the same probabilities is 2.4610."""
    with torch.random.fork_rng():
        torch.manual_seed(2023)
        draw = torch.rand(4, 7)
        probabilities = draw / draw.sum(1).reshape(4, -1)
        targets = torch.randint(0, 7, (4,))
    findings = diagnose(lambda rows: rows, nn.CrossEntropyLoss(), probabilities, targets)
    assert findings.codes == ("softmax-twice",)
    assert "the loss reads 1.9923 where the cross-entropy of these probabilities is 2.4610" in findings[0].seen
