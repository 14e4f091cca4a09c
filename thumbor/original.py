"""An original as it is opened: looked at, but not decoded, and refused where it would cost more than an upload may.

Who uploads is refused the same (thumbstack/inspection.py); this is for what was put straight into the bucket.
"""

import io
from typing import NamedTuple

from PIL import Image

from thumbstack.containers import gif
from thumbstack.exif_claims import claims_too_much
from thumbstack.inspection import MAX_SCANS, Limits
from thumbstack.raster import TILE_LENGTH, TILE_WIDTH, orientation_of

# Named, so that Pillow's rarer decoders never see strangers' bytes. JPEG opens MPO as well.
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "HEIF", "TIFF")
# Those whose frames are an animation: a TIFF's are pages, an MPO's are views.
_ANIMATIONS = frozenset(("GIF", "WEBP", "AVIF"))
# Where a PNG may say how it is turned: a chunk, a text, XMP.
_PNG_TELLS = (b"eXIf", b"Raw profile type exif", b"XML:com.adobe.xmp")


class Refused(Exception):  # noqa: N818 (an outcome)
    """This picture, or this size of it, is not made."""


class Original(NamedTuple):
    """A picture that is open, EXIF's word on how it lies (1 to 8), and how many frames are to be shown."""

    image: Image.Image
    orientation: int
    frames: int


def opened(buffer: bytes, max_pixels: int, *, still: bool) -> Original:
    """Open a picture; `still`: of a GIF only the first frame is asked. Raises Refused, or whatever Pillow raises."""
    # Pillow copies all of the EXIF for each piece of it, on the event loop: seconds.
    if buffer.startswith(b"\xff\xd8") and max(map(buffer.count, (b"\xff\xda", b"Exif\0\0"))) > MAX_SCANS:
        raise Refused("more scans, or pieces of EXIF, than any camera makes")
    image = Image.open(io.BytesIO(buffer), formats=FORMATS)
    tags = getattr(image, "tag_v2", {})
    tile = int(tags.get(TILE_WIDTH, 0)) * int(tags.get(TILE_LENGTH, 0))
    if max(image.width * image.height, tile) > max_pixels:
        raise Refused(f"{image.width}x{image.height} are more than {max_pixels} pixels")
    exif = image.info.get("exif")
    # Pillow turns a TIFF itself; and decodes all of a PNG to see whether EXIF follows its pixels.
    readable = image.format != "TIFF" and not (isinstance(exif, bytes) and claims_too_much(exif))
    readable = readable and (image.format != "PNG" or any(mark in buffer for mark in _PNG_TELLS))
    orientation = orientation_of(image) if readable else 1
    return Original(image, orientation, 1 if still and image.format == "GIF" else _frames(image, buffer))


def _frames(image: Image.Image, buffer: bytes) -> int:
    if image.format not in _ANIMATIONS:
        return 1
    try:
        # Pillow would read all of a GIF, however many frames it has.
        frames: int = gif.end(buffer, Limits.max_frames)[1] if image.format == "GIF" else image.n_frames  # type: ignore[attr-defined]
    except ValueError:
        return 1
    if frames > Limits.max_frames or frames * image.width * image.height > Limits.max_total_pixels:
        raise Refused(f"{frames} frames of {image.width}x{image.height}")
    return frames
