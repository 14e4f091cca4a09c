"""EXIF, which is a TIFF in small: entries changed in place, so that no offset in it and no byte of the rest moves.

A library that reads EXIF and writes it anew loses makers' notes, whose offsets count from the file's start. Everything
here is the same length afterwards; what is damaged is left as it is.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

GPS_IFD, ORIENTATION, XMP = 0x8825, 0x0112, 700
_SUB_IFDS = frozenset((330, 0x8769))
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
# A camera writes some hundred entries; a document of 300 pages some thousands.
_MAX_ENTRIES, _MAX_WAITING = 50_000, 256


@dataclass(frozen=True)
class _Entry:
    at: int
    tag: int
    kind: int
    count: int
    # Where its value lies, and how long it is.
    value: int
    length: int


@dataclass(frozen=True)
class _Directory:
    at: int
    entries: list[_Entry]
    next_at: int


class Tiff:
    """A TIFF structure between two offsets of a buffer that may be written."""

    def __init__(self, data: bytearray, start: int, end: int) -> None:
        """Raise ValueError where no (classic) TIFF begins."""
        self._data, self._start, self._end = data, start, min(end, len(data))
        mark = bytes(data[start : start + 4])
        if mark not in (b"II*\0", b"MM\0*") or start + 8 > self._end:
            raise ValueError("no TIFF")
        self._order = "<" if mark[0] == 0x49 else ">"

    def without_location(self) -> bool:
        """Empty every GPS directory and drop its entry; says whether there was one."""
        found = False
        for directory in self._directories():
            for index, entry in enumerate(directory.entries):
                if entry.tag == GPS_IFD:
                    self._blank_directory(self._number("I", entry.at + 8))
                    self._drop(directory, index)
                    found = True
                    break
        return found

    def set_upright(self) -> bool:
        """Make every orientation 1; says whether one was another."""
        found = False
        for directory in self._directories():
            for entry in directory.entries:
                if entry.tag == ORIENTATION and entry.kind == 3 and self._number("H", entry.at + 8) != 1:
                    struct.pack_into(self._order + "H", self._data, entry.at + 8, 1)
                    found = True
        return found

    def xmp(self) -> Iterator[tuple[int, int]]:
        """Where XMP packets lie."""
        for directory in self._directories():
            for entry in directory.entries:
                if entry.tag == XMP and entry.length:
                    yield entry.value, entry.value + entry.length

    def _directories(self) -> Iterator[_Directory]:
        seen: set[int] = set()
        waiting = [self._number("I", self._start + 4)]
        # Directories that overlap could have any number of entries; honest ones take 12 bytes each.
        budget = min(_MAX_ENTRIES, (self._end - self._start) // 12)
        while waiting and budget > 0:
            offset = waiting.pop()
            if offset in seen or offset == 0:
                continue
            seen.add(offset)
            directory = self._directory(offset, budget)
            if directory is None:
                continue
            budget -= len(directory.entries)
            for entry in directory.entries:
                if entry.tag in _SUB_IFDS and entry.kind in (4, 13) and len(waiting) < _MAX_WAITING:
                    waiting += [self._number("I", entry.value + 4 * n) for n in range(min(entry.length // 4, 64))]
            waiting.append(self._number("I", directory.next_at))
            yield directory

    def _directory(self, offset: int, max_entries: int) -> _Directory | None:
        at = self._start + offset
        count = self._number("H", at)
        next_at = at + 2 + 12 * count
        if not 0 < count <= max_entries or next_at > self._end:
            return None
        return _Directory(at, [self._entry(at + 2 + 12 * index) for index in range(count)], next_at)

    def _entry(self, at: int) -> _Entry:
        tag, kind, count = struct.unpack_from(self._order + "HHI", self._data, at)
        length = _SIZES.get(kind, 0) * count
        value = at + 8 if length <= 4 else self._start + self._number("I", at + 8)
        if value + length > self._end:
            length = 0
        return _Entry(at, tag, kind, count, value, length)

    def _blank_directory(self, offset: int) -> None:
        directory = self._directory(offset, 64)
        # Only what is a GPS directory: a hostile offset may point at the picture itself.
        if directory is None or any(entry.tag > 31 for entry in directory.entries):
            return
        for entry in directory.entries:
            # The longest that GPS has are texts of its method and its area.
            if 4 < entry.length <= 1024:
                self._data[entry.value : entry.value + entry.length] = bytes(entry.length)
        self._data[directory.at : directory.next_at] = bytes(directory.next_at - directory.at)

    def _drop(self, directory: _Directory, index: int) -> None:
        """Move the entries behind it and the offset of the next directory up by one entry."""
        at, last = directory.entries[index].at, min(directory.next_at + 4, self._end)
        self._data[at:last] = self._data[at + 12 : last] + bytes(min(12, last - at))
        struct.pack_into(self._order + "H", self._data, directory.at, len(directory.entries) - 1)

    def _number(self, form: str, at: int) -> int:
        """A number, or 0 outside of the structure."""
        size = struct.calcsize(form)
        if not self._start <= at <= self._end - size:
            return 0
        number: int = struct.unpack_from(self._order + form, self._data, at)[0]
        return number
