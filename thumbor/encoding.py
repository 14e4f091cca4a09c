"""Pictures as bytes: each format with the options that give most for the time that they take.

Thumbor's own encoder makes progressive JPEGs (twice the time for 1 % fewer bytes), WebP with method 4 (twice the
time for 5 %) and PNG with zlib's level 6 (five times the time; for photographs not even smaller):
docs/decisions/0024-lazy-engine.md.
"""

import io
from collections.abc import Iterator
from itertools import chain

from PIL import Image
from thumbor.config import Config
from thumbor.utils import ensure_srgb

# Modes that each may be made of.
_MODES = {
    ".jpg": ("L", "RGB"),
    ".webp": ("RGB", "RGBA"),
    ".avif": ("RGB", "RGBA"),
    ".png": ("1", "L", "LA", "P", "RGB", "RGBA"),
    ".gif": ("1", "L", "P", "RGB", "RGBA"),
}
EXTENSIONS = frozenset(_MODES)
# What a profile of such a picture says at this place.
_PROFILES = {"L": b"GRAY", "LA": b"GRAY", "CMYK": b"CMYK"}
_SPACE = slice(16, 20)
# Above so many bytes a pixel a PNG is a photograph, of which no more can be had.
_BYTES_OF_A_PHOTOGRAPH = 1.5
_LOSSLESS = 100


def encoded(image: Image.Image, extension: str, quality: int, profile: bytes | None, config: Config) -> bytes:
    """A still picture as bytes."""
    image, profile = _fit(image, extension, profile)
    if extension == ".png":
        return _png(image, profile)
    out = io.BytesIO()
    match extension:
        case ".jpg":
            # Tables that fit: 2 % fewer bytes for half a millisecond.
            image.save(out, "JPEG", quality=quality, optimize=True, icc_profile=profile)
        case ".webp":
            image.save(out, "WEBP", **_webp(quality), icc_profile=profile or b"")
        case ".avif":
            speed, codec = config.AVIF_SPEED, config.AVIF_CODEC
            # Renders share the cores; one that takes them all makes the others wait.
            options = {"quality": quality, "speed": speed, "codec": codec, "max_threads": 1}
            image.save(out, "AVIF", **options, icc_profile=profile or b"")
        case _:
            image.save(out, "GIF")
    return out.getvalue()


def animated(frames: Iterator[Image.Image], extension: str, quality: int, loop: int | None) -> bytes:
    """Frames as an animated GIF or WebP; each one's `info` says how long it is shown."""
    out = io.BytesIO()
    first = next(frames)
    if extension == ".webp":
        durations: list[int] = []
        shown = list(_timed(chain([first], frames), durations))
        # GIF's absence of a loop is once; WebP's 0 is for ever.
        options = {"duration": durations, "loop": 1 if loop is None else loop, **_webp(quality)}
        shown[0].save(out, "WEBP", save_all=True, append_images=shown[1:], **options)
    else:
        options = {} if loop is None else {"loop": loop}
        # 2: what was transparent becomes so again, and does not show the frame before.
        options |= {"disposal": 2} if first.has_transparency_data else {}
        first.save(out, "GIF", save_all=True, append_images=frames, **options)
    return out.getvalue()


def _timed(frames: Iterator[Image.Image], durations: list[int]) -> Iterator[Image.Image]:
    for frame in frames:
        durations.append(int(frame.info.get("duration", 100)))
        yield frame


def _webp(quality: int) -> dict[str, object]:
    # As Thumbor does: 100 is no loss at all.
    return {"lossless": True} if quality == _LOSSLESS else {"quality": quality, "method": 2}


def _png(image: Image.Image, profile: bytes | None) -> bytes:
    """As a photograph, and if that was none, as a drawing."""
    # zlib's run lengths only: in a photograph there is nothing else to be found, and it takes a fifth of the time.
    rough = _as_png(image, profile, compress_level=6, compress_type=3)
    if len(rough) > _BYTES_OF_A_PHOTOGRAPH * image.width * image.height * (0.5 if len(image.getbands()) < 3 else 1):
        return rough
    return min(rough, _as_png(image, profile), key=len)


def _as_png(image: Image.Image, profile: bytes | None, **options: int) -> bytes:
    out = io.BytesIO()
    # Without a profile of its own Pillow would take the image's.
    image.save(out, "PNG", icc_profile=profile or b"", **options)
    return out.getvalue()


def _fit(image: Image.Image, extension: str, profile: bytes | None) -> tuple[Image.Image, bytes | None]:
    """The picture in a mode of the format, and its profile if that is still its."""
    modes = _MODES[extension]
    if image.mode not in modes:
        if image.has_transparency_data:
            image = image.convert("RGBA")
            if "RGBA" not in modes:
                # Colours of transparent pixels are anything; paper is white.
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
        elif profile and profile[_SPACE] == _PROFILES.get(image.mode):
            image, profile = _in_srgb(image, profile)
        else:
            image = image.convert("RGB")
    return image, profile if profile and profile[_SPACE] == _PROFILES.get(image.mode, b"RGB ") else None


def _in_srgb(image: Image.Image, profile: bytes) -> tuple[Image.Image, bytes | None]:
    image.info["icc_profile"] = profile
    try:
        found = ensure_srgb(image)
    except Exception:  # a damaged profile says nothing
        found = None
    if found is None:
        return image.convert("RGB"), None
    return found, found.info.get("icc_profile")
