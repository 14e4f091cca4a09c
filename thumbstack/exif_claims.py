"""EXIF whose entries claim to hold very many numbers.

piexif, with which stock Thumbor and many sites read EXIF, makes room for as many as an entry claims before it looks
whether they are there: 98 bytes of EXIF took three gigabytes and more. Such a picture is not taken in, or passed on.
"""

import struct

# Kinds of which piexif believes the count: BYTE, SHORT, LONG, SBYTE, SSHORT, SLONG.
_BELIEVED = frozenset((1, 3, 4, 6, 8, 9))
# Where the directories lie that it reads: EXIF, GPS, and within EXIF interoperability.
_POINTERS = frozenset((0x8769, 0x8825, 0xA005))
# A JPEG's EXIF has no more bytes in all.
_MAX_COUNT = 65_536
_MAX_ENTRIES = 10_000


def claims_too_much(exif: bytes) -> bool:
    """Whether some entry claims more numbers than there are bytes, or there are more entries than any camera writes."""
    data = exif.removeprefix(b"Exif\0\0")
    if len(data) < 8:
        return False
    # As piexif does it, which looks no further at the header.
    order = "<" if data[:2] == b"II" else ">"
    most = min(len(data), _MAX_COUNT)
    waiting, seen, entries = [struct.unpack_from(order + "I", data, 4)[0]], set(), 0
    while waiting:
        at = waiting.pop()
        if at in seen or at + 2 > len(data):
            continue
        seen.add(at)
        (count,) = struct.unpack_from(order + "H", data, at)
        # Those that are there, also where the directory claims more: piexif stops at the first that is not.
        there = min(count, (len(data) - at - 2) // 12)
        entries += there
        if entries > _MAX_ENTRIES:
            return True
        for tag, kind, numbers, value in struct.iter_unpack(order + "HHII", data[at + 2 : at + 2 + 12 * there]):
            if kind in _BELIEVED and numbers > most:
                return True
            if tag in _POINTERS:
                waiting.append(value)
        # Only the first directory has a next one, and 0 is none; behind the others lies anything.
        after = at + 2 + 12 * count
        if len(seen) == 1 and data[after : after + 4].strip(b"\0") and after + 4 <= len(data):
            waiting.append(struct.unpack_from(order + "I", data, after)[0])
    return False
