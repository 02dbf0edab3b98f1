"""The losses: from declared scores and targets to a number, for any training loop.

    scores                    two classes, one number a row                 K classes, a row of K numbers
    logits                    binary_cross_entropy_with_logits              cross_entropy_with_logits
    probabilities             binary_cross_entropy_with_probabilities       cross_entropy_with_probabilities
    log-probabilities                                                       cross_entropy_with_log_probabilities

Each has a module of the same name (`CrossEntropyWithLogits`, ...). Beside them: `focal_cross_entropy_with_logits`;
`linear_cross_entropy_with_logits` for very many classes; `target_weights` with `weighted_mean`, which keep the
objective the same when a batch is cut into parts.
The files: `softmax`, `binary`, `focal` and `linear` are the losses, `likelihood` what `softmax` and `focal` share,
`kernels` the choice of a kernel, `fused` and `picked` two of our own, `targets` what a target may be, `reduction` the
one reduction, `arithmetic` precision and 0 * inf, `modules` the modules. Nothing here knows of training, data or class
names.
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
from polylogit.losses.targets import target_weights

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
