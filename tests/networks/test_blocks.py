import pytest
import torch

from polylogit.networks.blocks import ResidualBlock, convolution


def test_a_block_adds_what_its_branch_makes():
    torch.manual_seed(0)
    block = ResidualBlock(4).eval()
    maps = torch.rand(2, 4, 5, 6)
    torch.testing.assert_close(block(maps) - maps, block.branch(maps))
    assert sum(parameter.numel() for parameter in block.parameters()) == 18 * 4**2 + 4 * 4


@pytest.mark.parametrize(("pool", "sides"), [(False, (7, 6)), (True, (3, 3))])
def test_a_convolution_keeps_the_sides_or_halves_them_and_is_rectified(pool, sides):
    torch.manual_seed(0)
    maps = convolution(1, 3, 5, pool=pool)(torch.randn(4, 1, 7, 6))
    assert maps.shape == (4, 3, *sides)
    assert float(maps.detach().min()) == 0
