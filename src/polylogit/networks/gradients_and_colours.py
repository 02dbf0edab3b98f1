"""Oriented gradients and colours, cell by cell: a fixed first layer without weights, an option of `cnn`.

See also: `polylogit.networks.oriented_gradients`, the gradients alone, which do not see colour.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from polylogit.networks.oriented_gradients import OrientedGradients, nearness_to_cells

__all__ = ["GradientsAndColours"]


class GradientsAndColours(OrientedGradients):
    """The maps of oriented gradients, and beside them mean and deviation of each channel in each cell.

    With the weights w_p of the pixels p of a cell, as in `OrientedGradients`, and values x_p of a channel, the maps are

        m = sum_p w_p x_p    and    sqrt(sum_p w_p (x_p - i_p)^2),

    where i_p is the mean of m over the cells around p, with weights max(0, 1 - distance / c) along each axis: linear
    interpolation where c divides the side. Differences from a mean keep their digits where a picture is flat, unlike
    the mean square less the square of the mean. Both maps have the units of the pictures. There are no parameters, and
    no gradient reaches the pictures. A colour picture of 64 x 64 with 8 orientations and cells of 9 pixels:
    3x64x64 -> 14x8x8.

    Args:
        channels: C of the pictures.
        height: H of the pictures, in pixels.
        width: W of the pictures, in pixels.
        orientations: K, at least 3.
        cell: Side of the cells, in pixels, at least 1.

    Raises:
        RecipeError: An option is out of its range.

    Example:
        >>> maps = GradientsAndColours(3, height=8, width=8, orientations=4)(torch.ones(2, 3, 8, 8))
        >>> maps.shape, maps[0, :, 0, 0].round(decimals=3).tolist()
        (torch.Size([2, 10, 2, 2]), [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0])

    Source: as of `OrientedGradients`; mean and deviation of colours by place as in Stricker and Orengo (1995),
    Similarity of color images, section 4.
    """

    pixels_of_rows: Tensor
    pixels_of_columns: Tensor

    def __init__(self, channels: int, height: int, width: int, *, orientations: int = 8, cell: int = 4) -> None:
        super().__init__(height, width, orientations=orientations, cell=cell)
        self.channels = channels
        rows, columns = nearness_to_cells(height, cell).T, nearness_to_cells(width, cell)
        self.register_buffer("pixels_of_rows", (rows / rows.sum(1, keepdim=True)).contiguous())
        self.register_buffer("pixels_of_columns", columns / columns.sum(0))

    @property
    def form(self) -> tuple[int, int, int]:
        """Channels, rows and columns of the maps."""
        maps, rows, columns = super().form
        return maps + 2 * self.channels, rows, columns

    def _maps(self, pictures: Float[Tensor, "N C H W"]) -> Float[Tensor, "N D h w"]:
        pictures = pictures.contiguous()
        means = self._in_cells(pictures)
        rest = pictures - self.pixels_of_rows @ means @ self.pixels_of_columns
        return torch.cat([super()._maps(pictures), means, self._in_cells(rest.square()).sqrt()], dim=1)

    def _in_cells(self, values: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C h w"]:
        return self.cells_of_rows @ values @ self.cells_of_columns
