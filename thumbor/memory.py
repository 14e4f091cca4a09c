"""How much memory the renders of this process may take together; who would take more waits for the others."""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Of the container's gigabyte: the rest is the process itself (80 MB) and originals and results on their way.
_BUDGET = 640 << 20
# Bytes a pixel while a whole picture is decoded, measured: WebP and AVIF keep several copies, others Pillow's own and
# one more.
_DECODING = {"WEBP": 17, "AVIF": 11, "HEIF": 11, "JPEG": 5, "MPO": 5}
_OTHERS_DECODING = 8
# ... and while it is encoded, beside its pixels.
_ENCODING = {".webp": 12, ".avif": 27}
_OTHERS_ENCODING = 6

_free = _BUDGET
_changed = threading.Condition()
_mine = threading.local()


def of_decoding(kind: str | None, pixels: int) -> int:
    """The bytes that decoding takes."""
    return _DECODING.get(kind or "", _OTHERS_DECODING) * pixels


def of_encoding(extension: str, pixels: int) -> int:
    """The bytes that encoding takes."""
    return _ENCODING.get(extension, _OTHERS_ENCODING) * pixels


@contextmanager
def taken(size: int) -> Iterator[None]:
    """Wait until so many bytes are free, or all are; a thread that has some already does not wait for itself."""
    global _free
    if getattr(_mine, "some", False):
        yield
        return
    size = min(size, _BUDGET)
    with _changed:
        _changed.wait_for(lambda: _free >= size)
        _free -= size
    _mine.some = True
    try:
        yield
    finally:
        _mine.some = False
        with _changed:
            _free += size
            _changed.notify_all()


# Of what threads free glibc keeps most, for that thread. Blocks of 8 MB and more (M_MMAP_THRESHOLD) shall come from the
# system and go back at once: those of large pictures, as smaller ones are soon needed again (M_TRIM_THRESHOLD). Two
# arenas share the small ones (M_ARENA_MAX). Other C libraries have no mallopt.
_libc = ctypes.CDLL(None)
if hasattr(_libc, "mallopt"):
    _libc.mallopt(-3, 8 << 20)
    _libc.mallopt(-1, 64 << 20)
    _libc.mallopt(-8, 2)
