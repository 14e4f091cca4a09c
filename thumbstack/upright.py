"""A JPEG as its maker meant it to be seen: turned, not only marked as to be turned."""

import io
from collections.abc import Iterator
from contextlib import suppress

from PIL import Image, JpegImagePlugin

from thumbstack.containers import jpeg
from thumbstack.exif import Tiff
from thumbstack.picture_type import AVIF, GIF, JPEG, PNG, TIFF, WEBP, PictureType
from thumbstack.raster import TURNS, orientation_of
from thumbstack.refusal import NotTurnable
from thumbstack.xmp import set_upright

_EXIF, _XMP, _MPF = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"MPF\0"
# Metadata; APP0 (JFIF) and APP14 (Adobe) tell how the coded data is to be read, and are the new picture's own.
_ADOBE = 0xEE
# 4:2:2
_HALF_WIDTH = 1
_METADATA = frozenset((*range(0xE1, 0xEE), 0xEF, jpeg.COM))


_WRITTEN = {PNG: "PNG", GIF: "GIF", WEBP: "WEBP", AVIF: "AVIF", TIFF: "TIFF"}
# The turns that make rows of columns.
_SIDEWAYS = frozenset((Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270))


def upright(data: bytes, turn: Image.Transpose | None = None) -> bytes:
    """A JPEG with its pixels turned as its EXIF asks, and the EXIF saying so; `data` itself if upright or no JPEG.

    With `turn` it is turned once more after that.

    The coded data is made anew with the picture's own quantisation tables, so that hardly anything is lost; EXIF, ICC
    profile, IPTC and comments are the original's bytes. What followed the picture (a second picture, a motion photo's
    video) is left out. For bytes that inspect() has accepted.
    """
    if not data.startswith(b"\xff\xd8"):
        return data
    with Image.open(io.BytesIO(data), formats=["JPEG", "MPO"]) as image:
        orientation = orientation_of(image)
        turns = [step for step in (TURNS.get(orientation), turn) if step is not None]
        if not turns:
            return data
        turned: Image.Image = image
        for step in turns:
            turned = turned.transpose(step)
        turned.info.clear()
        sideways = (orientation in range(5, 9)) != (turn in _SIDEWAYS)
        out = io.BytesIO()
        turned.save(
            out,
            "JPEG",
            qtables=_tables(image, sideways),
            subsampling=_subsampling(image, sideways),
            optimize=True,
            progressive="progressive" in image.info,
        )
    new = out.getvalue()
    start = max((segment.end for segment in jpeg.segments(new) if segment.marker in (jpeg.APP0, _ADOBE)), default=2)
    return new[:start] + b"".join(_metadata(data)) + new[start:]


def turned(data: bytes, kind: PictureType, turn: Image.Transpose) -> bytes:
    """A picture of one frame, upright and then turned; raises NotTurnable for what has no pixels, more frames, or HEIC.

    PNG and TIFF lose nothing, JPEG hardly anything; WebP and AVIF are coded again at a quality of 95.
    """
    if kind is JPEG:
        return upright(data, turn)
    if kind not in _WRITTEN:
        raise NotTurnable(f"Pictures of type {kind.content_type} are not turned.")
    with Image.open(io.BytesIO(data), formats=[_WRITTEN[kind]]) as image:
        if getattr(image, "n_frames", 1) > 1:
            raise NotTurnable("An animation is not turned.")
        out = io.BytesIO()
        profile = {"icc_profile": image.info["icc_profile"]} if image.info.get("icc_profile") else {}
        asked = TURNS.get(orientation_of(image))
        seen = image if asked is None else image.transpose(asked)
        seen.transpose(turn).save(out, _WRITTEN[kind], quality=95, **profile)
    return out.getvalue()


def _tables(image: Image.Image, sideways: bool) -> list[list[int]]:
    """The quantisation tables; where rows become columns, theirs do as well."""
    tables: dict[int, list[int]] = getattr(image, "quantization", {})
    if sideways:
        return [[table[8 * column + row] for row in range(8) for column in range(8)] for table in tables.values()]
    return [list(table) for table in tables.values()]


def _subsampling(image: Image.Image, sideways: bool) -> int:
    """Pillow's number for how much coarser the colours are; none where Pillow cannot write it turned."""
    sampling = JpegImagePlugin.get_sampling(image)
    return 0 if sampling < 0 or (sampling == _HALF_WIDTH and sideways) else sampling


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
