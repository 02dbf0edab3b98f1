"""Histograms of oriented gradients: a fixed first layer without weights, an option of `cnn`.

A network that starts from them does not have to learn edges first.
"""

import math
from contextlib import nullcontext

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polylogit.errors import RecipeError

__all__ = ["OrientedGradients", "nearness_to_cells"]

_FLAT = 0.05
_TINY = 1e-6
_VALUES_AT_ONCE = 2**19
"""So many shares of gradients, 2 MiB, stay in the cache while they are worked on."""


class OrientedGradients(nn.Module):
    """How strongly the brightness rises in each direction, cell by cell, whatever the light.

    At each pixel the gradient is g = (right - left, below - above), edges repeated, of the channel where it is
    longest. Direction k of K is u_k = (cos 2 pi k / K, sin 2 pi k / K), and takes the share

        b_k = max(0, g . u_k)^3 / |g|^2,

    so that a gradient between two directions falls to both. A cell of side c weighs the pixels around its centre by
    max(0, 1 - distance / c) along each axis, the weights summing to 1, and gives h_k. With e the mean over a cell and
    its eight neighbours (edges repeated) of sum_k h_k^2, the maps are

        sqrt(h_k / sqrt(e + 0.05^2)).

    The 0.05, in units of the pictures as they come, which are about 1 in deviation, keeps flat parts flat. There are no
    parameters, and no gradient reaches the pictures. A picture of 28 x 28 with the defaults: 1x28x28 -> 8x7x7.

    Args:
        height: H of the pictures, in pixels.
        width: W of the pictures, in pixels.
        orientations: K, at least 3.
        cell: c, in pixels, at least 1.

    Raises:
        RecipeError: An option is out of its range.

    Example:
        >>> brighter_to_the_right = torch.arange(8.0).expand(1, 1, 8, 8)
        >>> maps = OrientedGradients(height=8, width=8, orientations=4)(brighter_to_the_right)
        >>> maps.shape, maps[0].argmax(0).tolist()
        (torch.Size([1, 4, 2, 2]), [[0, 0], [0, 0]])

    Source: Dalal and Triggs (2005), Histograms of Oriented Gradients for Human Detection, sections 6.2 to 6.4; the root
    from Arandjelovic and Zisserman (2012), Three things everyone should know to improve object retrieval, section 3.
    """

    directions: Tensor
    cells_of_rows: Tensor
    cells_of_columns: Tensor

    def __init__(self, height: int, width: int, *, orientations: int = 8, cell: int = 4) -> None:
        super().__init__()
        if orientations < 3:
            raise RecipeError(f"orientations: expected at least 3 directions, or 0 for none, got {orientations}.")
        if cell < 1:
            raise RecipeError(f"cell: expected a side of at least 1 pixel, got {cell}.")
        angles = torch.arange(orientations) * (2 * math.pi / orientations)
        # These follow from the options, and stand in the model file all the same: it is then the whole function.
        self.register_buffer("directions", torch.stack([angles.cos(), angles.sin()])[:, :, None, None])
        self.register_buffer("cells_of_rows", _weights_of_cells(height, cell))
        self.register_buffer("cells_of_columns", _weights_of_cells(width, cell).T.contiguous())

    @property
    def form(self) -> tuple[int, int, int]:
        """Channels, rows and columns of the maps."""
        return self.directions.shape[1], self.cells_of_rows.shape[0], self.cells_of_columns.shape[1]

    @torch.no_grad()
    def forward(self, pictures: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K h w"]:
        """The maps, in float32."""
        device = pictures.device.type
        # A model file is tried on the device "meta", which knows no autocast.
        known = torch.amp.is_autocast_available(device)
        with torch.autocast(device, enabled=False) if known else nullcontext():
            if torch.compiler.is_compiling():  # a program has one number of blocks for batches of every size
                return self._maps(pictures.float()).contiguous(memory_format=torch.channels_last)
            rows = max(1, _VALUES_AT_ONCE // (self.form[0] * pictures.shape[2] * pictures.shape[3]))
            blocks = [self._maps(block) for block in torch.split(pictures.float(), rows)]
            return torch.cat(blocks).contiguous(memory_format=torch.channels_last)

    def _maps(self, pictures: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K h w"]:
        across, down = _longest_gradient(pictures)
        squared = (across * across).addcmul_(down, down).add_(_TINY)
        share = across * self.directions[0]
        share = share.addcmul_(down.expand_as(share), self.directions[1].expand_as(share)).relu_()
        share = (share * share).mul_(share.div_(squared))
        cells = (self.cells_of_rows @ share) @ self.cells_of_columns  # rows first: 1.5 times as fast
        energy = nn.functional.pad(cells.square().sum(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
        scale = nn.functional.avg_pool2d(energy, 3, stride=1).add_(_FLAT**2).rsqrt_()
        return (cells * scale).sqrt_()


def _weights_of_cells(side: int, cell: int) -> Float[Tensor, "cells side"]:
    """The weight of each pixel along one axis in each cell; those of a cell sum to 1."""
    weights = nearness_to_cells(side, cell)
    return weights / weights.sum(1, keepdim=True)


def nearness_to_cells(side: int, cell: int) -> Float[Tensor, "cells side"]:
    """How near each pixel along one axis is to the centre of each cell: 1 there, 0 from a cell's side away.

    Args:
        side: Pixels along the axis.
        cell: Side of the cells, in pixels.

    Example:
        >>> nearness_to_cells(4, 2).tolist()
        [[0.75, 0.75, 0.25, 0.0], [0.0, 0.25, 0.75, 0.75]]
    """
    cells = math.ceil(side / cell)
    centres = (torch.arange(cells) + 0.5) * (side / cells) - 0.5
    distances = (torch.arange(side) - centres[:, None]).abs()
    return (1 - distances / cell).clamp_min(0)


def _longest_gradient(
    pictures: Float[Tensor, "N C H W"],
) -> tuple[Float[Tensor, "N 1 H W"], Float[Tensor, "N 1 H W"]]:
    """Differences across and down, at each pixel of the channel where both together are greatest."""
    framed = nn.functional.pad(pictures.contiguous(), (1, 1, 1, 1), mode="replicate")
    across = framed[:, :, 1:-1, 2:] - framed[:, :, 1:-1, :-2]
    down = framed[:, :, 2:, 1:-1] - framed[:, :, :-2, 1:-1]
    lengths = across.square() + down.square()
    longest_across, longest_down, longest = across[:, :1], down[:, :1], lengths[:, :1]
    for channel in range(1, pictures.shape[1]):  # comparing channels takes a fifth of the time of argmax over them
        one = slice(channel, channel + 1)
        longer = lengths[:, one] > longest
        longest = torch.where(longer, lengths[:, one], longest)
        longest_across = torch.where(longer, across[:, one], longest_across)
        longest_down = torch.where(longer, down[:, one], longest_down)
    return longest_across, longest_down
