"""Thumbor's Pillow engine, for the pictures that it reads but writes wrongly or not at all.

Importing Thumbor's own registers pillow-heif in Pillow: HEIC is decoded here, in the process, because the uploader has
let only those in that the same decoder had read (docs/decisions/0010-heic.md).
"""

from typing import Any

from PIL import Image
from thumbor.engines import pil

from thumbstack.result_key import makes_a_still

# Nobody sees HEIC but in Safari, and its encoder is slow; TIFF's name makes Thumbor write PNG without what PNG needs.
_WRITTEN = {".heic": ".jpg", ".heif": ".jpg", ".tif": ".png"}
# Modes that all of JPEG, PNG, WebP and AVIF can be made of, by Pillow or by Thumbor.
_PLAIN = frozenset(("1", "L", "LA", "P", "RGB", "RGBA", "CMYK"))


class Engine(pil.Engine):  # type: ignore[misc]
    """Thumbor makes one for each request, and one for a watermark."""

    extension: str | None
    image: Image.Image

    def load(self, buffer: bytes, extension: str | None) -> None:
        """Take a picture's bytes in; they are not decoded yet."""
        # On a GIF Thumbor runs no filters, format() neither. One of which another format is asked is none from here on,
        # but its first frame.
        if extension == ".gif" and makes_a_still(self.context.request.filters or ""):
            extension = self.context.request.extension = ".png"
        super().load(buffer, extension)
        self.extension = _WRITTEN.get(self.extension or "", self.extension)

    def resize(self, width: float, height: float) -> None:
        """Resize; in a mode that can be averaged, and to no less than a pixel: a line fitted in is rounded to none."""
        self.image = _plain(self.image)
        super().resize(max(1, width), max(1, height))

    def convert_to_grayscale(self, update_image: bool = True, alpha: bool = True) -> Any:
        """What ``grayscale()`` asks for."""
        self.image = _plain(self.image)
        return super().convert_to_grayscale(update_image, alpha)

    def image_data_as_rgb(self, update_image: bool = True) -> Any:
        """What the other filters work on."""
        self.image = _plain(self.image)
        return super().image_data_as_rgb(update_image)

    def read(self, extension: str | None = None, quality: int | None = None) -> Any:
        """Encode; HEIC is not written, as its encoder is not to be called, also where ``format()`` asks for it."""
        extension = extension or self.extension
        self.image = _plain(self.image)
        return super().read(self.extension if extension in (".heic", ".heif") else extension, quality)


def _plain(image: Image.Image) -> Image.Image:
    if image.mode in _PLAIN:
        return image
    if image.mode.startswith("I"):
        # 16 bits a pixel: Pillow would cut at 255, and leave a white picture.
        return image.convert("I").point(lambda value: value / 256).convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")
