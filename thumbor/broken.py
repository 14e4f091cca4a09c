"""The originals that could not be decoded lately: remembered, so that they are refused and not tried each time."""

import time

# A few tries an hour.
_SECONDS = 30 * 60
_MOST = 10_000

# By picture key: the original's ETag, and when it is forgotten. An original that was replaced has another ETag.
_known: dict[str, tuple[str, float]] = {}


def remember(picture: str, etag: str) -> None:
    """From now on, for a while."""
    if len(_known) >= _MOST:
        del _known[next(iter(_known))]
    _known[picture] = etag, time.monotonic() + _SECONDS


def known(picture: str) -> str | None:
    """The ETag of a broken original."""
    etag, until = _known.get(picture, ("", 0.0))
    if until < time.monotonic():
        _known.pop(picture, None)
        return None
    return etag or None
