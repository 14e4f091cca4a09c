"""The result key, ``<picture key>/<options>.<format>``: the S3 key of one rendered variant.

The picture comes first, so that all variants of a picture are one prefix. The URL's signature is left out, so that a
new security key finds the old results. The real format is in, so that AVIF, WebP and JPEG never mix.
"""

import hashlib
import re

from thumbstack.picture_key import PictureKey

_NO_OPTIONS = "_"
# S3 allows 1024 bytes a key, and a store that keeps objects as files 255 a segment; some room is left for both.
_MAX_KEY_BYTES = 900
_MAX_SEGMENT_BYTES = 200
# What every store keeps as it is: some fold `//`, `.` and `..`, or refuse what is no printable ASCII.
_PLAIN_SEGMENT = re.compile(r"(?!\.{1,2}\Z)[ -~]+\Z")
_FORMAT_FILTER = re.compile(r"(?:^|[:/])format\(\s*'?([a-z]+)'?\s*\)", re.IGNORECASE)
# What Thumbor writes for a name: TIFF and SVG leave as PNG, HEIC as JPEG.
_WRITTEN = {"jpeg": "jpg", "tif": "png", "tiff": "png", "svg": "png", "heic": "jpg", "heif": "jpg"}
# What its format() filter knows and can write. It knows HEIC and HEIF too, but our engine keeps the original's.
_FORMATS = {"png", "jpeg", "jpg", "gif", "webp", "avif"}
_NOT_WRITTEN = {"heic", "heif"}


def written_as(extension: str) -> str:
    """The extension that Thumbor writes an original of this extension with, where nothing else is asked."""
    return _WRITTEN.get(extension, extension)


def format_asked(options: str) -> str:
    """What ``format()`` asks for, in lower case, known or not; empty where there is none. The last one counts."""
    asked = _FORMAT_FILTER.findall(options)
    return asked[-1].lower() if asked else ""


def makes_a_still(options: str) -> bool:
    """Whether options make another format of a GIF, and so its first frame."""
    return format_asked(options) in _FORMATS - {"gif"}


def accepts(picture: PictureKey) -> tuple[str, ...]:
    """What the edge makes of clients' Accept headers for a picture's variants (nginx/snippets/maps.conf).

    The last is for who takes neither AVIF nor WebP. Of a GIF and an SVG that is all; of a PDF there are no variants.
    """
    if picture.extension == "pdf":
        return ()
    return ("image/jpeg",) if picture.extension in ("gif", "svg") else ("image/avif", "image/webp", "image/jpeg")


def result_format(picture: PictureKey, options: str, accept: str) -> str:
    """The extension of what a render gives: what ``format()`` asks, else what `accept` names, else the original's.

    `accept` is the folded header: it names at most one of image/avif and image/webp. An AVIF's own is JPEG, since
    nobody gets AVIF who does not ask for it. A render may give something else, if rarely: other_formats().
    """
    own = written_as(picture.extension)
    asked = format_asked(options)
    if asked in _FORMATS:
        return _WRITTEN.get(asked, asked)
    for name in ("webp", "avif"):
        if f"image/{name}" in accept and asked not in _NOT_WRITTEN:
            return name
    return "jpg" if own == "avif" else own


def other_formats(picture: PictureKey, options: str, accept: str) -> tuple[str, ...]:
    """What a render may give instead, as only the original's bytes tell: an animation, or a picture with alpha.

    An animated GIF stays a GIF; an animation of another format leaves as WebP, also to those who take AVIF. And an
    original whose bytes are not what its name says is written as what they are: that is never found.
    """
    if format_asked(options) in _FORMATS:
        return ()
    likely = result_format(picture, options, accept)
    others = {"gif": ("gif",), "webp": ("webp",), "avif": ("png",) if likely == "jpg" else ("webp",)}
    return tuple(other for other in others.get(picture.extension, ()) if other != likely)


def result_key(picture: PictureKey, options: str, extension: str) -> str:
    """The key of the result of `options` (as signed, percent-decoded, without slashes at the ends)."""
    key = f"{picture}/{options or _NO_OPTIONS}.{extension}"
    if len(key.encode()) > _MAX_KEY_BYTES or not all(map(_may_be_kept, key.split("/")[4:])):
        return f"{picture}/sha256-{hashlib.sha256(options.encode()).hexdigest()}.{extension}"
    return key


def _may_be_kept(segment: str) -> bool:
    return len(segment) <= _MAX_SEGMENT_BYTES and _PLAIN_SEGMENT.match(segment) is not None


def read_result_key(key: str) -> tuple[PictureKey, str | None] | None:
    """The picture and the options of a result key; options None where they were hashed; None if it is no result key."""
    segments = key.split("/", 4)
    picture = PictureKey.parse("/".join(segments[:4]))
    if picture is None or len(segments) != 5:
        return None
    options = segments[4].rpartition(".")[0]
    if re.fullmatch(r"sha256-[0-9a-f]{64}", options):
        return picture, None
    return picture, "" if options == _NO_OPTIONS else options
