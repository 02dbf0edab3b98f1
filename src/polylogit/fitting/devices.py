"""The device and the precision of a fit, chosen by what the hardware can do and what the network is.

Nothing is measured, so that the same machine makes the same choice, and gives the same weights, every time.
"""

from typing import Literal

import torch
from torch import nn

from polylogit.errors import RecipeError

__all__ = ["DeviceName", "Precision", "choose_device", "uses_bfloat16"]

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "float32", "bfloat16"]

_SMALL_MATRIX = 1 << 16
"""Weights below which a CPU's casts to bfloat16 cost more than the shorter product saves."""


def choose_device(name: DeviceName = "auto") -> torch.device:
    """The device of that name; "auto" takes the GPU where there is one.

    Args:
        name: "auto", "cpu", "cuda" or "mps".

    Returns:
        The device.

    Raises:
        RecipeError: The device is not there.

    Example:
        >>> choose_device("cpu")
        device(type='cpu')
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, is_there in present.items() if is_there))
    if not present[name]:
        there = ", ".join(kind for kind, is_there in present.items() if is_there)
        raise RecipeError(f"--device {name}: this machine, or this build of torch, has none. There is: {there}.")
    return torch.device(name)


def uses_bfloat16(precision: Precision, device: torch.device, network: nn.Module, *, pictures: bool) -> bool:
    """Whether matrix products and convolutions run in bfloat16.

    "auto" says yes for pictures, whose values need no more digits, where the hardware multiplies in bfloat16 itself: a
    CPU with AVX512_BF16 or AMX, an Arm CPU with BF16, a GPU that torch says supports it. Elsewhere bfloat16 is emulated
    and slower than float32; so it is on a CPU too for a network of small matrices alone, without convolutions. Weights,
    their updates, the loss and the normalisation's parameters are float32 in every case.

    Args:
        precision: "auto", "float32" or "bfloat16".
        device: Where the network runs.
        network: What runs there.
        pictures: Whether the inputs are pictures; the columns of a table can need every digit of float32.

    Returns:
        True for bfloat16.

    Example:
        >>> uses_bfloat16("float32", torch.device("cpu"), nn.Linear(784, 10), pictures=True)
        False
    """
    if precision != "auto":
        return precision == "bfloat16"
    if not pictures:
        return False
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        # torch 2.9 does not have it, and then float32 is chosen
        abilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
        able = any(bool(abilities.get(name)) for name in ("avx512_bf16", "amx_bf16", "bf16"))
        return able and any(weight.ndim > 2 or weight.numel() >= _SMALL_MATRIX for weight in network.parameters())
    return False
