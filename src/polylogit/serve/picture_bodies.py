"""Pictures in a body: one as it is, or several as files of a form."""

from collections.abc import AsyncGenerator

import numpy as np
import torch
from jaxtyping import UInt8
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from torch import Tensor

from polylogit.data.pictures.encoder import PictureEncoder
from polylogit.data.pictures.files import decode_picture
from polylogit.errors import DataError
from polylogit.serve.request_error import RequestError

__all__ = ["PICTURE_TYPES", "UploadedFile", "decode_pictures", "read_form"]

PICTURE_TYPES = ("image/png", "image/jpeg", "image/gif", "image/bmp", "image/webp", "image/tiff")

MOST_FILES = 1000
"""The most files of a form."""


class UploadedFile:
    """A file from a form, or a body that is one.

    Args:
        name: Its name, for messages and the answer; None for a body.
        media_type: Its media type.
        content: Its bytes.
    """

    def __init__(self, name: str | None, media_type: str, content: bytes) -> None:
        self.name = name
        self.media_type = media_type
        self.content = content


async def read_form(request: Request, body: bytes) -> list[UploadedFile]:
    """The files of a multipart form.

    Args:
        request: For its headers.
        body: The form.

    Returns:
        The files in their order.

    Raises:
        RequestError: The form is damaged, or has no file or too many.
    """

    async def content() -> AsyncGenerator[bytes, None]:
        yield body

    try:
        form = await MultiPartParser(request.headers, content(), max_files=MOST_FILES, max_fields=MOST_FILES).parse()
    except (MultiPartException, KeyError, ValueError) as fault:
        raise RequestError(422, "unreadable", "the body is not a valid multipart form.") from fault
    files = []
    for _, part in form.multi_items():
        if isinstance(part, UploadFile):
            media_type = (part.content_type or "").partition(";")[0].strip().lower()
            files.append(UploadedFile(part.filename, media_type, await part.read()))
    await form.close()
    if not files:
        raise RequestError(422, "unreadable", "the form has no file. Send each picture as a part with a filename.")
    return files


def decode_pictures(
    files: list[UploadedFile], encoder: PictureEncoder, max_pixels: int
) -> tuple[UInt8[Tensor, "N C H W"], dict[int, str]]:
    """Pixels of the pictures that can be read, scaled as `polylogit predict` scales them.

    Args:
        files: Picture files.
        encoder: Of the model.
        max_pixels: Most pixels of a picture before it is scaled.

    Returns:
        Pixels, and what is wrong with each of the others by its number.
    """
    pixels, faults = [], {}
    for number, file in enumerate(files):
        try:
            decoded = decode_picture(file.content, encoder.input_shape, encoder.background, max_pixels)
        except DataError as fault:
            faults[number] = str(fault)
        else:
            pixels.append(decoded)
    stacked = np.stack(pixels) if pixels else np.empty((0, *encoder.input_shape), dtype=np.uint8)
    return torch.from_numpy(stacked), faults
