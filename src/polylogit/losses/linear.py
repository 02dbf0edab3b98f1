"""Cross-entropy of a linear layer's logits, for so many classes that N x K logits do not fit.

The logits are computed and used in blocks of rows by `torch.nn.functional.linear_cross_entropy`; what that does not
take (label smoothing, sample weights, soft rows) follows from its losses per row, because sums of logits over classes
are linear in the features. Small batches go through `softmax`, as logits.
"""

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from polylogit.errors import ScoreError
from polylogit.losses.arithmetic import product
from polylogit.losses.autocast import autocast_dtype, without_autocast
from polylogit.losses.excluded_rows import replace_excluded
from polylogit.losses.migration import Unexpected, raise_unexpected_arguments
from polylogit.losses.options import Options, Validate, checks_values, count_checked_batch
from polylogit.losses.reduction import Reduction, check_reduction, check_share, reduce_losses
from polylogit.losses.softmax import cross_entropy_with_logits
from polylogit.losses.target_checks import check_targets
from polylogit.losses.targets import resolve_targets
from polylogit.losses.weights import (
    ClassWeight,
    SampleWeight,
    as_weight,
    check_class_weight,
    check_sample_weight,
    weights_of,
)
from polylogit.system.tensor_values import runs_plainly, values_can_be_read

__all__ = ["OPTIONS", "linear_cross_entropy_with_logits"]

OPTIONS = ("bias", "class_weight", "sample_weight", "ignore_index", "label_smoothing", "reduction", "validate")

# Logits in memory at a time, 32 MiB of float32: PyTorch's kernel holds about three such blocks, and with smaller ones
# the weight's gradient would be accumulated too often.
_BLOCK = 1 << 23
# Below this, 128 MiB of float32, blocks save little, and one matrix of logits is faster and differentiable twice.
_MANY_LOGITS = 1 << 25


def linear_cross_entropy_with_logits(
    features: Float[Tensor, "*rows D"],
    weight: Float[Tensor, "K _"],
    targets: Shaped[Tensor, "..."],
    *_positional: Unexpected,
    bias: Float[Tensor, " K"] | None = None,
    class_weight: ClassWeight | None = None,
    sample_weight: SampleWeight | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    validate: Validate = None,
    **_unknown: Unexpected,
) -> Float[Tensor, "..."]:
    """Softmax cross-entropy of the logits features @ weight.T + bias, in nats, without holding them all.

    loss_n = logsumexp_k(z[n, k]) - sum_k targets[n, k] * z[n, k]
    z[n, k] = sum_d features[n, d] * weight[k, d] + bias[k]

    Above 33 million logits it works on blocks of rows: memory grows with the block, not with N x K. A gradient of the
    gradient is exact too, but has to hold the logits: take fewer rows at a time where they do not fit.

    Args:
        features: (N, D), or more axes before the last, floating: the inputs of the linear layer.
        weight: (K, D), floating, as in `torch.nn.Linear`.
        targets: Class indices with the features' shape less the last axis, of any integer dtype; or one-hot or soft
            rows of that shape with K after it. Here the classes lie on the last axis, as the features do.
        bias: (K,), floating.
        class_weight: As in `cross_entropy_with_logits`.
        sample_weight: One number a row, 0 or more: the features' shape less the last axis.
        ignore_index: As in `cross_entropy_with_logits`.
        label_smoothing: As in `cross_entropy_with_logits`.
        reduction: As in `cross_entropy_with_logits`.
        validate: As in `cross_entropy_with_logits`.

    Returns:
        A scalar, or for "none" one loss per row; float32 at least.

    Raises:
        ScoreError: Features and weight do not fit, and every error of `cross_entropy_with_logits`.

    Example:
        >>> features, weight = torch.eye(2), torch.tensor([[2.0, 0.0], [0.0, 3.0], [1.0, 0.0]])
        >>> linear_cross_entropy_with_logits(features, weight, torch.tensor([0, 1]))
        tensor(0.2513)

    Source: Wijmans et al., Cut Your Losses in Large-Vocabulary Language Models (2024), section 4, for the idea.
    """
    if _positional or _unknown:
        raise_unexpected_arguments("linear_cross_entropy_with_logits", OPTIONS, _positional, _unknown)
    options = Options(
        as_weight(class_weight, "class_weight", features),
        as_weight(sample_weight, "sample_weight", features),
        ignore_index,
        label_smoothing,
        reduction,
        validate,
    )
    dtype = autocast_dtype(features)
    if dtype is not None:  # the layer computes in the dtype of autocast, the loss does not
        features, weight, bias = features.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
    return without_autocast(_of_layer, features, weight, bias, targets, options)


def _of_layer(features: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, options: Options) -> Tensor:
    sample_weight, reduction = options.sample_weight, options.reduction
    _check_shapes(features, weight, targets, sample_weight)
    rows_shape, classes = features.shape[:-1], weight.shape[0]
    flat = features.reshape(-1, features.shape[-1])
    sample_weight = None if sample_weight is None else sample_weight.reshape(-1)
    flat_targets = targets.reshape(-1, classes) if targets.dim() == features.dim() else targets.reshape(-1)
    resolved = resolve_targets(flat_targets, (flat.shape[0], classes))
    soft = resolved.dtype.is_floating_point
    if not soft or sample_weight is not None:
        excluded = None if sample_weight is None else sample_weight == 0
        if not soft:
            ignored = resolved == options.ignore_index
            excluded = ignored if excluded is None else ignored | excluded
        flat = replace_excluded(flat, excluded, 1, 0.0)
    options = options._replace(sample_weight=sample_weight)
    blocks = torch.compiler.is_compiling() or runs_plainly(flat, weight, resolved)
    if not blocks or flat.shape[0] * classes < _MANY_LOGITS:
        losses = cross_entropy_with_logits(F.linear(flat, weight, bias), flat_targets, **options._asdict())
    else:
        losses = _in_blocks(_Blocks(flat, weight, bias), flat_targets, resolved, options)
    return losses.reshape(rows_shape) if reduction == "none" else losses


def _in_blocks(layer: "_Blocks", targets: Tensor, resolved: Tensor, options: Options) -> Tensor:
    class_weight, sample_weight, ignore_index, label_smoothing, reduction, validate = options
    classes = len(layer.weight)
    check_reduction(reduction)
    check_share("label_smoothing", label_smoothing)
    if class_weight is not None:
        check_class_weight(class_weight, classes)
    if checks_values(validate, layer.features, targets, sample_weight):
        check_targets(resolved, 1, classes, ignore_index)
        if sample_weight is not None:
            check_sample_weight(sample_weight)
        count_checked_batch(validate, layer.features, targets, sample_weight)
    soft = resolved.dtype.is_floating_point
    if not soft and sample_weight is None and not label_smoothing and class_weight is None and reduction != "none":
        total = layer.losses(resolved, ignore_index, "sum")
        return total if reduction == "sum" else total / (resolved != ignore_index).sum().clamp_min(1)
    if soft:
        losses = layer.soft(resolved, class_weight, label_smoothing)
    else:
        losses = layer.indexed(resolved, class_weight, label_smoothing, ignore_index)
    if sample_weight is not None:
        sample_weight = sample_weight.to(losses.dtype)
        losses = product(sample_weight, losses)
    if reduction == "none":
        return losses
    return reduce_losses(losses, weights_of(resolved, 1, class_weight, sample_weight, ignore_index), reduction)


def _check_shapes(features: Tensor, weight: Tensor, targets: Tensor, sample_weight: Tensor | None) -> None:
    """Raise ScoreError where rows, features or classes do not fit together."""
    if features.dim() < 2 or features.shape[-1] != weight.shape[1]:
        raise ScoreError(
            f"features: expected shape (N, {weight.shape[1]}) for a weight of shape {tuple(weight.shape)}, "
            f"got {tuple(features.shape)}. The weight is (K, D), as in torch.nn.Linear."
        )
    rows = tuple(features.shape[:-1])
    with_classes = (*rows, weight.shape[0])
    if tuple(targets.shape) not in (rows, with_classes):
        raise ScoreError(
            f"targets: expected shape {rows} of class indices, or {with_classes} of rows over the classes, "
            f"got {tuple(targets.shape)}. Pair targets and features row by row."
        )
    if sample_weight is not None and tuple(sample_weight.shape) != rows:
        raise ScoreError(
            f"sample_weight: expected one weight per row, shape {rows}, got shape {tuple(sample_weight.shape)}."
        )


class _Blocks:
    """A linear layer whose logits exist in blocks only; sums of logits over classes come from the features."""

    def __init__(self, features: Tensor, weight: Tensor, bias: Tensor | None) -> None:
        self.features, self.weight, self.bias = features, weight, bias

    def losses(self, targets: Tensor, ignore_index: int, reduction: Reduction) -> Tensor:
        """Per row or summed: logsumexp - logits[target]."""
        layer = (self.features, self.weight, self.bias)
        losses: Tensor
        if torch.compiler.is_compiling():
            losses = _kernel(layer, targets, ignore_index, reduction)
        else:
            losses = _BlockLosses.apply(*layer, targets, ignore_index, reduction)
        return losses.float() if losses.dtype.itemsize < 4 else losses

    def combined(self, coefficients: Tensor) -> Tensor:
        """sum_k coefficients[n, k] * logits[n, k] per row, with coefficients (K,) or (N, K), without the logits."""
        mixed = (coefficients @ self.weight * self.features).sum(-1)
        return mixed if self.bias is None else mixed + coefficients @ self.bias

    def indexed(self, targets: Tensor, class_weight: Tensor | None, smoothing: float, ignore_index: int) -> Tensor:
        """(1 - s) w_y (lse - z_y) + s / K sum_k w_k (lse - z_k), and 0 for ignored rows."""
        skip = targets == ignore_index
        safe = targets.masked_fill(skip, 0)
        surprise = self.losses(safe, -100, "none")
        losses = surprise if class_weight is None else product(class_weight.to(surprise.dtype)[safe], surprise)
        if smoothing:
            chosen = (self.weight[safe] * self.features).sum(1)
            if self.bias is not None:
                chosen = chosen + self.bias[safe]
            weights = (
                self.weight.new_ones(self.weight.shape[0]) if class_weight is None else class_weight.to(chosen.dtype)
            )
            spread = weights.sum() * (surprise + chosen) - self.combined(weights)
            losses = (1 - smoothing) * losses + smoothing / len(weights) * spread
        return losses.masked_fill(skip, 0)

    def soft(self, rows: Tensor, class_weight: Tensor | None, smoothing: float) -> Tensor:
        """sum_k t_k w_k (lse - z_k), with lse from the row loss of class 0."""
        rows = rows.to(self.features.dtype)
        if smoothing:
            rows = (1 - smoothing) * rows + smoothing / rows.shape[1]
        if class_weight is not None:
            rows = rows * class_weight.to(rows.dtype)
        first = self.features @ self.weight[0] + (0 if self.bias is None else self.bias[0])
        zeros = torch.zeros(len(rows), dtype=torch.long, device=rows.device)
        lse = self.losses(zeros, -100, "none") + first
        return rows.sum(1) * lse - self.combined(rows)


class _BlockLosses(torch.autograd.Function):
    """PyTorch's blocked kernel, with a gradient of its gradient.

    The kernel computes its gradients in the forward pass and returns them as constants, whose own gradient is a silent
    0. So a gradient that is to be differentiated is computed from the logits instead.
    """

    @staticmethod
    def forward(  # noqa: PLR0917 - autograd hands them over one by one
        ctx: torch.autograd.function.FunctionCtx,
        features: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        ignore_index: int,
        reduction: Reduction,
    ) -> Tensor:
        ctx.save_for_backward(features, weight, bias, targets)  # type: ignore[arg-type]  # None is taken
        ctx.options = ignore_index, reduction  # type: ignore[attr-defined]
        ctx.wanted = ctx.needs_input_grad[:3]  # type: ignore[attr-defined]
        ctx.inner = _on_leaves((features, weight, bias), targets, ctx.options, ctx.wanted)  # type: ignore[attr-defined]
        losses: Tensor = ctx.inner[0].detach()  # type: ignore[attr-defined]
        return losses

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        features, weight, bias, targets = ctx.saved_tensors  # type: ignore[attr-defined]
        inputs = (features, weight, bias)
        ignore_index, reduction = ctx.options  # type: ignore[attr-defined]
        wanted: tuple[bool, ...] = ctx.wanted  # type: ignore[attr-defined]
        again = torch.is_grad_enabled()
        if again or not values_can_be_read(gradients[0]):
            # A gradient of this gradient is wanted, or many gradients at once (is_grads_batched).
            with torch.enable_grad():
                logits = F.linear(*inputs)
                losses = cross_entropy_with_logits(
                    logits, targets, ignore_index=ignore_index, reduction=reduction, validate=False
                ).to(gradients[0].dtype)
            leaves = [leaf for leaf, want in zip(inputs, wanted, strict=True) if want]
        else:
            inner, ctx.inner = ctx.inner, None  # type: ignore[attr-defined]
            if inner is None:  # used up by an earlier backward pass over a retained graph
                inner = _on_leaves(inputs, targets, (ignore_index, reduction), wanted)
            losses, leaves = inner
        found = iter(torch.autograd.grad(losses, leaves, gradients[0], create_graph=again))
        return (*(next(found) if want else None for want in wanted), None, None, None)


def _on_leaves(
    inputs: tuple[Tensor, Tensor, Tensor | None],
    targets: Tensor,
    options: tuple[int, Reduction],
    wanted: tuple[bool, ...],
) -> tuple[Tensor, list[Tensor]]:
    """The kernel on a graph of its own, and the leaves of it whose gradient is wanted."""
    features, weight, bias = inputs
    layer = (features.detach(), weight.detach(), None if bias is None else bias.detach())
    leaves = [leaf.requires_grad_() for leaf, want in zip(layer, wanted, strict=True) if leaf is not None and want]
    with torch.set_grad_enabled(bool(leaves)):
        return _kernel(layer, targets, *options), leaves


def _kernel(
    layer: tuple[Tensor, Tensor, Tensor | None], targets: Tensor, ignore_index: int, reduction: Reduction
) -> Tensor:
    """PyTorch's blocked kernel for features, weight and bias; before torch 2.14, blocks that are computed twice."""
    features, weight, bias = layer
    if not hasattr(torch.nn, "LinearCrossEntropyOptions"):
        return _checkpointed_blocks(layer, targets, ignore_index, reduction)
    options = torch.nn.LinearCrossEntropyOptions(
        batch_chunk_size=max(1, _BLOCK // weight.shape[0]),
        acc_policy="accurate",
        allow_retain_graph=torch.compiler.is_compiling(),
    )
    losses: Tensor = F.linear_cross_entropy(
        features,
        weight,
        targets,
        linear_bias=bias,
        reduction=reduction,
        ignore_index=ignore_index,
        options=options,
    )
    return losses


def _checkpointed_blocks(
    layer: tuple[Tensor, Tensor, Tensor | None], targets: Tensor, ignore_index: int, reduction: Reduction
) -> Tensor:
    """The same from blocks of rows whose logits are computed again in the backward pass instead of being kept."""
    features, weight, bias = layer
    rows = max(1, _BLOCK // weight.shape[0])

    def losses_of(block: Tensor, of_block: Tensor) -> Tensor:
        logits = F.linear(block, weight, bias).float() if block.dtype.itemsize < 4 else F.linear(block, weight, bias)
        return F.cross_entropy(logits, of_block, ignore_index=ignore_index, reduction="none")

    blocks = zip(torch.split(features, rows), torch.split(targets, rows), strict=True)
    parts = [checkpoint(losses_of, block, of_block, use_reentrant=False) for block, of_block in blocks]
    losses = torch.cat(parts) if parts else features.new_zeros(0)
    if reduction == "none":
        return losses
    return losses.sum() if reduction == "sum" else losses.sum() / (targets != ignore_index).sum()
