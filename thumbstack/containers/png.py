"""A PNG's chunks."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

MAGIC = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Chunk:
    """One chunk and where it lies, length and CRC included."""

    kind: bytes
    start: int
    payload: int
    length: int

    @property
    def end(self) -> int:
        """The first byte behind the chunk."""
        return self.payload + self.length + 4


def chunks(data: bytes) -> Iterator[Chunk]:
    """The chunks from IHDR to IEND."""
    at = len(MAGIC)
    while True:
        if at + 12 > len(data):
            raise ValueError("no IEND")
        length, kind = struct.unpack_from(">I4s", data, at)
        chunk = Chunk(kind, at, at + 8, length)
        if chunk.end > len(data):
            raise ValueError("a chunk that does not end")
        yield chunk
        if kind == b"IEND":
            return
        at = chunk.end


def chunk(kind: bytes, payload: bytes) -> bytes:
    """A chunk's bytes, length and CRC included."""
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def end(data: bytes, max_frames: int) -> tuple[int, int]:
    """Where the PNG ends, and how many frames it has; counting ends one above `max_frames`.

    The checksums of what every reader needs are compared: Pillow skips those of pixels, browsers do not.
    """
    frames, last = 0, None
    for last in chunks(data):
        needed = last.kind[:1].isupper()
        if (
            needed
            and zlib.crc32(data[last.start + 4 : last.end - 4]).to_bytes(4, "big") != data[last.end - 4 : last.end]
        ):
            raise ValueError("a wrong checksum")
        frames += last.kind == b"fcTL"
        if frames > max_frames:
            break
    return last.end if last else 0, max(1, frames)
