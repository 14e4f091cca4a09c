"""What becomes of a picture's outline, written down first and done at once: then little needs to be decoded.

Thumbor turns, cuts and resizes in three steps, the first of which decodes all of the picture. A JPEG can be decoded at
a half, a quarter or an eighth, but only when it is known how small it will be.
"""

from dataclasses import dataclass, field, replace
from typing import Self

from PIL import Image, JpegImagePlugin
from resampling import Box, Size, resampled

from thumbstack.raster import TURNS

# A JPEG is decoded no smaller than so many times what is needed: where it is cut, its edges must not blur (46 dB).
_GAP, _GAP_WHERE_CUT = 1.0, 1.5
# Modes that can be averaged, and that all our formats can be made of.
_AVERAGED = frozenset(("L", "LA", "RGB", "RGBA", "CMYK"))
_SWAPPING = frozenset((5, 6, 7, 8))


@dataclass(frozen=True)
class Geometry:
    """Turned upright, cut, resized, mirrored: in this order."""

    # As it lies in the file.
    source: Size
    # EXIF's orientation.
    turn: int = 1
    # Of the upright picture.
    box: tuple[int, int, int, int] | None = None
    target: Size | None = None
    flips: tuple[Image.Transpose, ...] = field(default=())

    @property
    def upright(self) -> Size:
        """The size of the whole picture, turned."""
        return (self.source[1], self.source[0]) if self.turn in _SWAPPING else self.source

    @property
    def size(self) -> Size:
        """The size that comes out."""
        if self.target:
            return self.target
        return (self.box[2] - self.box[0], self.box[3] - self.box[1]) if self.box else self.upright

    @property
    def is_plain(self) -> bool:
        """Whether nothing is to be done."""
        return self == Geometry(self.source)

    def cut(self, left: int, top: int, right: int, bottom: int) -> Self:
        """A part of what there was, a pixel at least."""
        x, y = self.box[:2] if self.box else (0, 0)
        left, top = (min(max(at, 0), side - 1) for at, side in zip((left, top), self.size, strict=True))
        right, bottom = max(min(right, self.size[0]), left + 1), max(min(bottom, self.size[1]), top + 1)
        return replace(self, box=(x + left, y + top, x + right, y + bottom))

    def of(self, image: Image.Image) -> Image.Image:
        """The picture so; decoded on the way."""
        if self.target:
            found = self._resized(image, self.target)
        else:
            found = with_colours(image)
            found = found.crop(self._lying_box()) if self.box else found
        for turn in (TURNS.get(self.turn), *self.flips):
            found = found.transpose(turn) if turn is not None else found
        return found

    def _resized(self, image: Image.Image, size: Size) -> Image.Image:
        left, top, right, bottom = self._lying_box()
        size = (size[1], size[0]) if self.turn in _SWAPPING else size
        scale = 1.0
        if isinstance(image, JpegImagePlugin.JpegImageFile) and image.tile:
            gap = _GAP_WHERE_CUT if self.box else _GAP
            needed = gap * max(size[0] / (right - left), size[1] / (bottom - top))
            if needed < 1:
                drafted = image.draft(None, (int(self.source[0] * needed) or 1, int(self.source[1] * needed) or 1))
                # Not from the new size: libjpeg rounds that up.
                scale = self.source[0] / drafted[1][2] if drafted else 1.0
        image = with_colours(image)
        width, height = image.size
        box = (left / scale, top / scale, min(right / scale, width), min(bottom / scale, height))
        return resampled(image, size, box)

    def _lying_box(self) -> Box:
        """The box in the picture as it lies in the file."""
        width, height = self.source
        left, top, right, bottom = self.box or (0, 0, *self.upright)
        match self.turn:
            case 2:
                return width - right, top, width - left, bottom
            case 3:
                return width - right, height - bottom, width - left, height - top
            case 4:
                return left, height - bottom, right, height - top
            case 5:
                return top, left, bottom, right
            case 6:
                return top, height - right, bottom, height - left
            case 7:
                return width - bottom, height - right, width - top, height - left
            case 8:
                return width - bottom, left, width - top, right
            case _:
                return left, top, right, bottom


def with_colours(image: Image.Image) -> Image.Image:
    """The picture in a mode that can be averaged."""
    image.load()
    if image.mode in ("L", "RGB") and "transparency" in image.info:
        # One colour stands for transparent: averaged, it would be another.
        return image.convert("RGBA")
    if image.mode in _AVERAGED:
        return image
    if image.mode == "1":
        return image.convert("L")
    if image.mode.startswith("I"):
        # 16 bits a pixel: Pillow would cut at 255, and leave a white picture.
        return image.convert("I").point(lambda value: value / 256).convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")
