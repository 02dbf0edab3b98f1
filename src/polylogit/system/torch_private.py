"""Private and undocumented names of torch, each bound with a guard and with a public fallback.

No other file of polylogit uses such a name. `FALLBACKS` holds, for each name that is exported here, the function made
of documented operations alone. A name that this version of torch lacks, or that fails its trial call, is bound to its
fallback when the module is imported. Callers write `torch_private.name(...)`, so that a test can replace any of them.
"""

import sys
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor

__all__ = [
    "FALLBACKS",
    "FUSED_ADAM",
    "FUSED_ADAMW",
    "autocast_is_enabled",
    "cross_entropy_loss",
    "foreach_add",
    "is_batched",
    "nll_loss",
    "nll_loss_gradient",
    "onednn_linear",
    "operations_are_traced",
    "operations_run_plainly",
]

_REDUCTIONS = ("none", "mean", "sum")


def _find(path: str) -> Any:  # noqa: ANN401 - whatever torch has under this name
    """The attribute of torch with this dotted path, or None where this version has none."""
    found: Any = torch
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except (AttributeError, RuntimeError):  # torch.ops raises either one
            return None
    return found


def _bound(name: str, private: Callable[..., Any] | None, *trial: object) -> Callable[..., Any]:
    """The private function where a trial call of it succeeds, else the fallback of that name."""
    if private is None:
        return FALLBACKS[name]
    try:
        private(*trial)
    except (TypeError, ValueError, RuntimeError, LookupError, AttributeError):
        return FALLBACKS[name]
    return private


def _cross_entropy_loss(  # noqa: PLR0917 - the order of torch's own function
    logits: Tensor, targets: Tensor, weight: Tensor | None, reduction: int, ignore_index: int, label_smoothing: float
) -> Tensor:
    word = _REDUCTIONS[reduction]
    return F.cross_entropy(logits, targets, weight, None, ignore_index, None, word, label_smoothing)


def _nll_loss(scores: Tensor, targets: Tensor, weight: Tensor | None, reduction: int, ignore_index: int) -> Tensor:
    return F.nll_loss(scores, targets, weight, None, ignore_index, None, _REDUCTIONS[reduction])


def _nll_loss_gradient(gradient: Tensor, scores: Tensor, targets: Tensor, ignore_index: int) -> Tensor:
    skip = targets == ignore_index
    chosen = (-gradient).masked_fill(skip, 0).unsqueeze(1)
    return torch.zeros_like(scores).scatter(1, targets.masked_fill(skip, 0).unsqueeze(1), chosen)


def _onednn_linear(left: Tensor, right: Tensor, bias: Tensor | None) -> Tensor:
    return F.linear(left, right, bias)


def _is_batched(tensor: Tensor) -> bool:
    return not tensor.is_meta and not _has_values(tensor)


def _has_values(tensor: Tensor) -> bool:
    try:
        tensor.detach().reshape(-1)[:1].sum().item()
    except RuntimeError:
        return False
    return True


def _has_tangent(tensor: Tensor) -> bool:
    return torch.autograd.forward_ad.unpack_dual(tensor).tangent is not None  # type: ignore[no-untyped-call] # torch declares no types there


def _operations_run_plainly(*tensors: Tensor) -> bool:
    for tensor in tensors:
        if torch.func.debug_unwrap(tensor) is not tensor:
            return False
        if tensor.is_floating_point() and _has_tangent(tensor):
            return False
    return not _operations_are_traced(*tensors)


def _operations_are_traced(*tensors: Tensor) -> bool:
    fake = sys.modules.get("torch._subclasses.fake_tensor")
    for tensor in tensors:
        if fake is not None and isinstance(tensor, fake.FakeTensor):
            return True
        if not tensor.is_meta and not _has_values(tensor):
            return True
    return False


def _autocast_is_enabled() -> bool:
    return True  # perhaps: callers ask about the device then


def _foreach_add(tensors: list[Tensor], value: float) -> None:
    for tensor in tensors:
        tensor.add_(value)


FALLBACKS: dict[str, Callable[..., Any]] = {
    "autocast_is_enabled": _autocast_is_enabled,
    "cross_entropy_loss": _cross_entropy_loss,
    "foreach_add": _foreach_add,
    "nll_loss": _nll_loss,
    "nll_loss_gradient": _nll_loss_gradient,
    "onednn_linear": _onednn_linear,
    "is_batched": _is_batched,
    "operations_are_traced": _operations_are_traced,
    "operations_run_plainly": _operations_run_plainly,
}

_one_row, _one_class = torch.zeros(1, 2, device="cpu", dtype=torch.float32), torch.zeros(1, device="cpu").long()

# torch 2.14: cross_entropy_loss(self, target, weight=None, reduction=Mean, ignore_index=-100, label_smoothing=0.0).
# The operation inside F.cross_entropy, whose Python code takes 2 % of a small batch.
cross_entropy_loss: Callable[[Tensor, Tensor, Tensor | None, int, int, float], Tensor] = _bound(
    "cross_entropy_loss", _find("_C._nn.cross_entropy_loss"), _one_row, _one_class, None, 1, -100, 0.0
)

# torch 2.14: _is_any_autocast_enabled(), on whatever device. Half the time of torch.is_autocast_enabled(device_type).
autocast_is_enabled: Callable[[], bool] = _bound("autocast_is_enabled", _find("_C._is_any_autocast_enabled"))

# torch 2.14: nll_loss_nd(self, target, weight=None, reduction=Mean, ignore_index=-100).
nll_loss: Callable[[Tensor, Tensor, Tensor | None, int, int], Tensor] = _bound(
    "nll_loss", _find("_C._nn.nll_loss_nd"), _one_row, _one_class, None, 1, -100
)

# torch 2.14: nll_loss_backward and nll_loss2d_backward(grad_output, self, target, weight, reduction,
# ignore_index, total_weight). One pass where scatter takes three; the total weight is read for a mean only.
_nll_backward = _find("ops.aten.nll_loss_backward.default")
_nll_of_places_backward = _find("ops.aten.nll_loss2d_backward.default")
_UNREAD = torch.zeros((), device="cpu", dtype=torch.float32)


def _native_nll_loss_gradient(gradient: Tensor, scores: Tensor, targets: Tensor, ignore_index: int) -> Tensor:
    backward = _nll_backward if targets.dim() == 1 else _nll_of_places_backward
    gradients: Tensor = backward(gradient, scores, targets, None, 0, ignore_index, _UNREAD.to(scores.dtype))
    return gradients


nll_loss_gradient: Callable[[Tensor, Tensor, Tensor, int], Tensor] = _bound(
    "nll_loss_gradient",
    None if _nll_backward is None or _nll_of_places_backward is None else _native_nll_loss_gradient,
    _one_row[:, 0],
    _one_row,
    _one_class,
    -100,
)

# torch 2.14: mkldnn._linear_pointwise(X, W, B, attr, scalars, algorithm), which torch's compiler calls.
_linear_pointwise: Any = _find("ops.mkldnn._linear_pointwise") if torch.backends.mkldnn.is_available() else None  # type: ignore[no-untyped-call] # torch declares no types there


def _native_onednn_linear(left: Tensor, right: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = _linear_pointwise(left, right, bias, "none", [], "")
    return product


onednn_linear: Callable[[Tensor, Tensor, Tensor | None], Tensor] = _bound(
    "onednn_linear", None if _linear_pointwise is None else _native_onednn_linear, _one_row, _one_row, None
)

# torch 2.14: is_batchedtensor(t) recognises a tensor of vmap, is_legacy_batchedtensor(t) one of is_grads_batched, and
# get_unwrapped(t) removes one level of torch.func.
_BATCHED = ("is_functorch_wrapped_tensor", "is_batchedtensor", "is_legacy_batchedtensor", "get_unwrapped")
_is_wrapped, _is_batched_tensor, _is_legacy_batched, _unwrapped = (_find(f"_C._functorch.{name}") for name in _BATCHED)


def _native_is_batched(tensor: Tensor) -> bool:
    if _is_legacy_batched(tensor):
        return True
    while _is_wrapped(tensor):
        if _is_batched_tensor(tensor):
            return True
        tensor = _unwrapped(tensor)
    return False


is_batched: Callable[[Tensor], bool] = _bound(
    "is_batched",
    None if None in (_is_wrapped, _is_batched_tensor, _is_legacy_batched, _unwrapped) else _native_is_batched,
    _one_row,
)

# torch 2.14: the stack of TorchDispatchMode, and its three modes under which a tensor has no values to read:
# fake tensors, make_fx and functionalisation.
_dispatch_modes = _find("_C._len_torch_dispatch_stack")
_mode_of = _find("_C._get_dispatch_mode")
_TRACING_MODES = tuple((_find("_C._TorchDispatchModeKey.__members__") or {}).values())


def _native_operations_are_traced(*tensors: Tensor) -> bool:
    if _dispatch_modes() and any(_mode_of(key) is not None for key in _TRACING_MODES):
        return True
    fake = sys.modules.get("torch._subclasses.fake_tensor")
    return fake is not None and any(isinstance(tensor, fake.FakeTensor) for tensor in tensors)


operations_are_traced: Callable[..., bool] = _bound(
    "operations_are_traced",
    None if None in (_dispatch_modes, _mode_of) or not _TRACING_MODES else _native_operations_are_traced,
)

# torch 2.14: peek_interpreter_stack() is None outside vmap, grad, jvp and functionalize;
# forward_ad._current_level is -1 outside forward-mode differentiation.
_transform = _find("_C._functorch.peek_interpreter_stack")
_forward_mode = torch.autograd.forward_ad


def _native_operations_run_plainly(*_: Tensor) -> bool:
    return _transform() is None and not _dispatch_modes() and _forward_mode._current_level < 0


operations_run_plainly: Callable[..., bool] = _bound(
    "operations_run_plainly",
    None if None in (_transform, _dispatch_modes) else _native_operations_run_plainly,
)

# torch 2.14: _foreach_add_(self, scalar). One call for all tensors.
foreach_add: Callable[[list[Tensor], float], None] = _bound("foreach_add", _find("_foreach_add_"), [torch.zeros(1)], 1)

FUSED_ADAM: Callable[..., Any] | None = _find("_fused_adam_")
"""The kernel under `torch.optim.Adam(fused=True)`, from torch 2.0; None where it is missing.

Its public fallback is that class itself, which `polylogit.fitting.optimizers` takes then.
"""

FUSED_ADAMW: Callable[..., Any] | None = _find("_fused_adamw_")
"""The same for `torch.optim.AdamW`."""
