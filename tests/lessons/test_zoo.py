from polylogit.lessons.zoo import TYPES, zoo_rows


def test_the_rows_are_the_tables():
    inputs, targets = zoo_rows()
    assert inputs.shape == (101, 16)
    assert set(inputs[:, 12].tolist()) == {0, 2, 4, 5, 6, 8}  # legs
    milk = inputs[:, 3] == 1
    assert {TYPES[index] for index in targets[milk].tolist()} == {"mammal"}
