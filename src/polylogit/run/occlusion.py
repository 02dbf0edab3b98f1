"""Occlusion maps: which parts of a picture a prediction rests on.

A square of the picture is covered with the picture's own mean colour, at each place of a grid in turn, and the model
predicts again. Where the predicted class loses, the model saw what it took for that class. This needs no gradient, so
it is the same for every model of pictures.
"""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from polylogit.classifier import Classifier

__all__ = ["occlusion_maps"]

PLACES = 7
"""Places of the square along the shorter side; it covers two steps of the grid."""

_PICTURES_AT_ONCE = 128


def occlusion_maps(
    classifier: Classifier, pictures: UInt8[Tensor, "N C H W"], places: int = PLACES
) -> Float[Tensor, "N h w"]:
    """How much the log probability of the predicted class falls when a part of the picture is covered.

    Args:
        classifier: A model of pictures.
        pictures: Pictures of its size.
        places: h or w, whichever is smaller; the other follows from the shape of the pictures.

    Returns:
        Nats for each place of the square; positive where the class loses. Calibration is included.

    Raises:
        DataError: The model takes tables, or pictures of another size.

    Example:
        >>> import tempfile, pathlib
        >>> from PIL import Image
        >>> from polylogit.recipes import recipe_from_entries
        >>> from polylogit.run import train
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name, place in (("left", 1), ("right", 6)):
        ...     (folder / name).mkdir()
        ...     for light in range(100, 140):
        ...         picture = Image.new("L", (8, 8))
        ...         picture.putpixel((place, 4), light)
        ...         picture.save(folder / name / f"{light}.png")
        >>> run = train(str(folder), recipe_from_entries({}), out=folder / "model.safetensors")
        >>> spot = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
        >>> spot[..., 4, 1] = 120
        >>> fall = occlusion_maps(run.classifier, spot, places=4)[0]
        >>> bool(fall[:, 0].max() > 0.1), bool(fall[:, 3].max() < 0.1)
        (True, True)

    Source: Zeiler and Fergus (2014), Visualizing and Understanding Convolutional Networks, section 4.2; here a grid of
    overlapping squares, and the logarithm of the probability.
    """
    height, width = pictures.shape[2:]
    step = max(1, round(min(height, width) / places))
    tops, lefts = (list(range(0, side - step // 2, step)) for side in (height, width))
    maps = torch.empty(len(pictures), len(tops), len(lefts))
    for number, picture in enumerate(pictures):
        cover = picture.float().mean(dim=(1, 2), keepdim=True).round().to(torch.uint8)
        covered = picture.repeat(len(tops) * len(lefts) + 1, 1, 1, 1)
        for place, (top, left) in enumerate((top, left) for top in tops for left in lefts):
            rows = slice(max(0, top - step // 2), top + step + step // 2)
            columns = slice(max(0, left - step // 2), left + step + step // 2)
            covered[place, :, rows, columns] = cover
        blocks = torch.split(covered, _PICTURES_AT_ONCE)
        scores = torch.cat([classifier.score_pictures(block).logits for block in blocks]).log_softmax(dim=1)
        own = scores[:, scores[-1].argmax()]
        maps[number] = (own[-1] - own[:-1]).reshape(len(tops), len(lefts))
    return maps
