"""The residual convolutional network, for the best accuracy on pictures.

See also: `polylogit.networks.cnn`, plainer and faster.
"""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from polylogit.errors import RecipeError
from polylogit.network_sections import RESIDUAL
from polylogit.networks.blocks import ResidualBlock, convolution
from polylogit.networks.test_time_augmentation import check_views, mean_over_views

__all__ = ["ResidualNetwork"]

_LOGIT_SCALE = 0.5


class ResidualNetwork(nn.Module):
    """A stem, then stages of a convolution and residual blocks, then the greatest value of each channel.

    Stem: Conv2d(k x k, to `stem` channels) -> MaxPool2d(2) -> BatchNorm2d -> ReLU.
    Stage of width c: Conv2d(3 x 3, to c) [-> MaxPool2d(2), from the second stage on] -> BatchNorm2d -> ReLU, then
    `blocks` times x + block(x), a block being two of Conv2d(3 x 3) -> BatchNorm2d -> ReLU. The logits are scaled by
    1/2, which evens out the steps of the linear layer.

    The defaults on 28 x 28 grey pictures, 10 classes: 1x28x28 -> 32x14x14 -> 64x14x14 -> 128x7x7 -> 128 -> 10,
    464,106 parameters. A
    stage from b to c channels has 9 b c + 18 blocks c^2 + (2 + 4 blocks) c parameters.

    Args:
        channels: C of the pictures.
        height: H of the pictures, in pixels, at least 4.
        width: W of the pictures, in pixels, at least 4.
        classes: K, the number of classes.
        stem: Channels after the stem.
        stem_kernel: Side of the stem's kernels, odd.
        widths: Channels of each stage.
        blocks: Residual blocks in each stage.
        dropout: The share of the last layer's inputs that is set to zero in training, in [0, 1).
        views: What is averaged over outside training; see `polylogit.networks.test_time_augmentation`.

    Raises:
        RecipeError: An option is out of its range, or the pictures are too small for the stages.

    Example:
        >>> import torch
        >>> network = ResidualNetwork(channels=1, height=28, width=28, classes=10)
        >>> network(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
        >>> sum(parameter.numel() for parameter in network.parameters())
        464106

    Source: He et al. (2016), Deep Residual Learning for Image Recognition, section 3.2; the stages follow the small
    network of Page (2018), How to Train Your ResNet.
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        classes: int,
        *,
        stem: int = RESIDUAL.stem,
        stem_kernel: int = RESIDUAL.stem_kernel,
        widths: Sequence[int] = RESIDUAL.widths,
        blocks: int = RESIDUAL.blocks,
        dropout: float = RESIDUAL.dropout,
        views: str = RESIDUAL.views,
    ) -> None:
        super().__init__()
        check_views(views)
        if not widths or stem < 1 or blocks < 0 or any(count < 1 for count in widths):
            raise RecipeError(
                f"stem, widths and blocks: expected counts of at least 1, got {stem}, {list(widths)} and {blocks}."
            )
        if stem_kernel < 1 or stem_kernel % 2 == 0:
            raise RecipeError(f"stem_kernel: expected an odd number, got {stem_kernel}.")
        if not 0 <= dropout < 1:
            raise RecipeError(f"dropout: expected a share in [0, 1), got {dropout}.")
        if min(height, width) >> len(widths) < 1:
            raise RecipeError(
                f"pictures of {height} x {width} pixels are too small for {len(widths)} stages: each needs twice the "
                "side of the one before. Take fewer widths or larger pictures."
            )
        layers: list[nn.Module] = [convolution(channels, stem, stem_kernel, pool=True)]
        before = stem
        for index, after in enumerate(widths):
            layers.append(convolution(before, after, 3, pool=index > 0))
            layers += [ResidualBlock(after) for _ in range(blocks)]
            before = after
        self.layers = nn.Sequential(*layers)
        self.views = views
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(before, classes)

    def forward(self, inputs: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K"]:
        """Logits of the pictures; in evaluation mode their mean over the views."""
        return self._logits(inputs) if self.training else mean_over_views(self._logits, inputs, self.views)

    def _logits(self, inputs: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K"]:
        maps: Tensor = self.layers(inputs)
        features = nn.functional.max_pool2d(maps, (maps.shape[2], maps.shape[3])).flatten(1)
        logits: Tensor = self.linear(self.dropout(features)) * _LOGIT_SCALE
        return logits
