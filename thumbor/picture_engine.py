"""Thumbor's Pillow engine, lazy: what is asked is written down, and done once it is known how little must be decoded.

Stock decodes all of a picture as soon as it cuts it or turns it upright; and it writes some pictures wrongly or not at
all. Importing Thumbor's own registers pillow-heif in Pillow: HEIC is decoded here, in the process, because the uploader
has let only those in that the same decoder had read (docs/decisions/0010-heic.md, 0024-lazy-engine.md).
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn, TypeVar

import memory
from encoding import EXTENSIONS, animated, encoded
from geometry import Geometry, with_colours
from original import FORMATS, Refused, opened
from PIL import Image, ImageFile, JpegImagePlugin
from thumbor.engines import pil

from thumbstack.options import MAX_SIDE
from thumbstack.result_key import makes_a_still

# Nobody sees HEIC but in Safari, and its encoder is slow; TIFF's name makes Thumbor write PNG without what PNG needs.
_WRITTEN = {".heic": ".jpg", ".heif": ".jpg", ".tif": ".png", ".jpeg": ".jpg"}
# What was decoded for a look at it is kept until it is rendered, if it is no larger: many may wait for that.
_KEPT = 4_000_000
_OF_FEW_COLOURS, _MIXED = frozenset(("1", "P")), frozenset(("L", "RGB", "RGBA"))
# An original that cannot be shown; and an address that asks for too much.
BROKEN, TOO_MUCH = 422, 400

# Thumbor's engine, imported above, sets it, and shows the missing part of a picture grey, for a year.
ImageFile.LOAD_TRUNCATED_IMAGES = False

T = TypeVar("T")


class Engine(pil.Engine):  # type: ignore[misc]
    """Thumbor makes one for each request, and one for a watermark."""

    extension: str | None
    # As it was opened, until it is used; and what is to be done to it then.
    _image: Any = None
    # As it was loaded, until it was looked at: some are opened twice for that.
    _buffer = b""
    _geometry = Geometry((0, 0))
    _orientation = 1
    _frames = 1
    frame_count = 1

    @property
    def image(self) -> Any:
        """The picture as it is now; of an animation its first frame."""
        if self._image is None or self._geometry.is_plain or self.context.request.meta:
            return self._image
        made = self._made(self._image)
        if self.is_animated:
            return made
        self.image = made
        return made

    @image.setter
    def image(self, value: Image.Image | None) -> None:
        self._image, self._buffer = value, b""
        self._geometry = Geometry(value.size if value is not None else (0, 0))
        self.frame_count = 1

    @property
    def is_animated(self) -> bool:
        """Whether it has frames, and they are to be shown."""
        return self.frame_count > 1

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as they are now."""
        return self._geometry.size

    def load(self, buffer: bytes, extension: str | None) -> None:
        """Take a picture's bytes in; they are not decoded yet. Where they are refused there is no image."""
        super().load(buffer, extension)
        self.extension = _WRITTEN.get(self.extension or "", self.extension)
        if self._image is None:
            return
        self.frame_count = self._frames
        if self.context.request.smart:
            self._buffer = buffer
        if self.context.request.meta:
            # Thumbor's own way would turn all of its pixels to tell a width.
            self.reorientate()

    def create_image(self, buffer: bytes) -> Image.Image | None:
        """Look at a picture, but decode nothing; None where it is refused."""
        # Kept from Thumbor, which would read it with piexif: 98 bytes of EXIF make that take three gigabytes.
        self.exif = None
        config, asked = self.context.config, self.context.request.filters or ""
        try:
            original = self._whole(lambda: opened(buffer, config.MAX_PIXELS, still=makes_a_still(asked)))
        except Refused:
            return None
        self._orientation, self._frames = original.orientation, original.frames
        self.icc_profile, self.original_mode = original.image.info.get("icc_profile"), original.image.mode
        return original.image

    def get_orientation(self) -> int:
        """EXIF's, as long as the picture was not turned."""
        return self._orientation

    def reorientate(self, override_exif: bool = True) -> None:
        """Stand upright."""
        if self._geometry.is_plain:
            self._geometry = replace(self._geometry, turn=self._orientation)
        self._orientation = 1

    def crop(self, left: float, top: float, right: float, bottom: float) -> None:
        """Take a part."""
        self._settle()
        self._geometry = self._geometry.cut(int(left), int(top), int(right), int(bottom))

    def resize(self, width: float, height: float) -> None:
        """Resize; to no less than a pixel: a line fitted in is rounded to none."""
        self._settle()
        size = max(1, int(width)), max(1, int(height))
        self._bound(size)
        self._geometry = replace(self._geometry, target=size)

    def flip_horizontally(self) -> None:
        """Mirror."""
        self._flip(Image.Transpose.FLIP_LEFT_RIGHT)

    def flip_vertically(self) -> None:
        """Stand on the head."""
        self._flip(Image.Transpose.FLIP_TOP_BOTTOM)

    def _flip(self, how: Image.Transpose) -> None:
        self._geometry = replace(self._geometry, flips=(*self._geometry.flips, how))

    def _settle(self) -> None:
        """What comes after resizing or mirroring is done to what that made; of an animation it is not done."""
        if (self._geometry.target or self._geometry.flips) and not self.is_animated:
            self.settle()

    def settle(self) -> None:
        """Decode, and do what was written down; else that happens when the picture is used or encoded."""
        if self._image is None or self.is_animated:
            return
        with memory.taken(self._needed()):
            self._whole(self.image.load)

    def miniature(self, side: int) -> Image.Image:
        """The picture as it is now, its first frame, grey, with no side longer than that; nothing is changed by it."""
        buffer, self._buffer = self._buffer, b""
        times = min(1.0, side / max(self.size))
        width, height = (max(1, round(length * times)) for length in self.size)
        geometry = replace(self._geometry, target=(width, height))

        def small() -> Image.Image:
            image = self._image
            # A JPEG is decoded small, which is done to it once; the others are large, or have frames to come.
            once = isinstance(image, JpegImagePlugin.JpegImageFile) or image.width * image.height > _KEPT
            if buffer and (once or self.is_animated):
                image = Image.open(io.BytesIO(buffer), formats=FORMATS)
            return geometry.of(image).convert("L")

        with memory.taken(self._needed()):
            return self._whole(small)

    def extract_cover(self) -> None:
        """Be the first frame only."""
        self.frame_count = 1

    def gen_image(self, size: tuple[int, int], color: str) -> Any:
        """A plane of one colour."""
        self._bound(size)
        return super().gen_image(size, color)

    def convert_to_grayscale(self, update_image: bool = True, alpha: bool = True) -> Any:
        """What ``grayscale()`` asks for."""
        self.image = with_colours(self.image)
        return super().convert_to_grayscale(update_image, alpha)

    def image_data_as_rgb(self, update_image: bool = True) -> Any:
        """What the other filters work on."""
        image = with_colours(self.image).convert("RGBA" if "A" in self.image.mode else "RGB")
        if update_image and not self.is_animated:
            self.image = image
        return image.mode, image.tobytes()

    def leaves_as(self, asked: str | None, accept: str) -> str:
        """The extension that the picture is written with: what ``format()`` asked, what is accepted, or its family's.

        thumbstack/result_key.py predicts the same.
        """
        own = self.extension or ".jpg"
        if asked in ("heic", "heif"):
            # Its encoder is not to be called: as if nothing were asked or accepted.
            asked, accept = None, ""
        if asked:
            return _WRITTEN.get(f".{asked}", f".{asked}")
        if self.is_animated and own == ".gif":
            return own
        for name in ("webp", "avif"):
            if f"image/{name}" not in accept:
                continue
            if self.is_animated:
                # All that show AVIF show WebP, and an animation as AVIF takes minutes.
                return ".webp"
            # A whole original may be larger than these can be, or than AVIF's encoder has memory for.
            if self.can_convert_to_webp() if name == "webp" else self.size[0] * self.size[1] <= MAX_SIDE**2:
                return f".{name}"
        if own == ".avif":
            return ".png" if self._image.has_transparency_data else ".jpg"
        return own

    def read(self, extension: str | None = None, quality: int | None = None) -> bytes:
        """Encode."""
        extension = extension if extension in EXTENSIONS else self.leaves_as(None, "")
        quality = max(1, min(100, quality or self.context.config.QUALITY))
        width, height = self.size
        frames = self.frame_count if extension in (".gif", ".webp") else 1
        with memory.taken(self._needed() + memory.of_encoding(extension, width * height * frames)):
            if frames > 1:
                return animated(self._all_frames(), extension, quality, self._image.info.get("loop"))
            self._whole(self.image.load)
            image = self.image if self.image.mode in _OF_FEW_COLOURS else with_colours(self.image)
            # A picture of few colours becomes one again: it is much smaller so.
            if extension in (".png", ".gif") and self.original_mode in _OF_FEW_COLOURS and image.mode in _MIXED:
                image = image.convert("1") if self.original_mode == "1" else image.quantize()
            # Before it is sent and stored, which may take seconds, its pixels can go.
            self._image, self._buffer = None, b""
            return encoded(image, extension, quality, self.icc_profile, self.context.config)

    def _all_frames(self) -> Iterator[Image.Image]:
        source = self._image
        for number in range(self.frame_count):
            yield self._whole(partial(self._frame, source, number))

    def _frame(self, source: Image.Image, number: int) -> Image.Image:
        source.seek(number)
        frame = self._made(source.convert("RGBA" if source.has_transparency_data else "RGB"))
        frame.info = {"duration": source.info.get("duration", 100)}
        return frame

    def _made(self, image: Image.Image) -> Image.Image:
        with memory.taken(self._needed()):
            return self._whole(lambda: self._geometry.of(image))

    def _needed(self) -> int:
        return memory.of_decoding(self._image.format, self._image.width * self._image.height)

    def _whole(self, decode: Callable[[], T]) -> T:
        """What decoding gives; decoders raise whatever a broken picture leads them to."""
        try:
            return decode()
        except MemoryError:
            # That says nothing of the picture.
            raise
        except Exception as problem:
            # A watermark that cannot be had is the address's fault, as it is Thumbor's own answer.
            self._refuse(BROKEN if self is self.context.modules.engine else TOO_MUCH, problem)

    def _bound(self, size: tuple[int, int]) -> None:
        if max(size) > MAX_SIDE:
            self._refuse(TOO_MUCH, Refused(f"{size[0]}x{size[1]} has a side of more than {MAX_SIDE} pixels"))

    def _refuse(self, status: int, problem: Exception) -> NoReturn:
        reason = str(problem) if isinstance(problem, Refused) else f"{type(problem).__name__}: {problem}"
        self.context.request.refusal = status, reason
        raise Refused(reason) from problem
