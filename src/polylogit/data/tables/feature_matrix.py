"""The matrix that features are written to: float32, zero at first, each row where a matrix product wants it.

Owns where rows lie in memory. What is written into them is the business of `encoder`.
"""

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["ALIGNMENT", "aligned_zeros"]

ALIGNMENT = 16
"""Numbers of float32 in 64 bytes, a line of the cache and the widest register."""


def aligned_zeros(rows: int, *shape: int) -> Float[Tensor, "N ..."]:
    """Float32 zeros whose rows, where they are vectors, start a multiple of `ALIGNMENT` numbers apart.

    A matrix product adds up a row in an order that depends on where in memory it starts.

    Example:
        >>> aligned_zeros(2, 3).stride()
        (16, 1)
    """
    if len(shape) != 1:
        return torch.zeros(rows, *shape)
    return torch.zeros(rows, -(-shape[0] // ALIGNMENT) * ALIGNMENT)[:, : shape[0]]
