"""The losses as modules, for those who build a loss once and call it in a loop.

Owns the modules: each holds the options of one function and calls it; weights are buffers, so they move with
`.to(device)`, and options are checked once, here. Does not own any arithmetic.
"""

from collections.abc import Callable
from typing import Any, ClassVar

from jaxtyping import Float, Shaped
from torch import Tensor, nn

from polylogit.errors import ScoreError
from polylogit.losses import binary, focal, linear, softmax
from polylogit.losses.reduction import Reduction, check_reduction, check_share

__all__ = [
    "BinaryCrossEntropyWithLogits",
    "BinaryCrossEntropyWithProbabilities",
    "CrossEntropyWithLogProbabilities",
    "CrossEntropyWithLogits",
    "CrossEntropyWithProbabilities",
    "FocalCrossEntropyWithLogits",
    "LinearCrossEntropyWithLogits",
]


class _Loss(nn.Module):
    """A function and its options; what each option is stands with the function."""

    function: ClassVar[Callable[..., Tensor]]
    options: ClassVar[tuple[str, ...]]

    def __init__(self, *, reduction: Reduction, validate: bool) -> None:
        super().__init__()
        check_reduction(reduction)
        self.reduction: Reduction = reduction
        self.validate = validate

    def forward(
        self,
        scores: Shaped[Tensor, "..."],
        targets: Shaped[Tensor, "..."],
        sample_weight: Float[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "..."]:
        """The loss of scores of the kind in the class's name; see its function for shapes and dtypes."""
        return type(self).function(scores, targets, sample_weight=sample_weight, **self._chosen())

    def extra_repr(self) -> str:
        """The options, for `print(module)`."""
        chosen = {
            name: value.tolist() if isinstance(value, Tensor) else value for name, value in self._chosen().items()
        }
        return ", ".join(f"{name}={value!r}" for name, value in chosen.items() if value is not None)

    def _chosen(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in (*self.options, "reduction", "validate")}


class _SmoothedLoss(_Loss):
    """A loss over a class axis, with label smoothing."""

    options = ("class_weight", "ignore_index", "label_smoothing")

    def __init__(
        self,
        *,
        class_weight: Float[Tensor, " K"] | None = None,
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
        validate: bool = True,
    ) -> None:
        super().__init__(reduction=reduction, validate=validate)
        check_share("label_smoothing", label_smoothing)
        self.register_buffer("class_weight", _checked(class_weight))
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing


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

    function = staticmethod(softmax.cross_entropy_with_logits)


class CrossEntropyWithLogProbabilities(_SmoothedLoss):
    """`cross_entropy_with_log_probabilities` as a module; options as in `CrossEntropyWithLogits`.

    Example:
        >>> import torch
        >>> loss = CrossEntropyWithLogProbabilities()
        >>> loss(torch.tensor([[0.5, 0.25, 0.25]]).log(), torch.tensor([0]))
        tensor(0.6931)
    """

    function = staticmethod(softmax.cross_entropy_with_log_probabilities)


class CrossEntropyWithProbabilities(_SmoothedLoss):
    """`cross_entropy_with_probabilities` as a module; options as in `CrossEntropyWithLogits`.

    Example:
        >>> import torch
        >>> loss = CrossEntropyWithProbabilities()
        >>> loss(torch.tensor([[0.5, 0.25, 0.25]]), torch.tensor([0]))
        tensor(0.6931)
    """

    function = staticmethod(softmax.cross_entropy_with_probabilities)


class FocalCrossEntropyWithLogits(_Loss):
    """`focal_cross_entropy_with_logits` as a module; gamma, and options as in `CrossEntropyWithLogits`.

    Example:
        >>> import torch
        >>> loss = FocalCrossEntropyWithLogits(gamma=2.0)
        >>> loss(torch.tensor([[2.0, 0.0, 1.0]]), torch.tensor([0]))
        tensor(0.0457)
    """

    function = staticmethod(focal.focal_cross_entropy_with_logits)
    options = ("gamma", "class_weight", "ignore_index")

    def __init__(
        self,
        *,
        gamma: float = 2.0,
        class_weight: Float[Tensor, " K"] | None = None,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
        validate: bool = True,
    ) -> None:
        super().__init__(reduction=reduction, validate=validate)
        focal.check_gamma(gamma)
        self.gamma = gamma
        self.register_buffer("class_weight", _checked(class_weight))
        self.ignore_index = ignore_index


class LinearCrossEntropyWithLogits(_SmoothedLoss):
    """`linear_cross_entropy_with_logits` as a module; options as in `CrossEntropyWithLogits`.

    It holds no layer: the weight is handed in at each call, so that it may be an embedding's too.

    Example:
        >>> import torch
        >>> layer, features = nn.Linear(4, 3), torch.ones(2, 4)
        >>> loss = LinearCrossEntropyWithLogits()
        >>> value = loss(features, layer.weight, torch.tensor([0, 2]), bias=layer.bias)
        >>> torch.testing.assert_close(value, CrossEntropyWithLogits()(layer(features), torch.tensor([0, 2])))
    """

    function = staticmethod(linear.linear_cross_entropy_with_logits)

    def forward(  # type: ignore[override]  # the scores are features and a weight here
        self,
        features: Float[Tensor, "*rows D"],
        weight: Float[Tensor, "K _"],
        targets: Shaped[Tensor, "..."],
        sample_weight: Float[Tensor, "..."] | None = None,
        *,
        bias: Float[Tensor, " K"] | None = None,
    ) -> Float[Tensor, "..."]:
        """The loss of the logits features @ weight.T + bias; see its function for shapes and dtypes."""
        return type(self).function(features, weight, targets, bias=bias, sample_weight=sample_weight, **self._chosen())


class _BinaryLoss(_Loss):
    """A loss of one score for each question."""

    options = ("pos_weight", "label_smoothing")

    def __init__(
        self,
        *,
        pos_weight: Float[Tensor, "..."] | None = None,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
        validate: bool = True,
    ) -> None:
        super().__init__(reduction=reduction, validate=validate)
        check_share("label_smoothing", label_smoothing)
        self.register_buffer("pos_weight", pos_weight)
        self.label_smoothing = label_smoothing


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

    function = staticmethod(binary.binary_cross_entropy_with_logits)


class BinaryCrossEntropyWithProbabilities(_BinaryLoss):
    """`binary_cross_entropy_with_probabilities` as a module; options as in `BinaryCrossEntropyWithLogits`.

    Example:
        >>> import torch
        >>> BinaryCrossEntropyWithProbabilities()(torch.tensor([0.9]), torch.tensor([1]))
        tensor(0.1054)
    """

    function = staticmethod(binary.binary_cross_entropy_with_probabilities)


def _checked(class_weight: Tensor | None) -> Tensor | None:
    """Class weights as they are, once they are seen to be 0 or more."""
    if class_weight is not None and not bool((class_weight >= 0).all()):
        raise ScoreError(f"class_weight: expected weights of 0 or more, got {class_weight.tolist()}.")
    return class_weight
