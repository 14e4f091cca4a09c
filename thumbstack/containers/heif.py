"""The boxes of a HEIC or AVIF file (ISO 14496-12), and where its metadata items lie (ISO 23008-12)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

# Boxes that may stand at the outermost level of a picture; anything else there is not a picture's. `sefd` is
# Samsung's: each of its phones writes one with the time and the shooting mode.
TOP_LEVEL = frozenset(
    b"ftyp meta mdat moov free skip wide uuid idat styp sidx moof mfra mpvd pdin jumb meco emsg prft sefd".split()
)
# A file of a thousand items is a grid of 32 million pixels; each is looked at once.
_MAX_ITEMS = 4096


@dataclass(frozen=True)
class Box:
    """One box and where its payload lies."""

    kind: bytes
    payload: int
    end: int


def boxes(data: bytes, at: int, last: int) -> Iterator[Box]:
    """The boxes between two offsets."""
    while at < last:
        if at + 8 > last:
            raise ValueError("half a box")
        size, kind = struct.unpack_from(">I4s", data, at)
        payload = at + 8
        if size == 1:
            if at + 16 > last:
                raise ValueError("half a box")
            (size,) = struct.unpack_from(">Q", data, payload)
            payload += 8
        elif size == 0:
            size = last - at
        if at + size < payload or at + size > last:
            raise ValueError("a box that does not end")
        yield Box(kind, payload, at + size)
        at += size


def end(data: bytes) -> int:
    """Where the last box ends that belongs to a picture."""
    at = 0
    while at < len(data) and (data[at + 4 : at + 8] in TOP_LEVEL):
        at = next(boxes(data, at, len(data))).end
    return at


def metadata(data: bytes) -> list[tuple[bytes, list[tuple[int, int]]]]:
    """The EXIF and XMP items: (b"Exif" or b"mime", the extents (start, end) in which its bytes lie)."""
    found: list[tuple[bytes, list[tuple[int, int]]]] = []
    for meta in boxes(data, 0, end(data)):
        if meta.kind == b"meta":
            inner = {box.kind: box for box in boxes(data, meta.payload + 4, meta.end)}
            if b"iinf" in inner and b"iloc" in inner:
                kinds = dict(_item_kinds(data, inner[b"iinf"]))
                idat = inner[b"idat"].payload if b"idat" in inner else 0
                found += [
                    (kinds[item], extents)
                    for item, extents in _item_extents(data, inner[b"iloc"], idat)
                    if kinds.get(item) in (b"Exif", b"mime")
                ]
    return found


def _item_kinds(data: bytes, iinf: Box) -> Iterator[tuple[int, bytes]]:
    start = iinf.payload + (6 if data[iinf.payload : iinf.payload + 1] == b"\0" else 8)
    for infe in boxes(data, start, iinf.end):
        version = data[infe.payload] if infe.payload < infe.end else 0
        if infe.kind == b"infe" and version in (2, 3):
            form = ">H2x4s" if version == 2 else ">I2x4s"
            if infe.payload + 4 + struct.calcsize(form) > infe.end:
                raise ValueError("half an item")
            yield struct.unpack_from(form, data, infe.payload + 4)


def _item_extents(data: bytes, iloc: Box, idat: int) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    cursor = _Cursor(data, iloc.payload, iloc.end)
    version = cursor.number(1)
    cursor.number(3)
    sizes = cursor.number(2)
    offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    count = cursor.number(4 if version == 2 else 2)
    budget = _MAX_ITEMS
    for _ in range(min(count, _MAX_ITEMS)):
        item = cursor.number(4 if version == 2 else 2)
        method = cursor.number(2) & 15 if version else 0
        cursor.number(2)
        base = cursor.number(base_size)
        extents = []
        for _ in range(cursor.number(2)):
            # Where all widths are 0, an item of 65 535 extents takes no bytes.
            budget -= 1
            if budget < 0:
                raise ValueError("too many extents")
            if version:
                cursor.number(index_size)
            start = base + cursor.number(offset_size) + (idat if method == 1 else 0)
            extents.append((start, min(start + cursor.number(length_size), len(data))))
        if method in (0, 1):
            yield item, extents


class _Cursor:
    """Numbers of any width, one after the other."""

    def __init__(self, data: bytes, at: int, last: int) -> None:
        self._data, self._at, self._last = data, at, last

    def number(self, width: int) -> int:
        self._at += width
        if self._at > self._last:
            raise ValueError("half a number")
        return int.from_bytes(self._data[self._at - width : self._at], "big")
