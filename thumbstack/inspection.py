"""What the bytes of an upload are, whatever their name and their declared type say, or why they are not taken."""

import hashlib
from dataclasses import dataclass
from typing import BinaryIO

from thumbstack.containers import gif, heif, jpeg, png, webp
from thumbstack.pdf import check_pdf
from thumbstack.picture_type import (
    ALL_TYPES,
    GIF,
    JPEG,
    PDF,
    PNG,
    SNIFFED_BYTES,
    SVG,
    TIFF,
    WEBP,
    PictureType,
    sniff,
    split_name,
)
from thumbstack.raster import Bounds, Raster, check_pixels, decode
from thumbstack.refusal import (
    Empty,
    NotAPicture,
    TooComplex,
    TooLarge,
    TooManyFrames,
    TypeNotAllowed,
    Undecodable,
)
from thumbstack.svg import svg_size
from thumbstack.trailer import refuse_foreign, refuse_jpeg_trailer, refuse_trailer

# A progressive JPEG has about ten; each further one is a pass over the whole picture, however few bytes it takes.
MAX_SCANS = 100


@dataclass(frozen=True)
class Limits:
    """What an upload may be at most."""

    max_bytes: int
    # The same bound as Thumbor's MAX_PIXELS: what could not be rendered is not taken in.
    max_pixels: int = 40_000_000
    max_frames: int = 300
    # Of all frames together: a second of decoding.
    max_total_pixels: int = 100_000_000
    # Markup is read piece by piece: a megabyte takes a fifth of a second.
    max_svg_bytes: int = 4 * 1024 * 1024
    allowed_types: frozenset[PictureType] = ALL_TYPES


@dataclass(frozen=True)
class Facts:
    """What is known of an accepted picture.

    Width and height are in pixels and as the picture is seen, turned as `orientation` asks; None for a PDF.
    An SVG and a PDF have no colour and no placeholder.
    """

    type: PictureType
    bytes: int
    sha256: str
    width: int | None = None
    height: int | None = None
    frames: int = 1
    # EXIF's, 1 to 8; 1 is upright.
    orientation: int = 1
    dominant_color: str | None = None
    placeholder: str | None = None


def inspect(file: BinaryIO, limits: Limits, name: str = "") -> Facts:
    """Look at an open, seekable file; it is left at its start. Raises one of refusal.py, and nothing else.

    The name only helps to tell what is wrong. Memory: the file, and what raster.py says.
    """
    size = file.seek(0, 2)
    if size == 0:
        raise Empty("The file is empty: send the picture's bytes.")
    if size > limits.max_bytes:
        raise TooLarge(f"The file is larger than {limits.max_bytes} bytes: send a smaller one.")
    file.seek(0)
    start = file.read(SNIFFED_BYTES)
    kind = sniff(start)
    if kind is None:
        raise NotAPicture(_told_unknown(name))
    if kind not in limits.allowed_types:
        raise TypeNotAllowed(f"Pictures of type {kind.content_type} are not taken here: {_told(limits.allowed_types)}.")
    data = start + file.read()
    file.seek(0)
    if kind is PDF:
        refuse_trailer(data, check_pdf(data))
        return _facts(kind, data)
    refuse_foreign(data)
    if kind is SVG:
        if size > limits.max_svg_bytes:
            raise TooLarge(
                f"The SVG is larger than {limits.max_svg_bytes} bytes: simplify it, or send a raster picture."
            )
        width, height = svg_size(data)
        check_pixels(width, height, limits.max_pixels)
        return _facts(kind, data, width, height)
    _check_container(data, kind, limits)
    raster = decode(data, kind, Bounds(limits.max_pixels, limits.max_frames, limits.max_total_pixels))
    return _facts(kind, data, raster.width, raster.height, raster)


def _check_container(data: bytes, kind: PictureType, limits: Limits) -> None:
    """Refuse what the outer parts already tell, before any decoder sees the bytes."""
    try:
        if kind is JPEG:
            picture = jpeg.outline(data)
            check_pixels(picture.width, picture.height, limits.max_pixels)
            if picture.scans > MAX_SCANS:
                raise TooComplex(f"The JPEG has more than {MAX_SCANS} scans: save it again.")
            # Pillow copies all of the EXIF for each piece of it.
            if data.count(b"Exif\0\0") > MAX_SCANS:
                raise TooComplex(f"The JPEG has its EXIF in more than {MAX_SCANS} pieces: save it again.")
            if picture.hollow:
                raise ValueError("fewer bits than blocks")
            refuse_jpeg_trailer(data, picture.end)
            return
        if kind is TIFF:
            return  # its parts may lie anywhere: there is no end to look behind
        frames = 1
        if kind is PNG:
            end, frames = png.end(data, limits.max_frames)
        elif kind is GIF:
            end, frames = gif.end(data, limits.max_frames)
        else:
            end = webp.end(data) if kind is WEBP else heif.end(data)
    except ValueError:
        raise Undecodable("The picture is cut off or damaged: send it again.") from None
    if frames > limits.max_frames:
        raise TooManyFrames(f"The picture has more than {limits.max_frames} frames: send a shorter one.")
    refuse_trailer(data, end)


def _facts(
    kind: PictureType, data: bytes, width: int | None = None, height: int | None = None, raster: Raster | None = None
) -> Facts:
    digest = hashlib.sha256(data).hexdigest()
    if raster is None:
        return Facts(kind, len(data), digest, width, height)
    return Facts(
        kind,
        len(data),
        digest,
        width,
        height,
        raster.frames,
        raster.orientation,
        raster.dominant_color,
        raster.placeholder,
    )


def _told(kinds: frozenset[PictureType]) -> str:
    return "send " + ", ".join(sorted(kind.extension.upper() for kind in kinds))


def _told_unknown(name: str) -> str:
    claimed = split_name(name)[1]
    though = f", although the name ends like that of a {claimed.extension.upper()}" if claimed else ""
    return f"The bytes are not those of a picture that is known here{though}: {_told(ALL_TYPES)}."
