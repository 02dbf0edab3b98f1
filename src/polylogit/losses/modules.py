"""The losses as modules, for code that builds a loss once and calls it in a loop.

Each holds the options of one function and calls it. Weights are buffers, so they move with `.to(device)`, and options
are checked when the module is built.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from polylogit.errors import ScoreError
from polylogit.losses import binary, focal, linear, softmax
from polylogit.losses.migration import Unexpected, raise_unexpected_arguments
from polylogit.losses.options import FIRST_BATCHES, Validate, check_validate
from polylogit.losses.reduction import Reduction, check_reduction, check_share
from polylogit.losses.weights import ClassWeight, SampleWeight, as_weight
from polylogit.system.tensor_values import values_can_be_read

__all__ = [
    "BinaryCrossEntropyWithLogits",
    "BinaryCrossEntropyWithProbabilities",
    "CrossEntropyWithLogProbabilities",
    "CrossEntropyWithLogits",
    "CrossEntropyWithProbabilities",
    "FocalCrossEntropyWithLogits",
    "LinearCrossEntropyWithLogits",
]


_LONG = 8  # class weights shown one by one in repr; of longer ones the shape and the range


class _Loss(nn.Module):
    """A function and its options, which are documented with the function."""

    function: ClassVar[Callable[..., Tensor]]
    options: ClassVar[tuple[str, ...]]
    _checked_batches: int = 0  # of this module, where only the first ones are checked

    def __init__(
        self, positional: tuple[object, ...], unknown: dict[str, Any], *, reduction: Reduction, validate: Validate
    ) -> None:
        if positional or unknown:
            known = (*self.options, "reduction", "validate")
            raise_unexpected_arguments(type(self).__name__, known, positional, unknown)
        super().__init__()
        check_reduction(reduction)
        check_validate(validate)
        self.reduction: Reduction = reduction
        self.validate: Validate = validate

    def forward(
        self,
        scores: Shaped[Tensor, "..."],
        targets: Shaped[Tensor, "..."],
        sample_weight: SampleWeight | None = None,
    ) -> Float[Tensor, "..."]:
        """The loss of scores of the kind in the class's name; see its function for shapes and dtypes."""
        return self._call(scores, targets, sample_weight=sample_weight)

    def extra_repr(self) -> str:
        """The options, for `print(module)`."""
        return ", ".join(
            f"{name}={_shown(value)}"
            for name in (*self.options, "reduction", "validate")
            if (value := getattr(self, name)) is not None
        )

    def _call(self, scores: Tensor, *arguments: Tensor, **options: Any) -> Tensor:  # noqa: ANN401 - of any loss
        """Call the function; of the first batches that are checked, each module counts its own."""
        options |= {name: getattr(self, name) for name in (*self.options, "reduction")}
        validate = self.validate
        if isinstance(validate, bool) or (validate is None and scores.is_cpu):
            return type(self).function(scores, *arguments, validate=validate, **options)
        checks = self._checked_batches < FIRST_BATCHES and values_can_be_read(scores)
        loss = type(self).function(scores, *arguments, validate=checks, **options)
        if checks:
            self._checked_batches += 1
        return loss


class _SmoothedLoss(_Loss):
    """A loss over a class axis, with label smoothing."""

    options = ("class_weight", "ignore_index", "label_smoothing")

    def __init__(
        self,
        *_positional: Unexpected,
        class_weight: ClassWeight | None = None,
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
        validate: Validate = None,
        **_unknown: Unexpected,
    ) -> None:
        super().__init__(_positional, _unknown, reduction=reduction, validate=validate)
        check_share("label_smoothing", label_smoothing)
        self.register_buffer("class_weight", _checked(class_weight))
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing


class CrossEntropyWithLogits(_SmoothedLoss):
    """`cross_entropy_with_logits` as a module.

    Args:
        class_weight: (K,), 0 or more: a tensor, list or NumPy array.
        ignore_index: Class index that marks rows to leave out.
        label_smoothing: Between 0 and 1.
        reduction: "none", "sum" or "mean".
        validate: Whether to check values: True, False, "first" or None, as in the function. Each module counts its
            own first batches.

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
        *_positional: Unexpected,
        gamma: float = 2.0,
        class_weight: ClassWeight | None = None,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
        validate: Validate = None,
        **_unknown: Unexpected,
    ) -> None:
        super().__init__(_positional, _unknown, reduction=reduction, validate=validate)
        focal.check_gamma(gamma)
        self.gamma = gamma
        self.register_buffer("class_weight", _checked(class_weight))
        self.ignore_index = ignore_index


class LinearCrossEntropyWithLogits(_SmoothedLoss):
    """`linear_cross_entropy_with_logits` as a module; options as in `CrossEntropyWithLogits`.

    It holds no layer: the weight is an argument of each call, so that it may be an embedding's too.

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
        sample_weight: SampleWeight | None = None,
        *,
        bias: Float[Tensor, " K"] | None = None,
    ) -> Float[Tensor, "..."]:
        """The loss of the logits features @ weight.T + bias; see its function for shapes and dtypes."""
        return self._call(features, weight, targets, bias=bias, sample_weight=sample_weight)


class _BinaryLoss(_Loss):
    """A loss of one score for each question."""

    options = ("pos_weight", "label_smoothing")

    def __init__(
        self,
        *_positional: Unexpected,
        pos_weight: SampleWeight | None = None,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
        validate: Validate = None,
        **_unknown: Unexpected,
    ) -> None:
        super().__init__(_positional, _unknown, reduction=reduction, validate=validate)
        check_share("label_smoothing", label_smoothing)
        self.register_buffer("pos_weight", as_weight(pos_weight, "pos_weight"))
        self.label_smoothing = label_smoothing


class BinaryCrossEntropyWithLogits(_BinaryLoss):
    """`binary_cross_entropy_with_logits` as a module.

    Args:
        pos_weight: A tensor, list or NumPy array that broadcasts against the logits: multiplies the loss of class 1.
        label_smoothing: Between 0 and 1.
        reduction: "none", "sum" or "mean".
        validate: Whether to check values: True, False, "first" or None, as in the function. Each module counts its
            own first batches.

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


def _checked(class_weight: ClassWeight | None) -> Tensor | None:
    """Class weights as a tensor, checked to be 0 or more where their values can be read."""
    weight = as_weight(class_weight, "class_weight")
    if weight is not None and values_can_be_read(weight) and not bool((weight >= 0).all()):
        raise ScoreError(f"class_weight: expected weights of 0 or more, got {_shown(weight)}.")
    return weight


def _shown(value: object) -> str:
    """An option for a person: short weights as a list, long ones by shape and range."""
    if not isinstance(value, Tensor):
        return repr(value)
    if not values_can_be_read(value):
        return f"<{tuple(value.shape)} on {value.device}>"
    if value.numel() <= _LONG:
        return repr(value.tolist())
    lowest, highest = torch.aminmax(value.detach())
    return f"<{tuple(value.shape)}, {lowest.item():g} to {highest.item():g}>"
