"""A WebP's RIFF chunks."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Chunk:
    """One chunk and where its payload lies."""

    kind: bytes
    payload: int
    end: int


def end(data: bytes) -> int:
    """Where the WebP ends, as its header says."""
    if len(data) < 12:
        raise ValueError("no header")
    size = int.from_bytes(data[4:8], "little")
    # An odd size is padded to an even one; some writers leave the padding out at the very end.
    last = 8 + size
    if last > len(data):
        raise ValueError("shorter than its header says")
    return min(last + (size & 1), len(data))


def chunks(data: bytes) -> Iterator[Chunk]:
    """The chunks inside."""
    at, last = 12, end(data)
    while at + 8 <= last:
        kind, size = struct.unpack_from("<4sI", data, at)
        if at + 8 + size > last:
            raise ValueError("a chunk that does not end")
        yield Chunk(kind, at + 8, at + 8 + size)
        at += 8 + size + (size & 1)
