"""What the bytes of an upload are, whatever their name and their declared type say."""

from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from thumbstack.picture_type import AVIF, GIF, JPEG, PDF, PNG, WEBP, PictureType
from thumbstack.refusal import Empty, NotAPicture, TooLarge, TooManyPixels

_BY_PILLOW_FORMAT = {"JPEG": JPEG, "MPO": JPEG, "PNG": PNG, "GIF": GIF, "WEBP": WEBP, "AVIF": AVIF}
_PDF_MARK = b"%PDF-"


@dataclass(frozen=True)
class Limits:
    """What an upload may be at most."""

    max_bytes: int
    # The same bound as Thumbor's MAX_PIXELS: what could not be rendered is not taken in.
    max_pixels: int = 40_000_000


@dataclass(frozen=True)
class Facts:
    """What is known of an accepted picture. Width and height in pixels; None for a PDF."""

    type: PictureType
    bytes: int
    width: int | None
    height: int | None


def inspect(file: BinaryIO, size: int, limits: Limits) -> Facts:
    """Look at an open file of `size` bytes without decoding its pixels; the file is left at its start.

    Raises Empty, TooLarge, NotAPicture or TooManyPixels.
    """
    if size == 0:
        raise Empty("The file is empty: send the picture's bytes.")
    if size > limits.max_bytes:
        raise TooLarge(f"The file is larger than {limits.max_bytes} bytes: send a smaller one.")
    file.seek(0)
    if file.read(len(_PDF_MARK)) == _PDF_MARK:
        file.seek(0)
        return Facts(PDF, size, None, None)
    file.seek(0)
    kind, width, height = _raster(file)
    file.seek(0)
    if width * height > limits.max_pixels:
        raise TooManyPixels(
            f"The picture has {width}x{height} pixels, more than {limits.max_pixels} in all: send a smaller one."
        )
    return Facts(kind, size, width, height)


def _raster(file: BinaryIO) -> tuple[PictureType, int, int]:
    try:
        # Image.open reads the header only; the list keeps Pillow's rarer decoders away from strangers' bytes.
        with Image.open(file, formats=["JPEG", "PNG", "GIF", "WEBP", "AVIF"]) as image:
            return _BY_PILLOW_FORMAT[image.format or ""], image.width, image.height
    except Image.DecompressionBombError:
        raise TooManyPixels("The picture has far too many pixels: send a smaller one.") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, KeyError, EOFError):
        raise NotAPicture(
            "The bytes are not those of a JPEG, PNG, GIF, WebP or AVIF picture, nor of a PDF: send one of these."
        ) from None
