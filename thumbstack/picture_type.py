"""The types of picture that are taken in, and how each is written in a Content-Type and in a file name."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class PictureType:
    """One type: its Content-Type and the one extension that picture keys use for it."""

    content_type: str
    extension: str


JPEG = PictureType("image/jpeg", "jpg")
PNG = PictureType("image/png", "png")
GIF = PictureType("image/gif", "gif")
WEBP = PictureType("image/webp", "webp")
AVIF = PictureType("image/avif", "avif")
HEIC = PictureType("image/heic", "heic")
TIFF = PictureType("image/tiff", "tiff")
SVG = PictureType("image/svg+xml", "svg")
PDF = PictureType("application/pdf", "pdf")

ALL_TYPES = frozenset((JPEG, PNG, GIF, WEBP, AVIF, HEIC, TIFF, SVG, PDF))

BY_EXTENSION = {
    **{kind.extension: kind for kind in ALL_TYPES},
    **dict.fromkeys(("jpeg", "jpe", "jfif"), JPEG),
    **dict.fromkeys(("heif", "hif"), HEIC),
    "tif": TIFF,
}

# How the bytes of each type begin. The brand `mif1` alone says HEIF without saying whose codec.
_BEGINNINGS = (
    (re.compile(rb"\xff\xd8\xff"), JPEG),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), PNG),
    (re.compile(rb"GIF8[79]a"), GIF),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), WEBP),
    (re.compile(rb".{4}ftyp(?:avi[fs]|(?:mif1|msf1|miaf).{4,60}?avi[fs])", re.DOTALL), AVIF),
    (re.compile(rb".{4}ftyp(?:he[iv][cmsx]|mif1|msf1)", re.DOTALL), HEIC),
    (re.compile(rb"II[*+]\x00|MM\x00[*+]"), TIFF),
    (re.compile(rb"%PDF-\d"), PDF),
)
# An SVG may begin with a prolog, comments and white space; the parser decides whether its root is one.
_SVG_ROOT = re.compile(r"<(?:[\w.-]+:)?svg[\s>/]")
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
SNIFFED_BYTES = 4096


def sniff(start: bytes) -> PictureType | None:
    """The type that the first SNIFFED_BYTES of a file speak for, whatever its name says."""
    for beginning, kind in _BEGINNINGS:
        if beginning.match(start):
            return kind
    encoding = "utf-16" if start.startswith(_UTF16_MARKS) else "utf-8"
    text = start[:SNIFFED_BYTES].decode(encoding, "replace").lstrip("\ufeff \t\r\n")
    return SVG if re.match(r"<[?!\w]", text) and _SVG_ROOT.search(text) else None


def split_name(name: str) -> tuple[str, PictureType | None]:
    """Part a client's file name into its stem and the type that its extension claims; None when it claims none.

    Any case: ``X.JPG`` is ``X`` and JPEG. What follows a dot but is no extension of ours belongs to the stem: ``v1.2``.
    Folders before the name are dropped, whichever slash the client's system uses.
    """
    name = name.replace("\\", "/").rpartition("/")[2]
    stem, dot, extension = name.rpartition(".")
    claimed = BY_EXTENSION.get(extension.lower()) if dot and stem else None
    return (name, None) if claimed is None else (stem, claimed)
