"""Parts that convolutional networks share: a normalised convolution, and the residual block made of two."""

from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["ResidualBlock", "convolution"]


class ResidualBlock(nn.Module):
    """Maps plus what two convolutions make of them.

    maps + branch(maps), the branch being two of Conv2d(3 x 3) -> BatchNorm2d -> ReLU. Of 18 c^2 + 4 c parameters.

    Args:
        width: c, the channels before and after.

    Example:
        >>> import torch
        >>> ResidualBlock(8)(torch.zeros(2, 8, 5, 5)).shape
        torch.Size([2, 8, 5, 5])

    Source: He et al. (2016), Deep Residual Learning for Image Recognition, section 3.2.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(convolution(width, width, 3), convolution(width, width, 3))

    def forward(self, maps: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        """The maps after the block."""
        branch: Tensor = self.branch(maps)
        return maps + branch


def convolution(before: int, after: int, kernel: int, *, pool: bool = False) -> nn.Sequential:
    """Convolution that keeps the picture's sides, halved by pooling where asked, then normalised and rectified.

    Args:
        before: Channels that come in.
        after: Channels that go out.
        kernel: Side of the kernels, odd.
        pool: Whether the greatest of each 2 x 2 values is kept.

    Returns:
        Conv2d [-> MaxPool2d(2)] -> BatchNorm2d -> ReLU.

    Example:
        >>> import torch
        >>> convolution(1, 4, 5, pool=True)(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 4, 4, 4])
    """
    layer = nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False)
    halved: list[nn.Module] = [nn.MaxPool2d(2)] if pool else []
    return nn.Sequential(layer, *halved, nn.BatchNorm2d(after), nn.ReLU(inplace=True))
