import torch

from polylogit.data.pictures.augmentation import Augmentation


def batch(count=300):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(1, 256, (count, 3, 8, 6), dtype=torch.uint8, generator=generator)


def test_a_flip_mirrors_about_half_of_the_pictures_and_leaves_the_others():
    pictures = batch()
    torch.manual_seed(0)
    changed = Augmentation(flip=True)(pictures)
    mirrored = (changed == pictures.flip(3)).flatten(1).all(1)
    left = (changed == pictures).flatten(1).all(1)
    assert bool((mirrored ^ left).all())
    assert 100 < int(mirrored.sum()) < 200


def test_a_shift_moves_whole_pictures_and_brings_in_black():
    pictures = batch()
    torch.manual_seed(0)
    changed = Augmentation(shift=2)(pictures)
    padded = torch.nn.functional.pad(pictures, (2, 2, 2, 2))
    moves = set()
    for before, after in zip(padded, changed, strict=True):
        places = [
            (down, right)
            for down in range(5)
            for right in range(5)
            if torch.equal(before[:, down : down + 8, right : right + 6], after)
        ]
        assert len(places) == 1
        moves.update(places)
    assert len(moves) == 25


def test_the_nearest_pixels_come_in_at_the_edge_where_asked():
    pictures = batch(count=100)
    torch.manual_seed(0)
    black = Augmentation(flip=True, shift=2)(pictures)
    torch.manual_seed(0)
    nearest = Augmentation(flip=True, shift=2, edge="nearest")(pictures)
    inside = black > 0  # the pictures themselves have no black
    assert torch.equal(nearest[inside], black[inside])
    padded = torch.nn.functional.pad(pictures.float(), (2, 2, 2, 2), mode="replicate").to(torch.uint8)
    for before, after in zip(padded, nearest, strict=True):
        places = [
            torch.equal(side[:, down : down + 8, right : right + 6], after)
            for side in (before, before.flip(2))
            for down in range(5)
            for right in range(5)
        ]
        assert any(places)


def test_a_hole_is_a_black_square_and_nothing_else_changes():
    pictures = batch()
    torch.manual_seed(0)
    changed = Augmentation(cutout=4)(pictures)
    holes = changed == 0
    assert bool((changed[~holes] == pictures[~holes]).all())
    sizes = holes[:, 0].flatten(1).sum(1)
    assert int(sizes.max()) == 16
    assert int(sizes.min()) >= 4
    assert bool((holes == holes[:, :1]).all())


def test_nothing_asked_changes_nothing():
    pictures = batch(4)
    assert torch.equal(Augmentation()(pictures), pictures)
    assert not Augmentation().changes_anything
    assert Augmentation(cutout=2).changes_anything


def test_all_together_give_pictures_of_the_same_form():
    pictures = batch(5)
    changed = Augmentation(flip=True, shift=1, cutout=3)(pictures)
    assert changed.shape == pictures.shape
    assert changed.dtype == torch.uint8
