"""XMP: properties blanked in place, so that the packet stays as long as it is."""

import re

# Whatever its prefix is bound to: exif:GPSLatitude, drone-dji:GpsLongtitude; as an attribute or as an element. The
# lengths are bounded, or a packet of openings that nothing closes would be read again for each.
_LOCATION = re.compile(
    rb"""(?<=\s)[\w.-]{1,64}:gps\w{0,64}\s{0,9}=\s{0,9}(?:"[^"]{0,256}"|'[^']{0,256}')"""
    rb"""|<([\w.-]{1,64}:gps\w{0,64})(?:\s[^>]{0,256})?(?:/>|>.{0,256}?</\1\s*>)""",
    re.IGNORECASE | re.DOTALL,
)
_ORIENTATION = re.compile(rb"""(?<=[\s<])(tiff:Orientation\s*=\s*["']|tiff:Orientation>\s*)[2-8](?=["'<\s])""")


def blank_location(data: bytearray, start: int, end: int) -> bool:
    """Overwrite every GPS property between two offsets with blanks; says whether there was one."""
    found = [match.span() for match in _LOCATION.finditer(data, start, end)]
    for first, last in found:
        data[first:last] = b" " * (last - first)
    return bool(found)


def set_upright(data: bytearray, start: int, end: int) -> bool:
    """Make the orientation 1; says whether it was another."""
    found = [match.end() for match in _ORIENTATION.finditer(data, start, end)]
    for behind in found:
        data[behind - 1 : behind] = b"1"
    return bool(found)
