"""Where a picture was taken, taken out of it without touching anything else.

Everything is overwritten in place: the file keeps its length (a PNG's compressed texts excepted), its pixels' bytes,
its orientation, colour profile, rights and makers' notes. Not taken out: places that somebody wrote down in words (such
as IPTC's city), what a maker's note may hold in a form of its own, BigTIFF, SVG and PDF. The file is in memory twice.
"""

import re
import struct
import zlib
from collections.abc import Iterator

from thumbstack.containers import heif, jpeg, png, webp
from thumbstack.exif import Tiff
from thumbstack.picture_type import AVIF, GIF, HEIC, JPEG, PNG, TIFF, WEBP, PictureType
from thumbstack.xmp import blank_location

_EXIF, _XMP = b"Exif\0\0", (b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0")
# GIF writes XMP as it is, and behind it a ramp of bytes that leads out of any block structure; blanks do no harm to it.
_GIF_XMP, _GIF_XMP_END = b"XMP DataXMP", b"\x01\xff\xfe\xfd"
# A motion photo's video tells its place as text (+46.5200+007.0400/) or in a `loci` box.
_ISO_6709 = re.compile(rb"[+-]\d\d\.\d{2,8}[+-]\d{3}\.\d{2,8}(?:[+-]\d{1,5}(?:\.\d{1,5})?)?/")
_LOCI = re.compile(rb"\0\0(..)loci\0\0\0\0", re.DOTALL)
_RAW_PROFILE = re.compile(rb"\s*(?:exif|app1|xmp|APP1|generic profile)\s+\d+\s+([0-9a-fA-F\s]+)", re.DOTALL)
# A camera writes one to three with EXIF or XMP; an extended XMP with a depth map tens, without a location.
_MAX_SEGMENTS = 100
# As much text as Pillow takes from one chunk.
_MAX_TEXT = 4 * 1024 * 1024


def without_location(data: bytes, kind: PictureType) -> bytes:
    """The same picture without GPS data; `data` itself where there is none. For bytes that inspect() has accepted.

    Damaged metadata is left as far as it cannot be read; it raises nothing.
    """
    if kind is PNG:
        return _png_without(data)
    copy = bytearray(data)
    found = False
    try:
        if kind is TIFF:
            found = _blank_tiff(copy, 0, len(copy))
        elif kind is GIF:
            start, end = data.find(_GIF_XMP), data.find(_GIF_XMP_END)
            found = 0 <= start < end and blank_location(copy, start, end)
        elif kind is JPEG:
            found = _blank_jpegs(copy, data)
        elif kind is WEBP:
            for chunk in webp.chunks(data):
                found |= chunk.kind == b"EXIF" and _blank_tiff(copy, chunk.payload, chunk.end)
                found |= chunk.kind == b"XMP " and blank_location(copy, chunk.payload, chunk.end)
        elif kind in (HEIC, AVIF):
            found = _blank_heif(copy, data)
    except (ValueError, IndexError, struct.error):
        # Only damaged metadata comes here: what was found before it is blanked all the same.
        return data if copy == data else bytes(copy)
    return bytes(copy) if found else data


def _blank_tiff(copy: bytearray, start: int, end: int) -> bool:
    if copy[start : start + 6] == _EXIF:
        start += 6
    try:
        tiff = Tiff(copy, start, end)
    except ValueError:
        return False
    found = tiff.without_location()
    for first, last in list(tiff.xmp()):
        found |= blank_location(copy, first, last)
    return found


def _blank_jpegs(copy: bytearray, data: bytes) -> bool:
    """All JPEGs of the file, for some cameras store two; then the video of a motion photo."""
    found, end, left = False, 0, _MAX_SEGMENTS
    while (start := data.find(b"\xff\xd8\xff", end)) >= 0 and not data[end:start].strip(b"\0\xff\t\n\r "):
        for segment in jpeg.segments(data, start):
            end = segment.end
            left -= segment.marker == jpeg.APP1
            if segment.marker != jpeg.APP1 or left < 0:
                continue
            if data.startswith(_EXIF, segment.payload):
                found |= _blank_tiff(copy, segment.payload, segment.end)
            elif data.startswith(_XMP, segment.payload):
                found |= blank_location(copy, segment.payload, segment.end)
    return _blank_video(copy, end, len(copy)) or found


def _blank_heif(copy: bytearray, data: bytes) -> bool:
    found = False
    for kind, extents in heif.metadata(data):
        item = bytearray(b"".join(data[start:end] for start, end in extents))
        if kind == b"Exif" and len(item) > 4:
            changed = _blank_tiff(item, 4 + struct.unpack_from(">I", item)[0], len(item))
        else:
            changed = blank_location(item, 0, len(item))
        if changed:
            found = True
            for start, end in extents:
                copy[start:end] = item[: end - start]
                del item[: end - start]
    for box in heif.boxes(data, 0, heif.end(data)):
        if box.kind == b"mpvd":
            found |= _blank_video(copy, box.payload, box.end)
    return found


def _blank_video(copy: bytearray, start: int, end: int) -> bool:
    places = [match.span() for match in _ISO_6709.finditer(copy, start, end)]
    for first, last in places:
        copy[first:last] = re.sub(rb"\d", b"0", copy[first:last])
    boxes = [(match.start() + 8, int.from_bytes(match[1], "big")) for match in _LOCI.finditer(copy, start, end)]
    for at, size in boxes:
        last = min(at + max(0, size - 8), end)
        copy[at - 4 : last] = b"free" + bytes(last - at)
    return bool(places or boxes)


def _png_without(data: bytes) -> bytes:
    try:
        parts = list(_png_parts(data))
    except ValueError:
        return data
    return data if all(old is new for old, new in parts) else b"".join([png.MAGIC, *(new for _, new in parts)])


def _png_parts(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each chunk as it was and as it is to be; and what follows the last."""
    end = 0
    for chunk in png.chunks(data):
        end = chunk.end
        old = data[chunk.start : end]
        payload = bytearray(data[chunk.payload : end - 4])
        if chunk.kind == b"eXIf" and _blank_tiff(payload, 0, len(payload)):
            yield old, png.chunk(chunk.kind, bytes(payload))
        elif chunk.kind in (b"tEXt", b"zTXt", b"iTXt"):
            yield old, _text_without(chunk.kind, bytes(payload), old)
        else:
            yield old, old
    tail = data[end:]
    yield tail, tail


def _text_without(kind: bytes, payload: bytes, old: bytes) -> bytes:
    """A text chunk without its location; `old` where it has none."""
    keyword, _, rest = payload.partition(b"\0")
    if keyword.lower().startswith(b"exif:gps"):  # ImageMagick's way to write EXIF
        return b""
    head, packed = b"", kind == b"zTXt"
    if kind == b"zTXt":
        head, rest = rest[:1], rest[1:]
    elif kind == b"iTXt":
        language = rest[2:].partition(b"\0")
        head = rest[:2] + language[0] + b"\0" + language[2].partition(b"\0")[0] + b"\0"
        packed, rest = rest[:1] == b"\1", rest[len(head) :]
    try:
        text = bytearray(zlib.decompressobj().decompress(rest, _MAX_TEXT) if packed else rest)
    except zlib.error:
        return old
    if not _blank_text(keyword, text):
        return old
    return png.chunk(kind, keyword + b"\0" + head + (zlib.compress(text) if packed else bytes(text)))


def _blank_text(keyword: bytes, text: bytearray) -> bool:
    profile = _RAW_PROFILE.match(text) if keyword.startswith(b"Raw profile type ") else None
    if profile is None:
        return keyword == b"XML:com.adobe.xmp" and blank_location(text, 0, len(text))
    digits = b"".join(profile[1].split())
    inner = bytearray.fromhex(digits[: len(digits) & ~1].decode())
    if not (_blank_tiff(inner, 0, len(inner)) | blank_location(inner, 0, len(inner))):
        return False
    text[profile.start(1) : profile.end(1)] = inner.hex().encode() + b"\n"
    return True
