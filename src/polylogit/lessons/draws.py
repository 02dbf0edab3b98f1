"""Lessons on drawn probabilities: seeds, rows that sum to one, one-hot rows, and the loss of probabilities.

The systems of the document that starts from drawn predictions; its numbers are in `numbers/draws.toml`.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from polylogit.classes import class_indices, one_hot
from polylogit.lessons.catalogue import Measurements
from polylogit.losses import cross_entropy_with_logits, cross_entropy_with_probabilities
from polylogit.misuse import diagnose

__all__ = ["MEASURES"]

CLASSES = 7
ROWS = 4


def seeded_draws() -> Measurements:
    """A seed fixes what is drawn; the shape only says how the draws are laid out.

    The document's listing for the second draw names seed 0; what it prints are the draws of seed 2023.
    """
    measured = {}
    for quantity, seed, draw, shape in (
        ("5 normal draws, seed 0", 0, torch.randn, (5,)),
        ("5 normal draws, seed 2023", 2023, torch.randn, (5,)),
        ("2 x 3 normal draws, seed 2023", 2023, torch.randn, (2, 3)),
        ("2 x 3 uniform draws, seed 2023", 2023, torch.rand, (2, 3)),
    ):
        torch.manual_seed(seed)
        measured[quantity] = draw(shape).tolist()
    return measured


def rows_that_sum_to_one() -> Measurements:
    """(4, 7) divides by (4, 1), one sum for each row; by (4,) it cannot."""
    torch.manual_seed(2023)
    drawn = torch.rand(ROWS, CLASSES)
    sums = drawn.sum(dim=1)
    try:
        drawn / sums
        by_flat_sums = "divided"
    except RuntimeError:
        by_flat_sums = "refused"
    probabilities = drawn / sums.reshape(ROWS, 1)
    return {
        "uniform draws, seed 2023": drawn.tolist(),
        "shape (4, 7) divided by shape (4,)": by_flat_sums,
        "rows divided by their sums": probabilities.tolist(),
        "row sums": probabilities.sum(dim=1).tolist(),
    }


def one_hot_encoding() -> Measurements:
    """Dog, cat and rabbit have no order and no mean, so none of them is more than another."""
    names = ("dog", "cat", "rabbit")
    torch.manual_seed(2023)
    targets = torch.randint(0, CLASSES, (ROWS,))
    return {
        "dog, cat, rabbit": one_hot(class_indices(names, names), classes=3).tolist(),
        "class indices, seed 2023": targets.tolist(),
        "their one-hot rows": one_hot(targets, classes=CLASSES).tolist(),
    }


def cross_entropy_of_probabilities() -> Measurements:
    """Three spellings by hand, and the function that checks what it is given."""
    probabilities, targets = _drawn_probabilities()
    rows = one_hot(targets, classes=CLASSES)
    row, column = torch.where(rows == 1)
    return {
        "loss, by index": -probabilities[torch.arange(ROWS), targets].log().mean().item(),
        "loss, by one-hot rows and sum": -(probabilities * rows).sum(dim=1).log().mean().item(),
        "loss, by the positions of the ones": -probabilities[row, column].log().mean().item(),
        "cross_entropy_with_probabilities, class indices": cross_entropy_with_probabilities(
            probabilities, targets
        ).item(),
        "cross_entropy_with_probabilities, one-hot rows": cross_entropy_with_probabilities(probabilities, rows).item(),
    }


def probabilities_taken_for_logits() -> Measurements:
    """A loss of logits accepts any numbers, so it accepts probabilities and gives a wrong value without a warning."""
    probabilities, targets = _drawn_probabilities()
    return {
        "wrong loss, of probabilities taken for logits": cross_entropy_with_logits(probabilities, targets).item(),
        "right loss": cross_entropy_with_probabilities(probabilities, targets).item(),
        "what the detector says of it": ", ".join(
            diagnose(nn.Identity(), nn.CrossEntropyLoss(), probabilities, targets).codes
        ),
    }


def _drawn_probabilities() -> tuple[Float[Tensor, "4 7"], Int[Tensor, "4"]]:
    torch.manual_seed(2023)
    drawn = torch.rand(ROWS, CLASSES)
    return drawn / drawn.sum(dim=1, keepdim=True), torch.randint(0, CLASSES, (ROWS,))


MEASURES = {
    "seeded-draws": seeded_draws,
    "rows-that-sum-to-one": rows_that_sum_to_one,
    "one-hot-encoding": one_hot_encoding,
    "cross-entropy-of-probabilities": cross_entropy_of_probabilities,
    "probabilities-taken-for-logits": probabilities_taken_for_logits,
}
"""The lessons of this file by their ids."""
