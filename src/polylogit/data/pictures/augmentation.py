"""Data augmentation: random changes to training pictures that keep their class, drawn for each picture of a batch.

A whole batch of pixels is changed at once. The random numbers come from torch's global generator, which the training
loop seeds.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Int, Num
from torch import Tensor

__all__ = ["Augmentation"]


@dataclass(frozen=True)
class Augmentation:
    """Random mirror images, shifts and holes.

    Args:
        flip: Whether every second picture, by chance, is mirrored left to right.
        shift: The most pixels by which a picture is moved, up or down and left or right. The same as a random crop
            after padding by as many pixels.
        edge: What comes in at the edge of a picture that is moved: "black", or "nearest", the nearest pixel of the
            picture.
        cutout: Side of a square hole, in pixels, filled with black; its centre is anywhere in the picture, so that a
            part of it may be outside. 0: no hole.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> Augmentation(flip=True)(torch.tensor([[[[1, 2, 3]]]]).repeat(4, 1, 1, 1)).flatten(1).tolist()
        [[3, 2, 1], [1, 2, 3], [3, 2, 1], [3, 2, 1]]

    Source: He et al. (2016), Deep Residual Learning, section 4.2 (flips and shifts); DeVries and Taylor (2017),
    Improved Regularization of Convolutional Neural Networks with Cutout, section 3.2.
    """

    flip: bool = False
    shift: int = 0
    cutout: int = 0
    edge: Literal["black", "nearest"] = "black"

    @property
    def changes_anything(self) -> bool:
        """Whether there is anything to do."""
        return self.flip or self.shift > 0 or self.cutout > 0

    def __call__(self, pixels: Num[Tensor, "N C H W"]) -> Num[Tensor, "N C H W"]:
        """A changed copy of the batch."""
        return self.of_part(pixels, slice(None), len(pixels))

    def of_part(
        self, pixels: Num[Tensor, "M C H W"], chosen: Int[Tensor, " M"] | slice, batch: int
    ) -> Num[Tensor, "M C H W"]:
        """A changed copy of some pictures of a batch, changed as they are among all of its pictures.

        Args:
            pixels: The pictures.
            chosen: Their places in the batch, from 0.
            batch: N, the number of pictures in the batch, for each of which numbers are drawn.
        """
        count, channels, height, width = pixels.shape
        device = pixels.device
        rows = torch.arange(height, device=device).expand(count, height)
        columns = torch.arange(width, device=device).expand(count, width)
        if self.flip:
            mirrored = torch.rand(batch, 1, device=device)[chosen] < 0.5
            columns = torch.where(mirrored, columns.flip(1), columns)
        if self.shift:
            moves = torch.randint(2 * self.shift + 1, (2, batch, 1), device=device)[:, chosen]
            rows, columns = rows + moves[0], columns + moves[1]
            if self.edge == "black":
                pixels = torch.nn.functional.pad(pixels, (self.shift,) * 4)
            else:
                rows = (rows - self.shift).clamp_(0, height - 1)
                columns = (columns - self.shift).clamp_(0, width - 1)
        if self.shift or self.flip:
            # One gather with one index a pixel is six times as fast as indexing with rows and columns.
            places = (rows[:, :, None] * pixels.shape[3] + columns[:, None, :]).view(count, 1, height * width)
            moved = pixels.flatten(2).gather(2, places.expand(count, channels, height * width))
            pixels = moved.view(count, channels, height, width)
        if self.cutout:
            pixels = pixels.masked_fill(_holes(batch, height, width, self.cutout, device)[chosen], 0)
        return pixels


def _holes(count: int, height: int, width: int, side: int, device: torch.device) -> Tensor:
    """True inside each picture's hole, (N, 1, H, W)."""
    inside = []
    for length in (height, width):
        first = torch.randint(length, (count, 1), device=device) - side // 2
        place = torch.arange(length, device=device)
        inside.append((place >= first) & (place < first + side))
    return (inside[0][:, :, None] & inside[1][:, None, :])[:, None]
