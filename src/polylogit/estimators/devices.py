"""The `device` parameter of the estimators."""

import torch

from polylogit.errors import RecipeError

__all__ = ["find_device"]


def find_device(device: str | torch.device, dtype: torch.dtype = torch.float64) -> torch.device:
    """The device that an estimator computes on.

    Args:
        device: "auto", a name such as "cpu" or "cuda:0", or a `torch.device`. "auto" is a GPU where torch has one that
            computes in `dtype`, else the CPU.
        dtype: The precision that is needed there.

    Returns:
        The device.

    Raises:
        RecipeError: There is no such device, or it does not compute in `dtype`.

    Example:
        >>> find_device("cpu"), find_device(torch.device("cpu"))
        (device(type='cpu'), device(type='cpu'))
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        has_mps = dtype != torch.float64 and torch.backends.mps.is_available()
        return torch.device("mps" if has_mps else "cpu")
    try:
        return torch.empty(0, dtype=dtype, device=device).device
    except (RuntimeError, TypeError, AssertionError) as fault:  # torch raises any of them
        reason = str(fault).splitlines()[0].rstrip(".")
        name = str(dtype).removeprefix("torch.")
        raise RecipeError(
            f'device="{device}": {name} cannot be computed there ({reason}). Use "cpu" or "auto".'
        ) from fault
