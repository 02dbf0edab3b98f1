"""Test-time augmentation: logits averaged over mirror images and shifts of a picture.

It is part of the network in evaluation mode, so that every prediction includes it and training does not.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polylogit.errors import RecipeError, did_you_mean

__all__ = ["check_views", "mean_over_views", "takes_many_views", "without_test_time_augmentation"]


_STILL = ((0, 0),)
_CROSS = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
_STEPS_AND_MIRROR: Mapping[str, tuple[tuple[tuple[int, int], ...], bool]] = {
    "one": (_STILL, False),
    "mirror": (_STILL, True),
    "cross": (_CROSS, False),
    "mirror-cross": (_CROSS, True),
}


def mean_over_views(
    logits_of: Callable[[Float[Tensor, "N C H W"]], Float[Tensor, "N K"]],
    pictures: Float[Tensor, "N C H W"],
    views: str,
) -> Float[Tensor, "N K"]:
    """The mean of the logits of several views of each picture.

    logits[n] = 1/V sum_v logits_of(view_v(pictures))[n]

    Args:
        logits_of: The network on one view.
        pictures: As the network takes them.
        views: "one": the picture alone. "mirror": and its mirror image. "cross": the picture, and moved by a pixel up,
            down, left and right, the edge repeated. "mirror-cross": those five and their mirror images.

    Returns:
        The mean.

    Example:
        >>> pictures = torch.tensor([[[[1.0, 2.0, 3.0]]]])
        >>> mean_over_views(lambda view: view.flatten(1), pictures, "mirror")
        tensor([[2., 2., 2.]])

    Source: Krizhevsky, Sutskever and Hinton (2012), ImageNet Classification with Deep Convolutional Neural Networks,
    section 4.1: the mean over crops and their mirror images.
    """
    return torch.stack([logits_of(view) for view in _views_of(pictures, views)]).mean(0)


def check_views(views: str) -> None:
    """See to it that the views are known.

    Raises:
        RecipeError: They are not.
    """
    if views not in _STEPS_AND_MIRROR:
        raise RecipeError(f'views: no "{views}" are known here.{did_you_mean(views, _STEPS_AND_MIRROR)}')


def takes_many_views(network: nn.Module) -> bool:
    """Whether a network averages over more than the plain picture."""
    return getattr(network, "views", "one") != "one"


@contextmanager
def without_test_time_augmentation(network: nn.Module) -> Iterator[None]:
    """Use the plain picture only, within this context: for metrics during training.

    Args:
        network: Of any kind; one that takes no views is left as it is.

    Example:
        >>> network = nn.Identity()
        >>> network.views = "mirror-cross"
        >>> with without_test_time_augmentation(network):
        ...     network.views
        'one'
        >>> network.views
        'mirror-cross'
    """
    if not takes_many_views(network):
        yield
        return
    views = network.views
    vars(network)["views"] = "one"
    try:
        yield
    finally:
        vars(network)["views"] = views


def _views_of(pictures: Float[Tensor, "N C H W"], views: str) -> Iterator[Float[Tensor, "N C H W"]]:
    steps, mirrored = _STEPS_AND_MIRROR[views]
    for down, right in steps:
        view = _moved(pictures, down, right)
        yield view
        if mirrored:
            yield view.flip(3)


def _moved(pictures: Float[Tensor, "N C H W"], down: int, right: int) -> Float[Tensor, "N C H W"]:
    for axis, step in ((2, down), (3, right)):
        if step:
            places = torch.arange(pictures.shape[axis], device=pictures.device) - step
            pictures = pictures.index_select(axis, places.clamp(0, pictures.shape[axis] - 1))
    return pictures
