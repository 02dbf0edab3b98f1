import pytest
import torch

from polylogit.evaluation import permutation_importance


def test_what_is_not_used_counts_nothing_and_what_is_used_counts_its_loss():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(4000, 2, generator=generator)
    logits = torch.stack([2 * inputs[:, 0], torch.zeros(4000)], dim=1)
    targets = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]

    def shuffled(column, order):
        return logits if column == "unused" else logits[order]

    used, unused = permutation_importance(["used", "unused"], shuffled, logits, targets)
    assert (unused.mean, unused.spread) == (0.0, 0.0)
    # shuffled, the logits know nothing of the targets: what remains is their mean loss over all pairs of rows
    pairs = torch.nn.functional.cross_entropy(
        logits.repeat(50, 1), targets[torch.randint(4000, (200_000,), generator=generator)]
    )
    before = torch.nn.functional.cross_entropy(logits, targets)
    assert used.mean == pytest.approx(float(pairs - before), rel=0.03)
    assert 0 < used.spread < 0.1 * used.mean


def test_the_seed_decides():
    logits, targets = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)), torch.arange(50) % 3

    def shuffled(column, order):
        return logits[order]

    first, again, other = (permutation_importance(["a"], shuffled, logits, targets, seed=seed) for seed in (0, 0, 1))
    assert first == again != other


def test_weights_equal_repetition_where_rows_keep_their_scores():
    logits, targets = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 3
    weights = torch.arange(40) % 4

    def all_the_same(_, order):
        return torch.zeros(len(order), 3)

    (weighted,) = permutation_importance(["a"], all_the_same, logits, targets, sample_weight=weights.double())
    repeated = (logits.repeat_interleave(weights, 0), targets.repeat_interleave(weights))
    assert permutation_importance(["a"], all_the_same, *repeated)[0].mean == pytest.approx(weighted.mean)
