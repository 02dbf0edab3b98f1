"""The plain convolutional network: convolution and pooling in stages, then linear layers.

See also: `polylogit.networks.residual`.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polylogit.errors import RecipeError
from polylogit.network_sections import CNN
from polylogit.networks.blocks import ResidualBlock
from polylogit.networks.gradients_and_colours import GradientsAndColours
from polylogit.networks.oriented_gradients import OrientedGradients
from polylogit.networks.test_time_augmentation import check_views, mean_over_views

__all__ = ["CnnNetwork"]


class CnnNetwork(nn.Module):
    """Stages of convolution, pooling, batch normalisation and ReLU, then a linear layer on what is left.

    A stage of width c: Conv2d(to c channels) -> MaxPool2d(pool) -> BatchNorm2d -> ReLU; without batch normalisation
    Conv2d -> MaxPool2d -> ReLU. ReLU never changes which value is the greatest, so pooling first is the same function
    on a quarter of the values.

    With `padding="same"` a k x k convolution (k odd) of stride s leaves ceil(H / s) rows, with "valid"
    floor((H - k) / s) + 1; pooling by p leaves floor(H / p). A stage from b to c channels has b c k^2 weights, and 2 c
    parameters of normalisation or c biases without it; the last layer (c H W + 1) K. Residual blocks may follow a
    stage, each of 18 c^2 + 4 c parameters.

    With `orientations` the stages see histograms of oriented gradients, `polylogit.networks.oriented_gradients`, in
    place of the pictures: maps of ceil(H / cell) x ceil(W / cell), normalised over the batch, without parameters,
    unless batch normalisation is off; with `colours` mean and deviation of each channel in each cell are among them.
    With `hidden` there are layers Linear -> BatchNorm1d -> ReLU between the stages and the last layer; one from b to c
    values has b c + 2 c parameters, or b c + c without normalisation.
    `orientations=8, widths=(64, 128), kernel_sizes=3, strides=1, pools=1, padding="valid", hidden=(128,)`: 1x28x28 ->
    8x7x7 -> 64x5x5 -> 128x3x3 -> 128 -> 10, 227,722 parameters.

    The defaults on 28 x 28 grey pictures, 10 classes: 1x28x28 -> 32x14x14 -> 64x7x7 -> 128x3x3 -> 10,
    104,938 parameters. The source documents' network is `widths=(64, 64), kernel_sizes=5, strides=1, padding="valid",
    batch_norm=False`: 1x28x28 -> 64x12x12 -> 64x4x4 -> 10, 114,378 parameters.

    Args:
        channels: C of the pictures.
        height: H of the pictures, in pixels.
        width: W of the pictures, in pixels.
        classes: K, the number of classes.
        widths: Channels after each stage.
        kernel_sizes: Side of the square kernels, one for all stages or one each.
        strides: Stride of the convolutions, one for all stages or one each.
        pools: Side of the pooling windows, one for all stages or one each; 1 does not pool.
        blocks: Residual blocks after the stages, one count for all or one each; they need batch normalisation.
        padding: "same" or "valid".
        batch_norm: Whether each stage normalises its channels over the batch.
        hidden: Widths of the layers between the stages and the last layer.
        dropout: The share of the last layer's inputs that is set to zero in training, in [0, 1).
        orientations: Directions that gradients are sorted into before the first stage; 0: the stages see the pictures.
        cell: Side of the cells that gradients are gathered in, in pixels.
        colours: Whether the stages see mean and deviation of each channel in each cell beside the gradients.
        views: What is averaged over outside training; see `polylogit.networks.test_time_augmentation`.

    Raises:
        RecipeError: An option is out of its range, or the pictures are too small for the stages.

    Example:
        >>> import torch
        >>> network = CnnNetwork(channels=1, height=28, width=28, classes=10)
        >>> network(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
        >>> sum(parameter.numel() for parameter in network.parameters())
        104938

    Source: LeCun et al. (1998), Gradient-based learning applied to document recognition, section II; Ioffe and Szegedy
    (2015), Batch Normalization, section 3.2.
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        classes: int,
        *,
        widths: Sequence[int] = CNN.widths,
        kernel_sizes: int | Sequence[int] = CNN.kernel_sizes,
        strides: int | Sequence[int] = CNN.strides,
        pools: int | Sequence[int] = CNN.pools,
        blocks: int | Sequence[int] = CNN.blocks,
        padding: str = CNN.padding,
        batch_norm: bool = CNN.batch_norm,
        hidden: Sequence[int] = CNN.hidden,
        dropout: float = CNN.dropout,
        orientations: int = CNN.orientations,
        cell: int = CNN.cell,
        colours: bool = CNN.colours,
        views: str = CNN.views,
    ) -> None:
        super().__init__()
        check_views(views)
        if not widths or any(count < 1 for count in widths):
            raise RecipeError(f"widths: expected one or more counts of at least 1, got {list(widths)}.")
        if padding not in ("same", "valid"):
            raise RecipeError(f'padding: expected "same" or "valid", got "{padding}".')
        if not 0 <= dropout < 1:
            raise RecipeError(f"dropout: expected a share in [0, 1), got {dropout}.")
        residual = _one_each("blocks", blocks, len(widths), least=0)
        if any(residual) and not batch_norm:
            raise RecipeError("blocks: residual blocks need batch_norm, which is off.")
        if colours and not orientations:
            raise RecipeError("colours: they stand beside oriented gradients. Set orientations, as to 8.")
        stages: list[nn.Module] = []
        before, rows, columns = channels, height, width
        if orientations:
            form = (channels, height, width) if colours else (height, width)
            first = (GradientsAndColours if colours else OrientedGradients)(*form, orientations=orientations, cell=cell)
            before, rows, columns = first.form
            stages.append(first)
            if batch_norm:
                stages.append(nn.BatchNorm2d(before, affine=False))
        sizes = zip(
            widths,
            _one_each("kernel_sizes", kernel_sizes, len(widths)),
            _one_each("strides", strides, len(widths)),
            _one_each("pools", pools, len(widths)),
            residual,
            strict=True,
        )
        for after, kernel, stride, pool, count in sizes:
            if padding == "same" and kernel % 2 == 0:
                raise RecipeError(f'kernel_sizes: padding "same" needs odd sizes, got {kernel}.')
            around = kernel // 2 if padding == "same" else 0
            stages.append(nn.Conv2d(before, after, kernel, stride=stride, padding=around, bias=not batch_norm))
            rows, columns = (((side + 2 * around - kernel) // stride + 1) // pool for side in (rows, columns))
            if rows < 1 or columns < 1:
                raise RecipeError(
                    f"pictures of {height} x {width} pixels are too small for {len(widths)} stages with kernels of "
                    f"{kernel_sizes}, strides of {strides} and pools of {pools}. Take fewer stages or larger pictures."
                )
            if pool > 1:
                stages.append(nn.MaxPool2d(pool))
            if batch_norm:
                stages.append(nn.BatchNorm2d(after))
            stages.append(nn.ReLU(inplace=True))
            stages += [ResidualBlock(after) for _ in range(count)]
            before = after
        self.stages = nn.Sequential(*stages)
        self.views = views
        self.dropout = nn.Dropout(dropout)
        values = before * rows * columns
        self.hidden = _hidden_layers(values, hidden, batch_norm=batch_norm)
        self.linear = nn.Linear(hidden[-1] if hidden else values, classes)

    def forward(self, inputs: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K"]:
        """Logits of the pictures; in evaluation mode their mean over the views."""
        return self._logits(inputs) if self.training else mean_over_views(self._logits, inputs, self.views)

    def _logits(self, inputs: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K"]:
        maps: Tensor = self.stages(inputs)
        if maps.requires_grad:
            # A flat gradient comes back channels first; ReLU's and normalisation's, which meet it with maps that have
            # channels last, are slow then: 3 to 12 % of a step.
            maps.register_hook(_channels_last)  # type: ignore[no-untyped-call]
        logits: Tensor = self.linear(self.dropout(self.hidden(maps.flatten(1))))
        return logits


def _hidden_layers(before: int, widths: Sequence[int], *, batch_norm: bool) -> nn.Sequential:
    if any(count < 1 for count in widths):
        raise RecipeError(f"hidden: expected counts of at least 1, got {list(widths)}.")
    layers: list[nn.Module] = []
    for width in widths:
        layers.append(nn.Linear(before, width, bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm1d(width))
        layers.append(nn.ReLU(inplace=True))
        before = width
    return nn.Sequential(*layers)


def _channels_last(gradient: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
    return gradient.contiguous(memory_format=torch.channels_last)


def _one_each(name: str, sizes: int | Sequence[int], stages: int, *, least: int = 1) -> Sequence[int]:
    each = [sizes] * stages if isinstance(sizes, int) else list(sizes)
    if len(each) != stages:
        raise RecipeError(f"{name}: expected one number or {stages}, one for each of widths, got {each}.")
    if any(size < least for size in each):
        raise RecipeError(f"{name}: expected numbers of at least {least}, got {each}.")
    return each
