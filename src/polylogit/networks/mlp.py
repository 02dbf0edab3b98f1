"""The multilayer perceptron: linear layers with an activation between them. Pictures are flattened, row by row."""

from collections.abc import Callable, Mapping, Sequence

from jaxtyping import Float
from torch import Tensor, nn

from polylogit.errors import RecipeError, did_you_mean
from polylogit.network_sections import MLP
from polylogit.networks.dense import DenseLayer, DropoutLayer
from polylogit.system.sparse_rows import SparseRows

__all__ = ["ACTIVATIONS", "MlpNetwork"]

ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}
"""The activations that may be named in a recipe."""


class MlpNetwork(nn.Module):
    """Linear layers, an activation after each but the last.

    h_0 = inputs,  h_i = activation(dropout(W_i h_(i-1) + b_i)),  logits = W h + b

    Parameters: for widths d_0 = features, d_1, ..., d_L, d_(L+1) = classes, the sum of (d_(i-1) + 1) * d_i. The layers
    are made from the input to the logits, each with torch's own initialisation, so that a seed gives the weights that
    the plain `nn.Sequential` of the same layers has.

    Softmax takes only differences of logits, so one class's logit may as well be 0. With a reference class the last
    layer gives K - 1 numbers, the log odds against the first class: for two classes and no hidden layer the network is
    logistic regression.

    Args:
        features: D, the number of features (C * H * W for pictures).
        classes: K, the number of classes.
        hidden: Widths of the hidden layers; with none the network is linear.
        activation: One of `ACTIVATIONS`.
        dropout: The share of each hidden layer's values that is set to zero in training, in [0, 1).
        bias: Whether each layer adds b.
        reference_class: Whether the logit of class 0 is always 0.

    Raises:
        RecipeError: An option is out of its range.

    Example:
        >>> import torch
        >>> network = MlpNetwork(features=784, classes=10, hidden=(32,))
        >>> network(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
        >>> sum(parameter.numel() for parameter in network.parameters())
        25450
        >>> MlpNetwork(features=4, classes=3, reference_class=True)(torch.ones(1, 4))[0, 0].item()
        0.0

    Source: Rumelhart, Hinton and Williams (1986), Learning representations by back-propagating errors, Nature 323;
    Srivastava et al. (2014), Dropout, JMLR 15, section 4; Agresti (2002), Categorical Data Analysis, section 7.1
    (baseline-category logits).
    """

    def __init__(
        self,
        features: int,
        classes: int,
        *,
        hidden: Sequence[int] = MLP.hidden,
        activation: str = MLP.activation,
        dropout: float = MLP.dropout,
        bias: bool = MLP.bias,
        reference_class: bool = MLP.reference_class,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise RecipeError(f'no activation "{activation}" is known here.{did_you_mean(activation, ACTIVATIONS)}')
        if any(width < 1 for width in hidden):
            raise RecipeError(f"hidden widths: expected counts of at least 1, got {list(hidden)}.")
        if not 0 <= dropout < 1:
            raise RecipeError(f"dropout: expected a share in [0, 1), got {dropout}.")
        layers: list[nn.Module] = []
        before = features
        for width in hidden:
            layers.append(DenseLayer(before, width, bias=bias))
            if dropout:
                layers.append(DropoutLayer(dropout))
            layers.append(ACTIVATIONS[activation]())
            before = width
        layers.append(DenseLayer(before, classes - reference_class, bias=bias))
        self.layers = nn.Sequential(*layers)
        self.reference_class = reference_class

    def forward(self, inputs: Float[Tensor, "N ..."] | SparseRows) -> Float[Tensor, "N K"]:
        """Logits of the inputs."""
        logits: Tensor = self.layers(inputs if isinstance(inputs, SparseRows) else inputs.flatten(1))
        return nn.functional.pad(logits, (1, 0)) if self.reference_class else logits
