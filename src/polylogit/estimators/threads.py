"""The `n_jobs` parameter of the linear estimators, as a number of torch threads."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from joblib import effective_n_jobs

__all__ = ["torch_threads"]


@contextmanager
def torch_threads(n_jobs: int | None) -> Iterator[None]:
    """Run a block with this many torch threads.

    Args:
        n_jobs: A count; -1 is one thread per processor, -2 one fewer, and so on; None leaves the number as it is.

    Example:
        >>> before = torch.get_num_threads()
        >>> with torch_threads(1):
        ...     torch.get_num_threads()
        1
        >>> torch.get_num_threads() == before
        True
    """
    if n_jobs is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(n_jobs if n_jobs > 0 else effective_n_jobs(n_jobs))
    try:
        yield
    finally:
        torch.set_num_threads(before)
