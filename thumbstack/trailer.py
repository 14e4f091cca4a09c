"""What stands behind a picture's end: padding and what cameras leave there, or something that is no picture at all."""

import io
import re
import zipfile

from thumbstack.containers import heif, jpeg
from thumbstack.refusal import TrailingData

# What another program looks for, wherever it begins: a page, a script, a document, an archive.
_FOREIGN = re.compile(
    rb"<(?:!doctype|html|head|body|script|iframe|svg|\?php|\?xml\s)|%PDF-|<\?=|#!/|\x7fELF|Rar!\x1a\x07|7z\xbc\xaf\x27\x1c",
    re.IGNORECASE,
)
# A video holds marks of three and four bytes by chance: those count near the trailer's start only.
_NEAR = 1024
_PADDING = b"\x00\xff\t\n\r "
# How the trailers of cameras and of their makers' programs end, or begin; names as ExifTool has them.
_MAKERS_ENDINGS = (
    b"SEFT",  # Samsung: motion photo, dual shot, sound and shot
    b"8db42d694ccc418790edff439fe026bf",  # Insta360
    b"\xa1\xb2\xc3\xd4",  # FotoStation
    b"cbipcbbl",  # Photo Mechanic
    b"jxrs",  # OnePlus
    b"~\x00\x04\x00zmie~\x00\x00\x06",  # MIE
)
_MAKERS_BEGINNINGS = (b"CANON OPTIONAL DATA\0", b"AXS!", b"AXS*", b"vivo{", b"LIVE_", b"NIKON APP\0")
# Cameras store two or three pictures in one file (MPO, gain maps, portraits' depth).
_MAX_PICTURES = 16

_SENTENCE = "There is something else behind the picture's end: save the picture again and send it without."


def refuse_foreign(data: bytes) -> None:
    """Raise TrailingData where a reader of PDF or ZIP would take the whole file, picture and all, for its own."""
    # Readers of PDF look for their mark in the first 1 024 bytes, readers of ZIP for theirs in the last 65 557.
    if b"%PDF-" in data[:1024] or zipfile.is_zipfile(io.BytesIO(data[-65_557:])):
        raise TrailingData("The file is a picture and also a document or an archive: send the picture alone.")


def refuse_trailer(data: bytes, end: int) -> None:
    """Raise TrailingData unless nothing but padding follows."""
    if data[end:].strip(_PADDING):
        raise TrailingData(_SENTENCE)


def refuse_jpeg_trailer(data: bytes, end: int) -> None:
    """Raise TrailingData unless what follows a JPEG is padding, more JPEGs, a video, or a camera maker's own."""
    for _ in range(_MAX_PICTURES):
        at = _behind_padding(data, end)
        if data[at : at + 3] != b"\xff\xd8\xff":
            break
        try:
            end = jpeg.outline(data, at).end
        except ValueError:
            raise TrailingData(_SENTENCE) from None
    else:
        raise TrailingData(_SENTENCE)
    trailer = data[at:]
    if not trailer:
        return
    if _FOREIGN.search(trailer[:_NEAR]) or re.search(rb"<\?php|<script|<html|%PDF-", trailer, re.IGNORECASE):
        raise TrailingData(_SENTENCE)
    if trailer.rstrip(_PADDING).endswith(_MAKERS_ENDINGS) or trailer.startswith(_MAKERS_BEGINNINGS):
        return
    # A motion photo: the rest is one MP4. Its first box's size begins with zeros that look like padding.
    video = data[max(end, data.find(b"ftyp", at, at + 8) - 4) :]
    try:
        if video[4:8] != b"ftyp" or video[heif.end(video) :].strip(_PADDING):
            raise TrailingData(_SENTENCE)
    except ValueError:
        raise TrailingData(_SENTENCE) from None


def _behind_padding(data: bytes, at: int) -> int:
    """The first byte that is no padding; 0xFF before an SOI is padding too."""
    rest = re.compile(rb"[\x00\t\n\r ]*(?:\xff*(?=\xff\xd8\xff)|\xff*$)?").match(data, at)
    return rest.end() if rest else at
