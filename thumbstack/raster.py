"""Pictures made of pixels: decoded once, as cheaply as tells whether they are whole.

Peak memory, measured, is the file plus this many bytes a pixel: JPEG 0.1, progressive 3, PNG, GIF and TIFF 4, HEIC 7
(in a child process), AVIF 9, WebP 15. Whoever decodes many at once bounds how many. Pillow's settings, which are the
whole process's, are left alone.
"""

import base64
import io
from dataclasses import dataclass

from PIL import Image

from thumbstack.containers import heif
from thumbstack.exif_claims import claims_too_much
from thumbstack.heic import decode_heic
from thumbstack.picture_type import AVIF, GIF, HEIC, JPEG, PNG, TIFF, WEBP, PictureType
from thumbstack.refusal import Refused, TooManyFrames, TooManyPixels, Undecodable

# Named, so that Pillow's rarer decoders never see strangers' bytes.
_PILLOW_FORMATS = {
    JPEG: ["JPEG", "MPO"],
    PNG: ["PNG"],
    GIF: ["GIF"],
    WEBP: ["WEBP"],
    AVIF: ["AVIF"],
    TIFF: ["TIFF"],
}
# Modes that Pillow can average; of the others (palettes, 16 bits) it picks single pixels.
_AVERAGED = frozenset(("L", "LA", "La", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "F", "I"))
_ORIENTATION = 0x0112
# TIFF's tags.
TILE_WIDTH, TILE_LENGTH = 322, 323
# EXIF's orientations, and what turns each upright.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Large enough for the colours, small enough to cost nothing.
_SAMPLE = 64
# About 150 bytes of WebP: smaller than the URL of the picture it stands for.
_PLACEHOLDER = 20


@dataclass(frozen=True)
class Bounds:
    """What decoding may cost."""

    max_pixels: int
    max_frames: int
    # Of all frames together.
    max_total_pixels: int


@dataclass(frozen=True)
class Raster:
    """What decoding tells. Width and height are those of the picture as it is seen: turned as `orientation` asks."""

    width: int
    height: int
    frames: int
    # EXIF's, 1 to 8; 1 is upright.
    orientation: int
    # `#rrggbb`: the most frequent colour, on white.
    dominant_color: str
    # A data URL of a WebP some 20 pixels wide, to show until the picture is there.
    placeholder: str


def decode(data: bytes, kind: PictureType, bounds: Bounds) -> Raster:
    """Decode every frame. Raises TooManyPixels, TooManyFrames or Undecodable, whatever the bytes are."""
    try:
        return _decode_heic(data, bounds) if kind is HEIC else _decode(data, kind, bounds)
    except Refused:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise TooManyPixels("The picture has far too many pixels: send a smaller one.") from None
    except Exception as error:
        # Decoders raise whatever a broken file leads them to: OSError, struct.error, KeyError, OverflowError and more.
        raise Undecodable("The picture is cut off or damaged: send it again.") from error


def _decode(data: bytes, kind: PictureType, bounds: Bounds) -> Raster:
    with Image.open(io.BytesIO(data), formats=_PILLOW_FORMATS[kind]) as image:
        width, height = image.size
        _check_exif(image.info.get("exif"))
        check_pixels(width, height, bounds.max_pixels)
        if kind is JPEG:
            # An eighth in each direction: all coded data is read, so a missing part is noticed, but little is computed.
            image.draft(image.mode, (1, 1))
            return _raster(image, width, height, 1)
        if kind is TIFF:
            return _raster(image, width, height, _decode_pages(image, bounds))
        frames: int = getattr(image, "n_frames", 1)
        _check_frames(frames, frames * width * height, bounds)
        raster = _raster(image, width, height, frames)
        for frame in range(1, frames):
            image.seek(frame)
            image.load()
        return raster


def _decode_pages(image: Image.Image, bounds: Bounds) -> int:
    """Decode all pages, each of its own size, and come back to the first; says how many."""
    pages, pixels = 0, 0
    while True:
        pages += 1
        pixels += image.width * image.height
        check_pixels(*image.size, bounds.max_pixels)
        _check_frames(pages, pixels, bounds)
        tags = getattr(image, "tag_v2", {})
        # A tile is decoded whole, however little of it is picture.
        if int(tags.get(TILE_WIDTH, 0)) * int(tags.get(TILE_LENGTH, 0)) > bounds.max_pixels:
            raise TooManyPixels("The TIFF has larger tiles than pictures may be: save it without tiles.")
        image.load()
        try:
            image.seek(pages)
        except EOFError:
            image.seek(0)
            return pages


def _decode_heic(data: bytes, bounds: Bounds) -> Raster:
    heic = decode_heic(data, bounds.max_pixels, bounds.max_frames)
    check_pixels(heic.width, heic.height, bounds.max_pixels)
    _check_frames(heic.frames, 0, bounds)
    for kind, extents in heif.metadata(data):
        item = b"".join(data[start:end] for start, end in extents)
        # Four bytes say where the EXIF begins behind them.
        _check_exif(item[4 + int.from_bytes(item[:4], "big") :] if kind == b"Exif" else None)
    with Image.open(io.BytesIO(heic.small), formats=["PNG"]) as small:
        # libheif turns the picture itself. Its further pictures (bursts, depth) are not decoded.
        return _raster(small, heic.width, heic.height, 1)


def _check_exif(exif: object) -> None:
    if isinstance(exif, bytes) and claims_too_much(exif):
        raise Undecodable("The picture's EXIF is damaged: save the picture again, or without it.")


def check_pixels(width: int, height: int, max_pixels: int) -> None:
    """Raise TooManyPixels where there are more than `max_pixels`."""
    if width * height > max_pixels:
        raise TooManyPixels(
            f"The picture has {width}x{height} pixels, more than {max_pixels} in all: send a smaller one."
        )


def _check_frames(frames: int, pixels: int, bounds: Bounds) -> None:
    if frames > bounds.max_frames:
        raise TooManyFrames(f"The picture has more than {bounds.max_frames} frames: send a shorter one.")
    if pixels > bounds.max_total_pixels and frames > 1:
        raise TooManyFrames(f"All frames together have more than {bounds.max_total_pixels} pixels: send a shorter one.")


def _raster(image: Image.Image, width: int, height: int, frames: int) -> Raster:
    image.load()
    orientation = orientation_of(image)
    if orientation > 4:
        width, height = height, width
    sample = _sample(image, orientation)
    return Raster(width, height, frames, orientation, _dominant_color(sample), _placeholder(sample))


def orientation_of(image: Image.Image) -> int:
    """EXIF's orientation, 1 to 8; 1 where there is none, or none that can be read."""
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged metadata does not make a damaged picture; browsers show it as it lies
        return 1
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def _sample(image: Image.Image, orientation: int) -> Image.Image:
    """The first frame, small, upright, in RGB on white."""
    # First by picking pixels: averaging a large picture with transparency would copy it.
    small = _fitted(image, 8 * _SAMPLE, Image.Resampling.NEAREST)
    small = _fitted(small, _SAMPLE, Image.Resampling.BOX if image.mode in _AVERAGED else Image.Resampling.NEAREST)
    if small.mode.startswith("I"):
        # 16 bits a pixel: Pillow would cut at 255 instead of scaling.
        small = small.convert("I").point(lambda value: value / 256).convert("L")
    if small.has_transparency_data:
        small = small.convert("RGBA")
        small = Image.alpha_composite(Image.new("RGBA", small.size, "white"), small)
    small = small.convert("RGB")
    turn = TURNS.get(orientation)
    return small.transpose(turn) if turn is not None else small


def _fitted(image: Image.Image, side: int, resampling: Image.Resampling) -> Image.Image:
    scale = min(1.0, side / max(image.size))
    return image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))), resampling)


def _dominant_color(sample: Image.Image) -> str:
    few = sample.quantize(8)
    colors = few.getcolors() or [(1, 0)]
    index = max(colors)[1]
    red, green, blue = (few.getpalette() or [0, 0, 0])[3 * index : 3 * index + 3]  # type: ignore[operator]
    return f"#{red:02x}{green:02x}{blue:02x}"


def _placeholder(sample: Image.Image) -> str:
    tiny = sample.copy()
    tiny.thumbnail((_PLACEHOLDER, _PLACEHOLDER))
    out = io.BytesIO()
    tiny.save(out, "WEBP", quality=30)
    return "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode()
