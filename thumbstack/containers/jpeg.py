"""A JPEG's segments, scans and end."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

SOI, EOI, SOS, COM, APP0, APP1, APP2, APP15 = 0xD8, 0xD9, 0xDA, 0xFE, 0xE0, 0xE1, 0xE2, 0xEF
# What ends a run of coded data: any marker but a stuffed 0xFF (00) and restarts (D0-D7); fill bytes repeat 0xFF.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
# Baseline, extended and progressive, by Huffman; the same by arithmetic coding, and lossless.
_HUFFMAN_FRAMES = frozenset((0xC0, 0xC1, 0xC2))
_FRAMES = frozenset((0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA, 0xCB))
# Markers that stand alone, without a length.
_ALONE = frozenset((0x01, *range(0xD0, 0xD8)))


@dataclass(frozen=True)
class Segment:
    """One marker and where its payload lies; a scan's coded data is not part of it."""

    marker: int
    start: int  # of the 0xFF
    payload: int
    end: int


def segments(data: bytes, at: int = 0) -> Iterator[Segment]:
    """The segments of the JPEG that begins at `at`, from SOI to EOI."""
    if data[at : at + 2] != b"\xff\xd8":
        raise ValueError("no SOI")
    yield Segment(SOI, at, at + 2, at + 2)
    at += 2
    while True:
        # Between segments only fill bytes are right, but decoders skip whatever is there, and some cameras write some.
        found = _MARKER.search(data, at)
        if found is None:
            raise ValueError("no EOI")
        start, marker, payload = found.start(), data[found.end() - 1], found.end()
        if marker == EOI:
            yield Segment(EOI, start, payload, payload)
            return
        if marker in _ALONE:
            at = payload
            continue
        if marker == SOI or payload + 2 > len(data):
            raise ValueError("no EOI")
        (length,) = struct.unpack_from(">H", data, payload)
        at = payload + length
        if length < 2 or at > len(data):
            raise ValueError("a segment that does not end")
        yield Segment(marker, start, payload + 2, at)


@dataclass(frozen=True)
class Outline:
    """What a JPEG's markers tell of it."""

    end: int
    scans: int
    width: int
    height: int
    # The bytes cannot hold so many pixels: even an empty block of 8x8 takes a bit in Huffman's code.
    hollow: bool


def outline(data: bytes, at: int = 0) -> Outline:
    """Walk the JPEG that begins at `at` to its end."""
    scans = width = height = last = 0
    huffman = True
    for segment in segments(data, at):
        last = segment.end
        scans += segment.marker == SOS
        if segment.marker in _FRAMES and segment.end - segment.payload >= 6:
            height, width = struct.unpack_from(">HH", data, segment.payload + 1)
            huffman = segment.marker in _HUFFMAN_FRAMES
    if not scans or not width:
        raise ValueError("no scan")
    return Outline(last, scans, width, height, huffman and (last - at) * 8 < (width // 8) * (height // 8))
