"""The losses: from scores of a declared kind and targets to a number, for any training loop.

    scores                    two classes, one number a row                 K classes, a row of K numbers
    logits                    binary_cross_entropy_with_logits              cross_entropy_with_logits
    probabilities             binary_cross_entropy_with_probabilities       cross_entropy_with_probabilities
    log-probabilities                                                       cross_entropy_with_log_probabilities

Each has a module of the same name (`CrossEntropyWithLogits`, ...). Besides: `focal_cross_entropy_with_logits`;
`linear_cross_entropy_with_logits` for very many classes; `target_weights` with `weighted_mean`, which keep the
objective the same when a batch is split into parts.

See also: docs/losses.md, with a table from the names of other libraries to these. The files: `softmax`, `binary`,
`focal`, `linear` and `modules` are the interface; `likelihood` computes the losses over a class axis under every
transform of PyTorch, and `cpu_losses` those of tensors on a CPU, by `kernels`, `fused` and `picked`; they share
`targets`, `target_checks`, `weights`, `excluded_rows`, `options`, `migration`, `autocast`, `reduction`, `arithmetic`.
"""

from polylogit.losses.binary import binary_cross_entropy_with_logits, binary_cross_entropy_with_probabilities
from polylogit.losses.focal import focal_cross_entropy_with_logits
from polylogit.losses.linear import linear_cross_entropy_with_logits
from polylogit.losses.modules import (
    BinaryCrossEntropyWithLogits,
    BinaryCrossEntropyWithProbabilities,
    CrossEntropyWithLogits,
    CrossEntropyWithLogProbabilities,
    CrossEntropyWithProbabilities,
    FocalCrossEntropyWithLogits,
    LinearCrossEntropyWithLogits,
)
from polylogit.losses.reduction import Reduction, weighted_mean
from polylogit.losses.softmax import (
    cross_entropy_with_log_probabilities,
    cross_entropy_with_logits,
    cross_entropy_with_probabilities,
)
from polylogit.losses.weights import target_weights

__all__ = [
    "BinaryCrossEntropyWithLogits",
    "BinaryCrossEntropyWithProbabilities",
    "CrossEntropyWithLogProbabilities",
    "CrossEntropyWithLogits",
    "CrossEntropyWithProbabilities",
    "FocalCrossEntropyWithLogits",
    "LinearCrossEntropyWithLogits",
    "Reduction",
    "binary_cross_entropy_with_logits",
    "binary_cross_entropy_with_probabilities",
    "cross_entropy_with_log_probabilities",
    "cross_entropy_with_logits",
    "cross_entropy_with_probabilities",
    "focal_cross_entropy_with_logits",
    "linear_cross_entropy_with_logits",
    "target_weights",
    "weighted_mean",
]
