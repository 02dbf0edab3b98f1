"""Vector scaling: a scale and a bias for each class, as older model files have it.

See also: `polylogit.calibration.structured_scaling`, which new models have in its place.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

__all__ = ["VectorScaling"]


@dataclass(frozen=True)
class VectorScaling:
    """The map z[k] -> scale[k] z[k] + bias[k] of logits.

    Attributes:
        scale: A positive factor for each class.
        bias: What is added for each class then, in nats.

    Example:
        >>> import torch
        >>> VectorScaling(scale=(1.0, 2.0), bias=(0.0, 1.0)).apply(torch.tensor([[4.0, 0.5]]))
        tensor([[4., 2.]])
    """

    scale: tuple[float, ...]
    bias: tuple[float, ...]

    def apply(self, logits: Float[Tensor, "N K"]) -> Float[Tensor, "N K"]:
        """Logits with each class scaled and shifted."""
        return logits * logits.new_tensor(self.scale) + logits.new_tensor(self.bias)

    def as_json(self) -> dict[str, Any]:
        """The same as lists of numbers."""
        return {"scale": list(self.scale), "bias": list(self.bias)}

    @classmethod
    def from_json(cls, entries: Mapping[str, Any]) -> "VectorScaling":
        """The scaling of validated header entries."""
        return cls(tuple(entries["scale"]), tuple(entries["bias"]))

    def ranges(self) -> str:
        """The ranges of the scales and biases."""
        return (
            f"scales from {min(self.scale):.2f} to {max(self.scale):.2f}, "
            f"biases from {min(self.bias):+.2f} to {max(self.bias):+.2f}"
        )

    def in_words(self) -> str:
        """One sentence for a reader of the report."""
        return f"Each class has a scale and a bias of its own: {self.ranges()}."
