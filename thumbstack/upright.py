"""A JPEG as its maker meant it to be seen: turned, not only marked as to be turned."""

import io
from collections.abc import Iterator
from contextlib import suppress

from PIL import Image, JpegImagePlugin

from thumbstack.containers import jpeg
from thumbstack.exif import Tiff
from thumbstack.raster import TURNS, orientation_of
from thumbstack.xmp import set_upright

_EXIF, _XMP, _MPF = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"MPF\0"
# Metadata; APP0 (JFIF) and APP14 (Adobe) tell how the coded data is to be read, and are the new picture's own.
_ADOBE = 0xEE
# 4:2:2
_HALF_WIDTH = 1
_METADATA = frozenset((*range(0xE1, 0xEE), 0xEF, jpeg.COM))


def upright(data: bytes) -> bytes:
    """A JPEG with its pixels turned as its EXIF asks, and the EXIF saying so; `data` itself if upright or no JPEG.

    The coded data is made anew with the picture's own quantisation tables, so that hardly anything is lost; EXIF, ICC
    profile, IPTC and comments are the original's bytes. What followed the picture (a second picture, a motion photo's
    video) is left out. For bytes that inspect() has accepted.
    """
    if not data.startswith(b"\xff\xd8"):
        return data
    with Image.open(io.BytesIO(data), formats=["JPEG", "MPO"]) as image:
        orientation = orientation_of(image)
        if orientation == 1:
            return data
        turned = image.transpose(TURNS[orientation])
        turned.info.clear()
        out = io.BytesIO()
        turned.save(
            out,
            "JPEG",
            qtables=_tables(image, orientation),
            subsampling=_subsampling(image, orientation),
            optimize=True,
            progressive="progressive" in image.info,
        )
    new = out.getvalue()
    start = max((segment.end for segment in jpeg.segments(new) if segment.marker in (jpeg.APP0, _ADOBE)), default=2)
    return new[:start] + b"".join(_metadata(data)) + new[start:]


def _tables(image: Image.Image, orientation: int) -> list[list[int]]:
    """The quantisation tables; where rows become columns, theirs do as well."""
    tables: dict[int, list[int]] = getattr(image, "quantization", {})
    if orientation > 4:
        return [[table[8 * column + row] for row in range(8) for column in range(8)] for table in tables.values()]
    return [list(table) for table in tables.values()]


def _subsampling(image: Image.Image, orientation: int) -> int:
    """Pillow's number for how much coarser the colours are; none where Pillow cannot write it turned."""
    sampling = JpegImagePlugin.get_sampling(image)
    return 0 if sampling < 0 or (sampling == _HALF_WIDTH and orientation > 4) else sampling


def _metadata(data: bytes) -> Iterator[bytes]:
    """The original's metadata segments, with an orientation that says upright."""
    for segment in jpeg.segments(data):
        payload = data[segment.payload : segment.end]
        # MPF tells where further pictures lie; there are none any more.
        if segment.marker in _METADATA and not (segment.marker == jpeg.APP2 and payload.startswith(_MPF)):
            part = bytearray(data[segment.start : segment.end])
            if payload.startswith(_EXIF):
                with suppress(ValueError):
                    Tiff(part, 10, len(part)).set_upright()
            elif payload.startswith(_XMP):
                set_upright(part, 4, len(part))
            yield bytes(part)
