"""An app's pictures by their age. S3 lists by key only, so the names of all are read: a thousand a call."""

import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from thumbstack.buckets import Buckets
from thumbstack.picture_key import PictureKey, app_prefix

# So long the names are remembered for the pages behind the first.
_SECONDS = 60


@dataclass(frozen=True)
class _Names:
    app: str
    read: float
    # The oldest first.
    pictures: Sequence[PictureKey] = ()


@dataclass
class Newest:
    """Pages of an app's pictures, the newest first; of one app, the one asked for last, the names are remembered.

    The first page is always read anew: what was just uploaded is on it. What comes later is newer than any cursor, and
    what was deleted the caller notices; so the pages behind it may be of names read up to a minute ago.
    """

    buckets: Buckets
    now: Callable[[], float] = time.monotonic
    _names: _Names = field(default_factory=lambda: _Names("", float("-inf")))

    def page(self, app: str, cursor: PictureKey | None, limit: int) -> list[PictureKey]:
        """So many pictures that are older than the cursor."""
        names = self._names
        if cursor is None or names.app != app or self.now() - names.read > _SECONDS:
            read = self.now()
            names = _Names(app, read, sorted(self.buckets.originals(app_prefix(app)), key=_age))
            self._names = names
        end = len(names.pictures) if cursor is None else bisect_left(names.pictures, _age(cursor), key=_age)
        return list(reversed(names.pictures[max(0, end - limit) : end]))


def _age(picture: PictureKey) -> tuple[int, str, str]:
    """What grows with time; a picture whose name does not tell when it came is as old as can be."""
    return (picture.seconds or 0, picture.file, picture.folder)
