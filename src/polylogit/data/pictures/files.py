"""Picture files: pixels of one size from files of many formats, or an error that names every file at fault.

See also: `polylogit.data.pictures.listing`, which finds the files and their labels.
"""

import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from polylogit.data.pictures.encoder import Background, Pictures
from polylogit.data.pictures.signatures import UNREADABLE_FORMATS, format_by_content
from polylogit.errors import DataError
from polylogit.system.usable_cores import usable_cores

__all__ = [
    "DECODED_FORMATS",
    "check_headers",
    "common_form",
    "decode_picture",
    "form_of_image",
    "raise_faults",
    "read_pictures",
    "readable_files",
    "skipped_note",
]

DECODED_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")
"""The formats of `decode_picture`: widespread ones, whose decoders are well tested, and no other program is run."""


_LONGEST_KEPT = 96
_USUAL_SIDE = 64
_SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I")
_GREY = ("1", "L", "LA", "La", *_SIXTEEN_BIT)
_COLOUR = ("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")
_FAULTS = (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)
_MOST_NAMED = 10
_CONVERT = "Convert it to PNG or JPEG, or remove it."
_BETWEEN_REPORTS = 64


def common_form(files: Sequence[Path], side: int | None = None) -> tuple[int, int, int]:
    """Channels, height and width that pictures are brought to.

    Colour where any picture has colour. The pictures' own size where all have the same and no side is longer than 96
    pixels; else 64 x 64; `side` overrides both.

    Args:
        files: Picture files; only their headers are read, unless one of them is at fault.
        side: Height and width wanted, in pixels.

    Returns:
        (C, H, W).

    Raises:
        DataError: Files are no pictures; all of them are counted, the first ten are named.
    """
    sizes, modes = set(), set()
    try:
        for file in files:
            with _open(file) as image:
                sizes.add((image.height, image.width))
                modes.add(image.mode)
    except DataError:  # pictures whose headers alone are whole are named in the same message
        raise_faults(files)
        raise
    channels = 1 if modes <= set(_GREY) else 3
    if side is not None:
        return channels, side, side
    height, width = sizes.pop()
    if not sizes and max(height, width) <= _LONGEST_KEPT:
        return channels, height, width
    return channels, _USUAL_SIDE, _USUAL_SIDE


def read_pictures(
    files: Sequence[Path],
    form: tuple[int, int, int],
    background: Background | None = "white",
    *,
    threads: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Pictures:
    """Read picture files into pixels of one form.

    A picture is scaled until it covers the form, and what exceeds it is cut off evenly on both sides. Of an animation
    the first frame is read, the orientation in EXIF data is followed, 16-bit values are scaled to 8 bits. Each thread
    holds one picture in its full size at a time.

    Args:
        files: Picture files.
        form: Channels (1 or 3), height and width.
        background: The colour behind transparent pixels; None: their own colour counts, whatever it is.
        threads: Threads that decode and scale; one per core when left out.
        on_progress: Called every 64 pictures, and at the end, with the pictures read so far and all of them.

    Returns:
        The pictures, in the order of the files.

    Raises:
        DataError: Files are no pictures or damaged; all of them are counted, the first ten are named.
    """
    channels, height, width = form
    pixels = np.empty((len(files), channels, height, width), dtype=np.uint8)

    def fault_in(index: int) -> str | None:
        try:
            values = _read(files[index], channels, (width, height), background)
        except DataError as fault:
            return str(fault)
        pixels[index] = values[None] if channels == 1 else values.transpose(2, 0, 1)
        return None

    faults: list[str] = []
    count = min(usable_cores() if threads is None else threads, len(files))
    with ThreadPoolExecutor(count) if count > 1 else nullcontext() as pool:
        found = (pool.map if pool is not None else map)(fault_in, range(len(files)))
        for done, fault in enumerate(found, start=1):
            if fault is not None:
                faults.append(fault)
            if on_progress is not None and (done % _BETWEEN_REPORTS == 0 or done == len(files)):
                on_progress(done, len(files))
    _raise_all(faults)
    return Pictures(torch.from_numpy(pixels), tuple(str(file) for file in files))


def decode_picture(
    content: bytes, form: tuple[int, int, int], background: Background | None = "white", most_pixels: int = 50_000_000
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Decode one picture that somebody sent, with the same result as `read_pictures` of a file of it.

    Args:
        content: The content of a picture file of one of `DECODED_FORMATS`.
        form: Channels (1 or 3), height and width.
        background: As for `read_pictures`.
        most_pixels: Larger pictures are not decoded.

    Returns:
        Values of shape `form`.

    Raises:
        DataError: The content is no picture, or damaged, of another format, or too large.
    """
    channels, height, width = form
    expected = "expected a picture (PNG, JPEG, GIF, BMP, WebP or TIFF)"
    Image.init()  # Pillow looks for the formats named only among those that it has loaded
    try:
        image = Image.open(io.BytesIO(content), formats=DECODED_FORMATS)
    except (*_FAULTS, Image.DecompressionBombWarning) as fault:
        raise DataError(f"{expected}, got {'an empty file' if not content else 'something else'}.") from fault
    with image:
        if image.width * image.height > most_pixels:
            raise DataError(
                f"expected at most {most_pixels} pixels, got {image.width} x {image.height}. Scale the picture down."
            )
        if image.mode not in _GREY + _COLOUR:
            raise DataError(f"expected 8 or 16 bits a value, got a picture of mode {image.mode}.")
        try:
            values = _fitted(image, channels, (width, height), background)
        except (*_FAULTS, MemoryError) as fault:
            raise DataError(f"{expected}, got a damaged one.") from fault
    return values[None] if channels == 1 else values.transpose(2, 0, 1)


def form_of_image(
    image: Image.Image,
    form: tuple[int, int, int],
    background: Background | None = "white",
    place: str = "the picture",
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The values of an image of Pillow, with the same result as `read_pictures` of a file of it.

    Args:
        image: An image; it is left as it is.
        form: Channels (1 or 3), height and width.
        background: As for `read_pictures`.
        place: What messages call it.

    Returns:
        Values of shape `form`.

    Raises:
        DataError: The image has no values of 8 or 16 bits, or cannot be decoded.
    """
    channels, height, width = form
    if image.mode not in _GREY + _COLOUR:
        raise DataError(f"{place}: expected 8 or 16 bits a value, got an image of mode {image.mode}.")
    try:
        values = _fitted(image.copy(), channels, (width, height), background)
    except _FAULTS as fault:
        raise DataError(f"{place}: the image cannot be decoded ({fault}).") from fault
    return values[None] if channels == 1 else values.transpose(2, 0, 1)


def check_headers(files: Sequence[Path]) -> None:
    """Open each file, so that one that is no picture is known before the others are decoded.

    Args:
        files: Picture files.

    Raises:
        DataError: Files are no pictures, or damaged; all of them are counted, the first ten are named.
    """
    try:
        for file in files:
            _open(file).close()
    except DataError:
        raise_faults(files)
        raise


def raise_faults(files: Sequence[Path]) -> None:
    """Read every file to its last pixel, and name those that cannot be read.

    Args:
        files: Picture files.

    Raises:
        DataError: Files are no pictures, or damaged; all of them are counted, the first ten are named.
    """
    _raise_all([fault for file in files if (fault := _fault_of(file)) is not None])


def skipped_note(broken: Sequence[Path]) -> str:
    """A sentence on files that cannot be read and were left out.

    Example:
        >>> skipped_note([Path("a.png")])
        '1 picture cannot be read and was skipped: a.png.'
    """
    are = "1 picture cannot be read and was" if len(broken) == 1 else f"{len(broken)} pictures cannot be read and were"
    more = ", …" if len(broken) > _MOST_NAMED else ""
    return f"{are} skipped: {', '.join(str(file) for file in broken[:_MOST_NAMED])}{more}."


def readable_files(files: Sequence[Path]) -> list[bool]:
    """For each file whether it can be read to its last pixel."""
    return [_fault_of(file) is None for file in files]


def _fault_of(file: Path) -> str | None:
    """Why a file cannot be read to its last pixel."""
    try:
        _read(file, 3, (1, 1), background=None)
    except DataError as fault:
        return str(fault)
    return None


def _read(
    file: Path, channels: int, size: tuple[int, int], background: Background | None
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    with _open(file) as image:
        try:
            return _fitted(image, channels, size, background)
        except _FAULTS as fault:
            raise _damaged(file, fault) from fault


def _fitted(
    image: Image.Image, channels: int, size: tuple[int, int], background: Background | None
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The values of an open picture, upright and scaled; a JPEG is decoded no larger than twice what is needed."""
    needed = 2 * max(size)
    image.draft(None, (needed, needed))
    upright = _flat(ImageOps.exif_transpose(image), background).convert("L" if channels == 1 else "RGB")
    if upright.size != size:
        upright = ImageOps.fit(upright, size, method=Image.Resampling.BILINEAR)
    return np.asarray(upright)


def _flat(image: Image.Image, background: Background | None) -> Image.Image:
    """The picture with 8 bits a value, and without transparency where a background is given."""
    if image.mode in _SIXTEEN_BIT:
        values = np.asarray(image).astype(np.int64)
        shift = 8 if image.mode != "I" or values.max(initial=0) > 255 else 0
        return Image.fromarray(np.clip(values >> shift, 0, 255).astype(np.uint8))
    if background is None or not image.has_transparency_data:
        return image
    over = image.convert("RGBA")
    ground = Image.new("RGBA", over.size, background)
    return Image.alpha_composite(ground, over)


def _open(file: Path) -> Image.Image:
    try:
        image = Image.open(file)
    except _FAULTS as fault:
        raise _damaged(file, fault) from fault
    if image.mode not in _GREY + _COLOUR:
        mode = image.mode
        image.close()
        raise DataError(
            f"{file}: expected 8 or 16 bits a value, got a picture of mode {mode}. Save it as an 8-bit picture."
        )
    return image


def _damaged(file: Path, fault: Exception) -> DataError:
    try:
        empty = file.stat().st_size == 0
    except OSError:
        return DataError(f"{file}: there is no such file, or a link leads nowhere. Correct or remove the entry.")
    if empty:
        return DataError(f"{file}: the file is empty. Replace the file, or remove it.")
    if isinstance(fault, Image.DecompressionBombError):
        return DataError(
            f"{file}: the picture has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels and is not decoded, for "
            "such files often are decompression bombs. Scale it down, or remove it."
        )
    found = format_by_content(file)
    if found in UNREADABLE_FORMATS:
        return DataError(f"{file}: the content is {found}, whatever the name ends in; it cannot be read. {_CONVERT}")
    why = "its content is in no format that is known" if isinstance(fault, UnidentifiedImageError) else fault
    return DataError(f"{file}: no picture can be read from it ({why}). Replace the file, or remove it.")


def _raise_all(faults: Sequence[str]) -> None:
    if len(faults) == 1:
        raise DataError(faults[0])
    if faults:
        more = f"\n  … and {len(faults) - _MOST_NAMED} more" if len(faults) > _MOST_NAMED else ""
        lines = "".join(f"\n  {fault}" for fault in faults[:_MOST_NAMED])
        raise DataError(
            f"{len(faults)} pictures cannot be read. Replace or remove them, or skip them with "
            f"--set data.broken=skip:{lines}{more}"
        )
