"""The losses as modules, for those who build a loss once and call it in a loop.

Owns the modules: each holds the options of one function and calls it; class weights are a buffer, so they move with
`.to(device)` and are checked once, here. Does not own any arithmetic.
"""

from jaxtyping import Float, Shaped
from torch import Tensor, nn

from polylogit.errors import ScoreError
from polylogit.losses import binary, focal, softmax
from polylogit.losses.reduction import Reduction, check_reduction, check_share

__all__ = [
    "BinaryCrossEntropyWithLogits",
    "BinaryCrossEntropyWithProbabilities",
    "CrossEntropyWithLogProbabilities",
    "CrossEntropyWithLogits",
    "CrossEntropyWithProbabilities",
    "FocalCrossEntropyWithLogits",
]


class _MulticlassLoss(nn.Module):
    """Options that the losses over a class axis share."""

    class_weight: Tensor | None

    def __init__(
        self,
        *,
        class_weight: Float[Tensor, " K"] | None = None,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
        validate: bool = True,
    ) -> None:
        super().__init__()
        check_reduction(reduction)
        if class_weight is not None and not bool((class_weight >= 0).all()):
            raise ScoreError(f"class_weight: expected weights of 0 or more, got {class_weight.tolist()}.")
        self.register_buffer("class_weight", class_weight)
        self.ignore_index = ignore_index
        self.reduction: Reduction = reduction
        self.validate = validate

    def extra_repr(self) -> str:
        weights = "" if self.class_weight is None else f"class_weight={self.class_weight.tolist()}, "
        return f"{weights}ignore_index={self.ignore_index}, reduction={self.reduction!r}, validate={self.validate}"


class _SmoothedLoss(_MulticlassLoss):
    """The same, with label smoothing."""

    def __init__(
        self,
        *,
        class_weight: Float[Tensor, " K"] | None = None,
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
        validate: bool = True,
    ) -> None:
        super().__init__(class_weight=class_weight, ignore_index=ignore_index, reduction=reduction, validate=validate)
        check_share("label_smoothing", label_smoothing)
        self.label_smoothing = label_smoothing

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, label_smoothing={self.label_smoothing}"


class CrossEntropyWithLogits(_SmoothedLoss):
    """`cross_entropy_with_logits` as a module.

    Args:
        class_weight: (K,), floating, 0 or more.
        ignore_index: Class index that marks rows to leave out.
        label_smoothing: Between 0 and 1.
        reduction: "none", "sum" or "mean".
        validate: Check the targets' values.

    Example:
        >>> import torch
        >>> loss = CrossEntropyWithLogits(label_smoothing=0.1)
        >>> loss(torch.tensor([[2.0, 0.0, 1.0]]), torch.tensor([0]))
        tensor(0.5076)
    """

    def forward(
        self,
        logits: Shaped[Tensor, "..."],
        targets: Shaped[Tensor, "..."],
        sample_weight: Float[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "..."]:
        """The loss of (N, K) logits."""
        return softmax.cross_entropy_with_logits(
            logits,
            targets,
            class_weight=self.class_weight,
            sample_weight=sample_weight,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            reduction=self.reduction,
            validate=self.validate,
        )


class CrossEntropyWithLogProbabilities(_SmoothedLoss):
    """`cross_entropy_with_log_probabilities` as a module; options as in `CrossEntropyWithLogits`.

    Example:
        >>> import torch
        >>> loss = CrossEntropyWithLogProbabilities()
        >>> loss(torch.tensor([[0.5, 0.25, 0.25]]).log(), torch.tensor([0]))
        tensor(0.6931)
    """

    def forward(
        self,
        log_probabilities: Shaped[Tensor, "..."],
        targets: Shaped[Tensor, "..."],
        sample_weight: Float[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "..."]:
        """The loss of (N, K) log-probabilities."""
        return softmax.cross_entropy_with_log_probabilities(
            log_probabilities,
            targets,
            class_weight=self.class_weight,
            sample_weight=sample_weight,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            reduction=self.reduction,
            validate=self.validate,
        )


class CrossEntropyWithProbabilities(_SmoothedLoss):
    """`cross_entropy_with_probabilities` as a module; options as in `CrossEntropyWithLogits`.

    Example:
        >>> import torch
        >>> loss = CrossEntropyWithProbabilities()
        >>> loss(torch.tensor([[0.5, 0.25, 0.25]]), torch.tensor([0]))
        tensor(0.6931)
    """

    def forward(
        self,
        probabilities: Shaped[Tensor, "..."],
        targets: Shaped[Tensor, "..."],
        sample_weight: Float[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "..."]:
        """The loss of (N, K) probabilities."""
        return softmax.cross_entropy_with_probabilities(
            probabilities,
            targets,
            class_weight=self.class_weight,
            sample_weight=sample_weight,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            reduction=self.reduction,
            validate=self.validate,
        )


class FocalCrossEntropyWithLogits(_MulticlassLoss):
    """`focal_cross_entropy_with_logits` as a module; options as in `CrossEntropyWithLogits`, and gamma.

    Example:
        >>> import torch
        >>> loss = FocalCrossEntropyWithLogits(gamma=2.0)
        >>> loss(torch.tensor([[2.0, 0.0, 1.0]]), torch.tensor([0]))
        tensor(0.0457)
    """

    def __init__(
        self,
        *,
        gamma: float = 2.0,
        class_weight: Float[Tensor, " K"] | None = None,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
        validate: bool = True,
    ) -> None:
        super().__init__(class_weight=class_weight, ignore_index=ignore_index, reduction=reduction, validate=validate)
        focal.check_gamma(gamma)
        self.gamma = gamma

    def forward(
        self,
        logits: Shaped[Tensor, "..."],
        targets: Shaped[Tensor, "..."],
        sample_weight: Float[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "..."]:
        """The loss of (N, K) logits."""
        return focal.focal_cross_entropy_with_logits(
            logits,
            targets,
            gamma=self.gamma,
            class_weight=self.class_weight,
            sample_weight=sample_weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            validate=self.validate,
        )

    def extra_repr(self) -> str:
        """The options, for `print(module)`."""
        return f"gamma={self.gamma}, {super().extra_repr()}"


class _BinaryLoss(nn.Module):
    """Options that the binary losses share."""

    pos_weight: Tensor | None

    def __init__(
        self,
        *,
        pos_weight: Float[Tensor, "..."] | None = None,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
        validate: bool = True,
    ) -> None:
        super().__init__()
        check_reduction(reduction)
        check_share("label_smoothing", label_smoothing)
        self.register_buffer("pos_weight", pos_weight)
        self.label_smoothing = label_smoothing
        self.reduction: Reduction = reduction
        self.validate = validate

    def extra_repr(self) -> str:
        weight = "" if self.pos_weight is None else f"pos_weight={self.pos_weight.tolist()}, "
        return f"{weight}label_smoothing={self.label_smoothing}, reduction={self.reduction!r}, validate={self.validate}"


class BinaryCrossEntropyWithLogits(_BinaryLoss):
    """`binary_cross_entropy_with_logits` as a module.

    Args:
        pos_weight: Broadcasts against the logits: multiplies the loss of class 1.
        label_smoothing: Between 0 and 1.
        reduction: "none", "sum" or "mean".
        validate: Check the targets' values.

    Example:
        >>> import torch
        >>> BinaryCrossEntropyWithLogits()(torch.tensor([2.0]), torch.tensor([1]))
        tensor(0.1269)
    """

    def forward(
        self,
        logits: Shaped[Tensor, "..."],
        targets: Shaped[Tensor, "..."],
        sample_weight: Float[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "..."]:
        """The loss of logits of any shape."""
        return binary.binary_cross_entropy_with_logits(
            logits,
            targets,
            pos_weight=self.pos_weight,
            sample_weight=sample_weight,
            label_smoothing=self.label_smoothing,
            reduction=self.reduction,
            validate=self.validate,
        )


class BinaryCrossEntropyWithProbabilities(_BinaryLoss):
    """`binary_cross_entropy_with_probabilities` as a module; options as in `BinaryCrossEntropyWithLogits`.

    Example:
        >>> import torch
        >>> BinaryCrossEntropyWithProbabilities()(torch.tensor([0.9]), torch.tensor([1]))
        tensor(0.1054)
    """

    def forward(
        self,
        probabilities: Shaped[Tensor, "..."],
        targets: Shaped[Tensor, "..."],
        sample_weight: Float[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "..."]:
        """The loss of probabilities of any shape."""
        return binary.binary_cross_entropy_with_probabilities(
            probabilities,
            targets,
            pos_weight=self.pos_weight,
            sample_weight=sample_weight,
            label_smoothing=self.label_smoothing,
            reduction=self.reduction,
            validate=self.validate,
        )
