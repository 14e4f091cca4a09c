"""A GIF's blocks."""

_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B


def end(data: bytes, max_frames: int) -> tuple[int, int]:
    """Where the GIF ends, and how many frames it has; counting ends one above `max_frames`."""
    frames = 0
    try:
        at = _behind_color_table(13, data[10])
        while True:
            kind = data[at]
            if kind == _TRAILER:
                return at + 1, frames
            if kind == _IMAGE:
                frames += 1
                if frames > max_frames:
                    return at, frames
                # The descriptor, its own color table, and the smallest code size come before the coded data.
                at = _behind_sub_blocks(data, _behind_color_table(at + 10, data[at + 9]) + 1)
            elif kind == _EXTENSION:
                at = _behind_sub_blocks(data, at + 2)
            else:
                raise ValueError("no block")
    except IndexError:
        raise ValueError("no trailer") from None


def _behind_color_table(at: int, flags: int) -> int:
    return at + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)


def _behind_sub_blocks(data: bytes, at: int) -> int:
    while length := data[at]:
        at += length + 1
    return at + 1
