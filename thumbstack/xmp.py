"""XMP: properties blanked in place, so that the packet stays as long as it is."""

import re
from itertools import islice

# Whatever its prefix is bound to: exif:GPSLatitude, drone-dji:GpsLongtitude; as an attribute or as an element.
_NAME = re.compile(rb"(?<=[\s<])[\w.-]{1,64}:gps\w{0,64}", re.IGNORECASE)
_ATTRIBUTE = re.compile(rb"""[\w.:-]+\s{0,9}=\s{0,9}(?:"[^"]{0,256}"|'[^']{0,256}')""")
_ELEMENT = re.compile(rb"<([\w.:-]+)(?:\s[^>]{0,256}+|/)?(?:(?<=/)>|>.{0,256}?</\1\s*>)", re.DOTALL)
# A packet has some thirty. Both this and the lengths above bound the work on one that is made to take long.
_MAX_PROPERTIES = 2000
_ORIENTATION = re.compile(rb"""(?<=[\s<])(tiff:Orientation\s*=\s*["']|tiff:Orientation>\s*)[2-8](?=["'<\s])""")


def blank_location(data: bytearray, start: int, end: int) -> bool:
    """Overwrite every GPS property between two offsets with blanks; says whether there was one."""
    found = False
    for name in islice(_NAME.finditer(bytes(data[start:end])), _MAX_PROPERTIES):
        at = start + name.start()
        whole = _ELEMENT.match(data, at - 1, end) or _ATTRIBUTE.match(data, at, end)
        if whole:
            first, last = whole.span()
            # The match holds the buffer, which cannot be written so long.
            del whole
            data[first:last] = b" " * (last - first)
            found = True
    return found


def set_upright(data: bytearray, start: int, end: int) -> bool:
    """Make the orientation 1; says whether it was another."""
    found = [match.end() for match in _ORIENTATION.finditer(data, start, end)]
    for behind in found:
        data[behind - 1 : behind] = b"1"
    return bool(found)
