"""Pictures as uint8 pixels in memory (N x C x H x W), and the encoder that normalises them a batch at a time.

See also: `polylogit.data.pictures.files` (files) and `polylogit.data.pictures.named` (data sets).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from polylogit.errors import DataError, ModelFileError

__all__ = ["Background", "PictureEncoder", "Pictures", "pictures_from_array"]

Background = Literal["white", "black"]
"""The colour behind the transparent pixels of a picture file."""

ROWS_AT_ONCE = 4096
"""Rows that statistics are taken of together."""


@dataclass(frozen=True)
class Pictures:
    """Pictures of one size.

    Args:
        pixels: Values from 0 to 255.
        files: The file of each picture, where they came from files.
    """

    pixels: UInt8[Tensor, "N C H W"]
    files: tuple[str, ...] | None = None


def pictures_from_array(
    array: npt.NDArray[np.generic] | Tensor, place: str = "the pictures"
) -> UInt8[Tensor, "N C H W"]:
    """Pixels from an array of pictures; nothing is copied where nothing must be moved.

    Args:
        array: uint8 of shape (N, H, W), (N, C, H, W) or (N, H, W, C), where C is 1 (grey) or 3 (colour).
        place: What messages call the array.

    Returns:
        The pixels, channels first.

    Raises:
        DataError: Another dtype or shape came.

    Example:
        >>> pictures_from_array(np.zeros((2, 28, 28), dtype=np.uint8)).shape
        torch.Size([2, 1, 28, 28])
    """
    pixels = array if isinstance(array, Tensor) else torch.from_numpy(array)
    if pixels.dtype != torch.uint8:
        raise DataError(
            f"{place}: expected uint8 values from 0 to 255, got {pixels.dtype}. "
            "Where the values lie in [0, 1], hand in (255 * values).round() as uint8."
        )
    shape = tuple(pixels.shape)
    if pixels.ndim == 3:
        pixels = pixels[:, None]
    elif pixels.ndim == 4 and shape[1] not in (1, 3) and shape[3] in (1, 3):
        pixels = pixels.permute(0, 3, 1, 2)
    if pixels.ndim != 4 or pixels.shape[1] not in (1, 3) or 0 in shape:
        raise DataError(
            f"{place}: expected the shape (N, H, W), (N, C, H, W) or (N, H, W, C) with C 1 or 3, got {shape}."
        )
    return pixels


class PictureEncoder:
    """A fitted normalisation of pictures, channel by channel.

    prepared[n, c] = (pixels[n, c] / 255 - mean[c]) / scale[c]

    The pictures stay bytes until a batch of them goes to the network: `prepare` is called per batch.

    Args:
        height: H, in pixels.
        width: W, in pixels.
        mean: Mean of each channel of the training pictures, float64, between 0 and 1.
        scale: Their positive standard deviation, float64; 1 for a channel that is constant.
        background: The colour behind transparent pixels of picture files; None: their transparency is ignored, as
            models of version 0.1 do.

    Attributes:
        pixel_mean: What `prepare` subtracts from the pixels, float32 of shape (C, 1, 1).
        pixel_factor: What it multiplies the rest by, of the same shape.

    Example:
        >>> pixels = torch.tensor([0, 255], dtype=torch.uint8).reshape(2, 1, 1, 1)
        >>> encoder = PictureEncoder.fit(pixels)
        >>> encoder.prepare(pixels).flatten().tolist()
        [-1.0, 1.0]
    """

    kind = "picture"

    def __init__(
        self,
        height: int,
        width: int,
        mean: Float[Tensor, " C"],
        scale: Float[Tensor, " C"],
        background: Background | None = "white",
    ) -> None:
        self.background = background
        self.height = height
        self.width = width
        self.mean = mean
        self.scale = scale
        # In float32 and in units of a pixel value, so that a batch is prepared with one subtraction and one product.
        self.pixel_mean = (255 * mean).float()[:, None, None]
        self.pixel_factor = (1 / (255 * scale)).float()[:, None, None]

    @property
    def channels(self) -> int:
        """C: 1 for grey, 3 for colour."""
        return len(self.mean)

    @property
    def features(self) -> int:
        """C * H * W, the features that a linear network sees."""
        return self.channels * self.height * self.width

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """The shape of one prepared picture: (C, H, W)."""
        return self.channels, self.height, self.width

    @property
    def prepared_shape(self) -> tuple[int, ...]:
        """The shape of one picture after `prepare`: what the network takes."""
        return self.input_shape

    @classmethod
    def fit(cls, pixels: UInt8[Tensor, "N C H W"], background: Background | None = "white") -> "PictureEncoder":
        """Learn the means and scales, exactly, from how often each value stands in each channel.

        Args:
            pixels: Of the training pictures.
            background: The colour behind transparent pixels.

        Returns:
            The fitted encoder.
        """
        channels, height, width = pixels.shape[1:]
        return cls.fit_blocks(torch.split(pixels, ROWS_AT_ONCE), (channels, height, width), background)

    @classmethod
    def fit_blocks(
        cls,
        blocks: Iterable[UInt8[Tensor, "_ C H W"]],
        form: tuple[int, int, int],
        background: Background | None = "white",
    ) -> "PictureEncoder":
        """The same from pictures that come block by block.

        Args:
            blocks: Pixels of the training pictures.
            form: Their channels, height and width.
            background: The colour behind transparent pixels.

        Returns:
            The fitted encoder.
        """
        channels, height, width = form
        counts = torch.zeros(channels, 256, dtype=torch.float64)
        for block in blocks:
            for channel in range(channels):
                counts[channel] += torch.bincount(block[:, channel].flatten(), minlength=256)
        share = counts / counts.sum(1, keepdim=True)
        values = torch.arange(256, dtype=torch.float64) / 255
        mean = share @ values
        variance = (share * (values - mean[:, None]).square()).sum(1)
        scale = torch.where(variance > 0, variance.sqrt(), torch.ones_like(variance))
        return cls(height, width, mean, scale, background)

    @classmethod
    def unit(cls, pixels: UInt8[Tensor, "N C H W"], background: Background | None = "white") -> "PictureEncoder":
        """The encoder that only divides by 255, for pictures like these.

        Args:
            pixels: Their size and channels count, their values do not.
            background: The colour behind transparent pixels.

        Returns:
            The encoder: mean 0 and scale 1 in each channel.
        """
        channels, height, width = pixels.shape[1:]
        mean = torch.zeros(channels, dtype=torch.float64)
        return cls(height, width, mean, torch.ones_like(mean), background)

    def encode(
        self, pictures: Pictures | UInt8[Tensor, "N C H W"], place: str = "the pictures"
    ) -> UInt8[Tensor, "N C H W"]:
        """The pixels, once they are known to be of the size and channels that the model takes.

        Args:
            pictures: Pictures, or their pixels.
            place: What messages call them.

        Returns:
            The pixels as they are.

        Raises:
            DataError: Size or channels differ.
        """
        pixels = pictures.pixels if isinstance(pictures, Pictures) else pictures
        if tuple(pixels.shape[1:]) != self.input_shape:
            same_size = tuple(pixels.shape[2:]) == self.input_shape[1:]
            remedy = "Convert their channels" if same_size else "Resize them"
            raise DataError(
                f"{place}: the model takes {_described(self.input_shape)}, got {_described(tuple(pixels.shape[1:]))}. "
                f"{remedy} first; of pictures in files polylogit does that itself."
            )
        return pixels

    def prepare(self, pixels: UInt8[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        """A batch as the network takes it, in float32 and on the batch's device."""
        device = pixels.device
        return pixels.float().sub_(self.pixel_mean.to(device)).mul_(self.pixel_factor.to(device))

    def as_json(self) -> dict[str, Any]:
        """The state that is not a tensor, as plain data for a model file."""
        state = {"kind": self.kind, "channels": self.channels, "height": self.height, "width": self.width}
        return state if self.background is None else state | {"background": self.background}

    def tensors(self) -> dict[str, Tensor]:
        """The state that is tensors, by name."""
        return {"mean": self.mean, "scale": self.scale}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "PictureEncoder":
        """The encoder whose `as_json` and `tensors` these are.

        Raises:
            ModelFileError: The tensors do not fit the channels.
        """
        channels = state["channels"]
        for name in ("mean", "scale"):
            if name not in tensors or tensors[name].shape != (channels,) or tensors[name].dtype != torch.float64:
                found = f"{tensors[name].dtype} {list(tensors[name].shape)}" if name in tensors else "nothing"
                raise ModelFileError(f"preprocessing.{name}: expected torch.float64 [{channels}], found {found}")
        if not bool((tensors["scale"] > 0).all()):
            raise ModelFileError("preprocessing.scale: every scale must be positive")
        if not (tensors["scale"].min() >= 1e-30 and max(tensors["scale"].max(), tensors["mean"].abs().max()) <= 1e6):
            raise ModelFileError("preprocessing: expected a scale from 1e-30 to 1e6 and a mean of at most 1e6")
        return cls(state["height"], state["width"], tensors["mean"], tensors["scale"], state.get("background"))


def _described(shape: tuple[int, ...]) -> str:
    channels, height, width = shape
    kind = {1: "grey", 3: "colour"}.get(channels, f"{channels}-channel")
    return f"{kind} pictures of {height} x {width} pixels"
