"""An app's pictures by their age. S3 lists by key only, so the names of all are read: a thousand a call."""

import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import nlargest

from thumbstack.buckets import Buckets
from thumbstack.picture_key import PictureKey, app_prefix

# So long names are remembered for the pages behind the first.
_SECONDS = 60


@dataclass(frozen=True)
class _Names:
    """An unbroken piece of an app's pictures, the oldest first: from what is older than `cursor` downwards."""

    app: str
    read: float
    cursor: PictureKey | None
    pictures: Sequence[PictureKey] = ()
    # Nothing is older than the first.
    whole: bool = False

    def reach(self, cursor: PictureKey, limit: int) -> bool:
        if self.cursor and _age(cursor) > _age(self.cursor):
            return False
        return self.whole or self._end(cursor) >= limit

    def older(self, cursor: PictureKey | None, limit: int) -> list[PictureKey]:
        """The newest first."""
        end = self._end(cursor)
        return list(reversed(self.pictures[max(0, end - limit) : end]))

    def _end(self, cursor: PictureKey | None) -> int:
        return len(self.pictures) if cursor is None else bisect_left(self.pictures, _age(cursor), key=_age)


@dataclass
class Newest:
    """Pages of an app's pictures, the newest first; of one app, the one asked for last, names are remembered.

    The first page is always read anew: what was just uploaded is on it. What comes later is newer than any cursor, and
    what was deleted the caller notices; so the pages behind it may be of names read up to a minute ago.
    """

    buckets: Buckets
    now: Callable[[], float] = time.monotonic
    # So many are remembered, a few megabytes, however large the app is; more than a page.
    most: int = 20_000
    _names: _Names = field(default_factory=lambda: _Names("", float("-inf"), None))

    def page(self, app: str, cursor: PictureKey | None, limit: int) -> list[PictureKey]:
        """So many pictures that are older than the cursor."""
        names = self._names
        known = names.app == app and self.now() - names.read <= _SECONDS
        if not known or cursor is None or not names.reach(cursor, limit):
            names = self._names = self._read(app, cursor)
        return names.older(cursor, limit)

    def _read(self, app: str, cursor: PictureKey | None) -> _Names:
        began = self.now()
        every = self.buckets.originals(app_prefix(app))
        older = (picture for picture in every if cursor is None or _age(picture) < _age(cursor))
        newest = nlargest(self.most, older, key=_age)
        return _Names(app, began, cursor, newest[::-1], whole=len(newest) < self.most)


def _age(picture: PictureKey) -> tuple[int, str, str]:
    """What grows with time; a picture whose name does not tell when it came is as old as can be."""
    return (picture.seconds or 0, picture.file, picture.folder)
