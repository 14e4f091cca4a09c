"""A JPEG's segments, scans and end."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

SOI, EOI, SOS, COM, APP0, APP1, APP2, APP15 = 0xD8, 0xD9, 0xDA, 0xFE, 0xE0, 0xE1, 0xE2, 0xEF
# What ends a run of coded data: any marker but a stuffed 0xFF (00) and restarts (D0-D7); fill bytes repeat 0xFF.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
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


def end(data: bytes, at: int = 0) -> tuple[int, int]:
    """Where the JPEG that begins at `at` ends, and of how many scans it is made."""
    scans = 0
    segment = None
    for segment in segments(data, at):
        scans += segment.marker == SOS
    if segment is None or not scans:
        raise ValueError("no scan")
    return segment.end, scans
