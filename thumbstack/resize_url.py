"""Resize URLs: the address of one variant on a website bucket, and on this service, which makes it where it is missing.

``/m/<picture key>/<width>x<height>-<fit|fill|sample>-<quality>-<upscale|noupscale>-<signature>.<format>``, lower case
throughout. The object in the bucket has the same name without the slash at its begin.
"""

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from thumbstack.options import MAX_SIDE, Options
from thumbstack.picture_key import PictureKey
from thumbstack.picture_type import BY_EXTENSION, GIF, SVG, PictureType
from thumbstack.refusal import BadOptions
from thumbstack.result_key import written_as
from thumbstack.signing import derived_key

_PURPOSE = "thumbstack resize url"
_SIGNATURE_HEX = 32
_FIT, _FILL = "fit", "fill"
_FORMATS = ("jpg", "png", "gif", "webp", "avif")
_DEFAULT_QUALITY = 65
_MAX_QUALITY = 100

_SIDE = r"[1-9]\d{0,4}"
_SIZE = rf"(?P<width>{_SIDE})x(?P<height>{_SIDE})-(?P<mode>{_FIT}|{_FILL}|{_SIDE}x{_SIDE})"
_QUALITY, _UPSCALE = r"(?P<quality>[1-9]\d{0,2})", r"(?P<upscale>upscale|noupscale)"
_ASKED = re.compile(rf"{_SIZE}(?:-{_QUALITY})?(?:-{_UPSCALE})?(?:\.(?P<format>[a-z]+))?", re.ASCII)
_NAME = re.compile(
    rf"{_SIZE}-{_QUALITY}-{_UPSCALE}-(?P<signature>[0-9a-f]{{{_SIGNATURE_HEX}}})\.(?P<format>{'|'.join(_FORMATS)})",
    re.ASCII,
)


@dataclass(frozen=True)
class Resize:
    """What a variant is to be. Raises BadOptions where that is impossible or too large."""

    width: int
    height: int
    # "fit": all of the picture within the size; "fill": the size, cut at the middle; "200x400": so much of its middle.
    mode: str
    quality: int
    upscale: bool
    # The extension of what comes out.
    format: str

    def __post_init__(self) -> None:
        if max(self.width, self.height) > MAX_SIDE:
            raise BadOptions(f"No side may be longer than {MAX_SIDE} pixels.")
        if self.quality > _MAX_QUALITY:
            raise BadOptions(f"The quality must be from 1 to {_MAX_QUALITY}.")
        if self.format not in _FORMATS:
            raise BadOptions(f"The format must be one of {', '.join(_FORMATS)}.")
        if self.mode not in (_FIT, _FILL):
            width, height = self._sample
            if width * self.height != height * self.width:
                raise BadOptions("The sample must have the proportions of the size, for example 100x200-200x400.")

    @property
    def content_type(self) -> str:
        """The Content-Type of the variant; it is also what its render must be asked to Accept."""
        return BY_EXTENSION[self.format].content_type

    @property
    def name(self) -> str:
        """What is signed: the name in the bucket without the signature."""
        return f"{self._stem}.{self.format}"

    def signed_name(self, signature: str) -> str:
        """The name in the bucket."""
        return f"{self._stem}-{signature}.{self.format}"

    def options(self, width: int, height: int, kind: PictureType) -> str:
        """Thumbor's options for a picture of this size, as it is seen, and this type.

        They are those that one would sign for the same variant, so that it is rendered once, whoever asks for it first.
        """
        filters = f"filters:quality({self.quality})"
        # WebP and AVIF come of what the render is asked to accept, as a browser's do; but nginx gives a GIF and a
        # drawing as they are, and an animated GIF is only made a still where format() asks for it.
        accepted = self.format in ("webp", "avif") and kind not in (GIF, SVG)
        if not accepted and self.format != written_as(kind.extension):
            filters += f":format({self.format})"
        if self.mode == _FIT:
            return str(self._fitting(width, height, kind, filters))
        if self.mode == _FILL:
            sides = (self.width, self.height)
            if not self.upscale:
                sides = (min(self.width, width), min(self.height, height))
            return str(_plain(*sides, filters))
        return str(self._sampled(width, height, filters))

    def _fitting(self, width: int, height: int, kind: PictureType, filters: str) -> Options:
        """All of the picture: by Thumbor's own fit-in where that is the size wanted, else by that size itself.

        Sides are cut to whole pixels, as in the service that these URLs come from; Thumbor rounds them.
        """
        smaller = width <= self.width and height <= self.height
        if smaller and not self.upscale:
            sides = thumbors = (width, height)
        elif width * self.height >= height * self.width:
            sides = (self.width, max(1, height * self.width // width))
            thumbors = (self.width, round(height * self.width / width + 1e-5))
        else:
            sides = (max(1, width * self.height // height), self.height)
            thumbors = (round(width * self.height / height + 1e-5), self.height)
        # fit-in never enlarges; a drawing is drawn to fit, and is a pixel off then.
        if sides == thumbors and kind is not SVG and not (smaller and self.upscale):
            return Options("", "", "fit-in/", self.width, self.height, f"{filters}/")
        return _plain(*sides, filters)

    def _sampled(self, width: int, height: int, filters: str) -> Options:
        """The middle of the picture, of the sample's size; where that is more than there is, as much as there is."""
        across, down = self._sample
        if across > width or down > height:
            narrow = width * down <= height * across
            across, down = (width, width * down // across) if narrow else (height * across // down, height)
        across, down = max(1, across), max(1, down)
        smaller = not self.upscale and self.width > across
        sides = (across, down) if smaller else (self.width, self.height)
        return _plain(*sides, filters).cropped((width - across) // 2, (height - down) // 2, across, down)

    @property
    def _sample(self) -> tuple[int, int]:
        width, _, height = self.mode.partition("x")
        return int(width), int(height)

    @property
    def _stem(self) -> str:
        upscale = "upscale" if self.upscale else "noupscale"
        return f"{self.width}x{self.height}-{self.mode}-{self.quality}-{upscale}"


def _plain(width: int, height: int, filters: str) -> Options:
    return Options("", "", "", width, height, f"{filters}/")


def _read(match: re.Match[str], format_: str) -> Resize:
    quality = int(match["quality"] or _DEFAULT_QUALITY)
    upscale = match["upscale"] != "noupscale"
    return Resize(int(match["width"]), int(match["height"]), match["mode"], quality, upscale, format_)


def read_resize(text: str, picture: PictureKey) -> Resize:
    """Read what is asked, such as ``100x200-fill-80-upscale.jpg``; raises BadOptions with what is wrong.

    Any case. What may be left out: the quality (65), upscale, and the format, which is then the picture's own.
    """
    match = _ASKED.fullmatch(text.strip().lower())
    if match is None:
        raise BadOptions(
            "Ask as <width>x<height>-<fit, fill or sample>-<quality>-<upscale or noupscale>.<format>, "
            "for example 100x200-fill-80-upscale.jpg"
        )
    extension = match["format"] or picture.extension
    kind = BY_EXTENSION.get(extension)
    return _read(match, written_as(kind.extension) if kind else extension)


@dataclass(frozen=True)
class ResizePath:
    """A path as it came, which anybody may have made up: `signed_by` tells."""

    picture: PictureKey
    resize: Resize
    signature: str

    @classmethod
    def parse(cls, path: str) -> Self | None:
        """Read ``/m/o/...``; None for anything else, also for what is too large to be made."""
        if not path.startswith("/m/"):
            return None
        key, _, name = path.removeprefix("/m/").rpartition("/")
        picture, match = PictureKey.parse(key), _NAME.fullmatch(name)
        if picture is None or match is None:
            return None
        try:
            return cls(picture, _read(match, match["format"]), match["signature"])
        except BadOptions:
            return None

    def signed_by(self, security_keys: Iterable[str]) -> bool:
        """Whether one of the keys made the signature; the time tells nothing about which, or how nearly."""
        signatures = (_signature(self.picture, self.resize, key) for key in security_keys)
        matches = [hmac.compare_digest(signature, self.signature) for signature in signatures]
        return any(matches)

    @property
    def variant(self) -> str:
        """The key of the variant in the website bucket."""
        return str(self).removeprefix("/")

    def __str__(self) -> str:
        return f"/m/{self.picture}/{self.resize.signed_name(self.signature)}"


def resize_path(picture: PictureKey, resize: Resize, security_key: str) -> str:
    """The signed path of a variant."""
    return str(ResizePath(picture, resize, _signature(picture, resize, security_key)))


def variant_prefix(prefix: str) -> str:
    """The prefix, in the website bucket, of the variants of all pictures of a prefix."""
    return f"m/{prefix}"


def variant_picture(key: str) -> PictureKey | None:
    """The picture that an object of the website bucket is a variant of; None where it is none."""
    start, _, rest = key.partition("/")
    picture, _, name = rest.rpartition("/")
    return PictureKey.parse(picture) if start == "m" and name else None


def _signature(picture: PictureKey, resize: Resize, security_key: str) -> str:
    """The first 32 hex digits of the HMAC-SHA256 of ``<picture key>/<name>``, by a key for this purpose alone."""
    text = f"{picture}/{resize.name}".encode()
    return hmac.new(derived_key(security_key, _PURPOSE), text, "sha256").hexdigest()[:_SIGNATURE_HEX]
