import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from polylogit.classes import balanced_class_weight, class_indices, one_hot, ordered_class_names
from polylogit.errors import DataError


def test_numbers_are_ordered_as_numbers():
    assert ordered_class_names(["10", "9", "-1", "2.5"]) == ("-1", "2.5", "9", "10")


def test_equal_numbers_written_differently_stay_two_classes_in_a_fixed_order():
    assert ordered_class_names(["1.0", "1"]) == ordered_class_names(["1", "1.0"]) == ("1", "1.0")


def test_texts_are_ordered_as_texts():
    assert ordered_class_names(["fish", "10", "bird"]) == ("10", "bird", "fish")


def test_an_unknown_label_is_named_with_its_row():
    with pytest.raises(DataError, match='row 2: the class "cat" is none of the 2 classes'):
        class_indices(["fish", "cat"], ("bird", "fish"))


def test_one_hot_of_the_documents():
    # The draw of the cross-entropy exercises: torch.manual_seed(2023), four labels out of seven.
    expected = torch.zeros(4, 7)
    expected[range(4), [6, 2, 4, 3]] = 1
    assert torch.equal(one_hot(torch.tensor([6, 2, 4, 3]), 7), expected)


@pytest.mark.parametrize(("index", "row"), [(3, 1), (-1, 1)])
def test_an_index_outside_the_classes_is_named(index, row):
    with pytest.raises(DataError, match=rf"targets\[{row}\]: expected a class index from 0 to 2, got {index}"):
        one_hot(torch.tensor([0, index]), 3)


def test_balanced_weights_are_those_of_scikit_learn():
    targets = torch.tensor([0] * 5 + [1] * 3 + [2])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=targets.numpy())
    torch.testing.assert_close(balanced_class_weight(targets, 3), torch.tensor(expected, dtype=torch.float64))
    times = torch.arange(len(targets)) % 3 + 1
    repeated = balanced_class_weight(targets.repeat_interleave(times), 3)
    torch.testing.assert_close(balanced_class_weight(targets, 3, times.double()), repeated)


def test_a_class_without_rows_has_no_weight():
    assert balanced_class_weight(torch.tensor([0, 0]), 3).tolist() == pytest.approx([1 / 3, 0, 0])
