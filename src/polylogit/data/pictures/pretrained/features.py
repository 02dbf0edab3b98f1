"""Features of all pictures of a data set: one pass in batches, or from the cache.

See also: `feature_cache.py`.
"""

import hashlib
import json
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from polylogit.data.pictures.pretrained.encoder import BackboneEncoder
from polylogit.data.pictures.pretrained.feature_cache import FeatureCache
from polylogit.data.pictures.stored import StoredPictures, blocks_of_rows

__all__ = ["features_of_pictures"]

BLOCK = 64
"""Pictures between two reports of progress, whose features are written to the cache together."""

_METHOD = 1
"""Raised when pictures are read in another way, so that features in caches are not those of today."""


def features_of_pictures(
    encoder: BackboneEncoder,
    pictures: Tensor | StoredPictures,
    digests: Sequence[str],
    cache: FeatureCache,
    on_progress: Callable[[int, int], None] | None = None,
) -> Float[Tensor, "N D"]:
    """Features of pictures, each computed once.

    Args:
        encoder: The network, and how pictures are read.
        pictures: The pictures, in memory or in their files.
        digests: SHA-256 of the file of each.
        cache: Where features may be already, and are kept.
        on_progress: Called with the pictures done and all pictures that are not in the cache.

    Returns:
        Their features, float32, on the CPU.

    Raises:
        DataError: A file is no picture, or is damaged; it is named.
    """
    keys = [_key(encoder, digest) for digest in digests]
    known = cache.read(keys, encoder.features)
    first_of = {key: row for row, key in reversed(list(enumerate(keys))) if key not in known}
    missing = torch.tensor(sorted(first_of.values()), dtype=torch.int64)
    if len(missing):
        done = 0
        for block in blocks_of_rows(pictures[missing], BLOCK):
            with torch.inference_mode():
                found = encoder.prepare(block).cpu().clone()
            fresh = {
                keys[row]: each for row, each in zip(missing[done : done + len(block)].tolist(), found, strict=True)
            }
            known |= fresh
            cache.write(fresh)
            done += len(block)
            if on_progress is not None:
                on_progress(done, len(missing))
    return torch.stack([known[key] for key in keys])


def _key(encoder: BackboneEncoder, digest: str) -> bytes:
    """A digest of the file of a picture and of all that its features depend on besides."""
    reading = [_METHOD, digest, encoder.backbone.name, encoder.backbone.weights.digest, encoder.backbone.module.mirror]
    reading += [*encoder.input_shape, encoder.background]
    return hashlib.sha256(json.dumps(reading).encode()).digest()
