"""Thumbor's option strings: what stands between the signature and the picture key of a URL.

The grammar is Thumbor 7's (``thumbor/url.py``), without ``meta``, ``debug`` and ``unsafe``, and with bounds.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from thumbstack.refusal import BadOptions

# Four times a full-HD screen's width is the most that a page can show; more only costs memory (about 4 bytes a pixel).
# Whatever is named here is within it: sides, what other widths make of them, the part of the picture a watermark takes.
# What follows from the picture's own shape (a side of 0, full-fit-in) cannot be known from options alone: it is told by
# rendered_size.py where the picture's size is known, and Thumbor's engine must refuse it wherever the URL came from.
MAX_SIDE = 4096
_MAX_LENGTH = 500
_MAX_WIDTHS = 20
# No space and no #: an address spells them otherwise, and Thumbor's signature is one of the address as it is spelled.
_FILTER = r"[a-z_]+\([A-Za-z0-9_.,/-]*\)"
_FILTERS = re.compile(r"([a-z_]+)\(([^)]*)\)")
# A watermark larger than the picture is enlarged in memory first.
_MAX_WATERMARK_PERCENT = 100
_GRAMMAR = re.compile(
    r"(?P<trim>(?:trim(?::(?:top-left|bottom-right))?(?::\d{1,3})?/)?)"
    r"(?P<crop>(?:\d{1,5}x\d{1,5}:\d{1,5}x\d{1,5}/)?)"
    r"(?P<fit>(?:(?:adaptive-)?(?:full-)?fit-in/)?)"
    r"(?:(?P<flip_x>-?)(?P<width>\d{0,5})x(?P<flip_y>-?)(?P<height>\d{0,5})/)?"
    r"(?P<after>(?:(?:left|right|center)/)?(?:(?:top|bottom|middle)/)?(?:smart/)?"
    rf"(?:filters:{_FILTER}(?::{_FILTER})*/)?)",
    re.ASCII,
)

_WIDTH = re.compile(r" *\d{1,5} *", re.ASCII)
_CROP = re.compile(r"(\d{1,5})x(\d{1,5})\+(\d{1,5})\+(\d{1,5})", re.ASCII)


@dataclass(frozen=True)
class Options:
    """A checked option string. Width and height in pixels; 0: in proportion, or not asked."""

    trim: str
    crop: str
    fit: str
    width: int
    height: int
    after: str
    flip_x: str = ""
    flip_y: str = ""
    sized: bool = True

    @property
    def filters(self) -> Sequence[tuple[str, str]]:
        """Names and arguments of the filters, in their order."""
        return _FILTERS.findall(self.after)

    def of_width(self, width: int) -> Self:
        """The same variant at another width.

        The height that was asked keeps its proportion; where the picture is fitted in, it keeps the picture's, or the
        width would not be the one that is asked.
        """
        height = max(1, round(self.height * width / self.width)) if self.width and self.height and not self.fit else 0
        if height > MAX_SIDE:
            raise BadOptions(f"No side may be longer than {MAX_SIDE} pixels: at width {width} the height would be.")
        return replace(self, width=width, height=height, sized=True)

    def of_format(self, name: str) -> Self:
        """The same variant in a format, whatever the client accepts."""
        after = f"{self.after.removesuffix('/')}:" if self.filters else f"{self.after}filters:"
        return replace(self, after=f"{after}format({name})/")

    def cropped(self, left: int, top: int, width: int, height: int) -> Self:
        """The same variant of a part of the picture, by Thumbor's manual crop; all in pixels of the original."""
        return replace(self, crop=f"{left}x{top}:{left + width}x{top + height}/")

    def __str__(self) -> str:
        size = f"{self.flip_x}{self.width}x{self.flip_y}{self.height}/" if self.sized else ""
        return f"{self.trim}{self.crop}{self.fit}{size}{self.after}".rstrip("/")


def read_options(text: str) -> Options:
    """Check an option string such as ``fit-in/400x400/filters:quality(90)``; raises BadOptions with what is wrong."""
    if len(text) > _MAX_LENGTH:
        raise BadOptions(f"The options are longer than {_MAX_LENGTH} characters.")
    match = _GRAMMAR.fullmatch(f"{text}/" if text else "")
    if match is None:
        raise BadOptions("These are no Thumbor options, for example: fit-in/400x400/filters:quality(90)")
    sized = match["width"] is not None
    width, height = (int(match[side] or 0) for side in ("width", "height"))
    if max(width, height) > MAX_SIDE:
        raise BadOptions(f"No side may be longer than {MAX_SIDE} pixels.")
    flip_x, flip_y = match["flip_x"] or "", match["flip_y"] or ""
    options = Options(match["trim"], match["crop"], match["fit"], width, height, match["after"], flip_x, flip_y, sized)
    for name, arguments in options.filters:
        if name == "watermark" and not all(map(_is_part, arguments.split(",")[4:])):
            raise BadOptions(f"A watermark may take at most {_MAX_WATERMARK_PERCENT} percent of each side, or 'none'.")
    return options


def _is_part(ratio: str) -> bool:
    return ratio == "none" or (ratio.isdecimal() and int(ratio) <= _MAX_WATERMARK_PERCENT)


def read_crop(text: str) -> tuple[int, int, int, int] | None:
    """``WxH+X+Y`` as left, top, width, height; None for anything else."""
    match = _CROP.fullmatch(text)
    if match is None:
        return None
    width, height, left, top = map(int, match.groups())
    return (left, top, width, height) if width and height else None


def read_widths(value: object) -> list[int]:
    """Widths as a list or as ``320,640``, smallest first; raises BadOptions."""
    if value in (None, "", []):
        return []
    parts = value if isinstance(value, list) else str(value).split(",")
    if not all(_WIDTH.fullmatch(str(part)) for part in parts):
        raise BadOptions("The widths must be whole numbers, for example 320,640,1280")
    widths = sorted({int(part) for part in parts})
    if len(widths) > _MAX_WIDTHS or not all(0 < width <= MAX_SIDE for width in widths):
        raise BadOptions(f"At most {_MAX_WIDTHS} widths, each from 1 to {MAX_SIDE} pixels.")
    return widths
