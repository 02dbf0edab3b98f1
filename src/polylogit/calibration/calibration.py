"""The calibration of a classifier: one value that maps a network's logits to calibrated logits.

See also: docs/extending.md, on how to add a method.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from polylogit.calibration.quadratic import QuadraticMap
from polylogit.calibration.structured_scaling import StructuredScaling
from polylogit.calibration.uniform_mixing import mix_with_uniform
from polylogit.calibration.vector_scaling import VectorScaling

__all__ = ["Calibration"]


@dataclass(frozen=True)
class Calibration:
    """A map from logits to calibrated logits; its parts are applied in the order of the fields.

    probabilities = (1 - uniform_share) softmax(scaling(quadratic(logits) / temperature)) + uniform_share / K

    Args:
        quadratic: Quadratic map of the log-probabilities; None: not applied. Keeps the predicted class.
        temperature: Positive; the logits are divided by it. Keeps the predicted class.
        vector_scaling: A scale and a bias for each class; None: not applied. May change the predicted class.
        structured_scaling: Affine map of the log-probabilities; None: not applied. May change the predicted class.
        uniform_share: Share of the probability that is spread evenly over all classes, from 0 to less than 1. Keeps the
            predicted class.

    Example:
        >>> import torch
        >>> Calibration(temperature=2.0).apply(torch.tensor([[4.0, 0.0]]))
        tensor([[2., 0.]])
        >>> Calibration().is_identity
        True

    Source: Guo, Pleiss, Sun and Weinberger (2017), On Calibration of Modern Neural Networks, section 4.2.
    """

    quadratic: QuadraticMap | None = None
    temperature: float = 1.0
    vector_scaling: VectorScaling | None = None
    structured_scaling: StructuredScaling | None = None
    uniform_share: float = 0.0

    def apply(self, logits: Float[Tensor, "N K"]) -> Float[Tensor, "N K"]:
        """Calibrated logits.

        Args:
            logits: Scores of a network, any float type.

        Returns:
            Logits whose softmax is the calibrated probability of each class, of the same type.
        """
        if self.quadratic is not None:
            logits = self.quadratic.apply(logits)
        if self.temperature != 1.0:
            logits = logits / self.temperature
        if self.vector_scaling is not None:
            logits = self.vector_scaling.apply(logits)
        if self.structured_scaling is not None:
            logits = self.structured_scaling.apply(logits)
        return mix_with_uniform(logits, self.uniform_share)

    @property
    def is_identity(self) -> bool:
        """Whether it leaves every logit as it is."""
        return self == Calibration()

    def as_json(self) -> dict[str, Any]:
        """Its parts by the keys of `--json`; parts that are not applied are None, or 0 for the uniform share."""
        return {
            "temperature": self.temperature,
            "curve": None if self.quadratic is None else asdict(self.quadratic),
            "floor": self.uniform_share,
            "vector_scaling": None if self.vector_scaling is None else self.vector_scaling.as_json(),
            "structured_scaling": None if self.structured_scaling is None else self.structured_scaling.as_json(),
        }

    def as_header(self) -> dict[str, Any]:
        """Its entries in the header of a model file: the temperature, and each other part that is applied."""
        return {key: value for key, value in self.as_json().items() if value}

    @classmethod
    def from_header(cls, entries: Mapping[str, Any]) -> "Calibration":
        """The calibration of validated header entries.

        Example:
            >>> calibration = Calibration(temperature=1.5, uniform_share=0.01)
            >>> Calibration.from_header(calibration.as_header()) == calibration
            True
        """
        curve, vector, structured = (entries.get(key) for key in ("curve", "vector_scaling", "structured_scaling"))
        return cls(
            quadratic=None if curve is None else QuadraticMap(**curve),
            temperature=entries["temperature"],
            vector_scaling=None if vector is None else VectorScaling.from_json(vector),
            structured_scaling=None if structured is None else StructuredScaling.from_json(structured),
            uniform_share=entries.get("floor") or 0.0,
        )

    def in_words(self) -> list[str]:
        """One sentence for each part that is applied, in order of application; empty for the identity."""
        sentences = []
        if self.quadratic is not None:
            sentences.append(self.quadratic.in_words())
        if self.temperature != 1:
            sentences.append(f"The logits are divided by the temperature {self.temperature:.3f}.")
        if self.vector_scaling is not None:
            sentences.append(self.vector_scaling.in_words())
        if self.structured_scaling is not None:
            sentences.append(self.structured_scaling.in_words())
        if self.uniform_share:
            sentences.append(
                f"{self.uniform_share:.2%} of the probability is spread evenly over all classes, which limits the cost "
                "of confident mistakes."
            )
        return sentences

    def values(self) -> dict[str, str]:
        """Name and value of the temperature and of each other part that is applied, for a table of facts."""
        values = {"temperature": f"{self.temperature:.4f}"}
        if self.quadratic is not None:
            values["quadratic map"] = self.quadratic.formula()
        if self.vector_scaling is not None:
            values["vector scaling"] = self.vector_scaling.ranges()
        if self.structured_scaling is not None:
            values["structured scaling"] = self.structured_scaling.ranges()
        if self.uniform_share:
            values["uniform share"] = f"{self.uniform_share:.2%}"
        return values
