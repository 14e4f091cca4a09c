"""The edge cache of this node, seen from behind: how a picture that was deleted leaves it at once."""

import fcntl
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

from thumbstack.picture_key import PictureKey
from thumbstack.signing import readable_path, signed_path

# What nginx folds the Accept header to; empty: neither.
_FORMATS = ("", "webp", "avif")
# nginx writes the key of an entry behind a head of some hundred bytes; no address is longer than 8 kB.
_HEAD_BYTES = 9216
_KEY = re.compile(
    rb"\nKEY: [a-z]*\|"
    rb"(?:/website/m/(?P<variant>o/[^/|]+/[^/|]+/[^/|]+)/"
    rb"|(?P<made>/.+)?/(?P<picture>o/[^/|]+/[^/|]+/[^/|]+)\|(?P<version>[^\n]*))"
)
SWEEP_SECONDS = 600
# A render that was under way during a delete has arrived in the cache by then.
_SETTLED_SECONDS = 120


@dataclass(frozen=True)
class Edge:
    """nginx's cache folder (``levels=1:2``) and the tombstones that it looks at before it answers from the cache.

    A tombstone is an empty file named like the picture key. It makes the deletion hold for every spelling of every
    URL, and for a render that was under way and arrives in the cache later. The entries themselves are unlinked for the
    disk's sake, as far as the results tell which URLs there were.
    """

    cache: Path
    tombstones: Path
    security_keys: Sequence[str]
    presets: Mapping[str, str]

    def bury(self, pictures: Iterable[PictureKey]) -> None:
        """From here on no URL of these pictures is answered with a picture by this node."""
        for picture in pictures:
            stone = self.tombstones / str(picture)
            stone.parent.mkdir(parents=True, exist_ok=True)
            stone.touch()
            (self.tombstones / "buried").touch()

    def is_buried(self, picture: PictureKey) -> bool:
        """Whether a picture has its tombstone here."""
        return (self.tombstones / str(picture)).exists()

    def unbury(self, picture: PictureKey) -> None:
        """Let the URLs of a picture be answered again, should its original be there."""
        (self.tombstones / str(picture)).unlink(missing_ok=True)

    def forget(
        self,
        picture: PictureKey,
        asked: Iterable[str],
        variants: Iterable[str] = (),
        *,
        original: bool = True,
        dry_run: bool = False,
    ) -> int:
        """Unlink what is cached of a picture; says how many entries there were. A dry run only counts.

        That is the `original`, the variants of the options that were `asked`, and those of the website bucket. It is no
        delete: who asks next gets what the storage has then. nginx may answer from an entry that it has open for one
        more second (nginx/snippets/cache.conf).
        """
        uris = {f"/website/{variant}" for variant in variants} | ({f"/{picture}"} if original else set())
        for options in asked:
            uris.update(signed_path(picture, options, key) for key in self.security_keys)
            uris.add(readable_path(picture, options))
            uris.update(readable_path(picture, name) for name, named in self.presets.items() if named == options)
        entries = [self._entry(f"{format_}|{uri}|") for format_, uri in product(_FORMATS, uris)]
        if dry_run:
            return sum(entry.exists() for entry in entries)
        return sum(map(_unlink, entries))

    def clear(self, prefix: str, *, versions_only: bool = False) -> int:
        """Unlink the variants of all pictures whose keys begin so, under any address; says how many entries there were.

        With `versions_only` those under addresses with a ``?v=``, of which `forget` cannot know. It reads the key of
        every entry: 100 000 take 2.5 s of a processor.
        """
        begin = prefix.encode()

        def is_meant(key: re.Match[bytes]) -> bool:
            is_variant = key["variant"] or key["made"]
            picture = key["variant"] or key["picture"]
            return bool(is_variant and picture.startswith(begin) and (key["version"] or not versions_only))

        return self._unlink_where(is_meant)

    def sweep(self, every_seconds: float = SWEEP_SECONDS) -> int:
        """Unlink whatever the cache holds of buried pictures, under any address; says how many entries that were.

        Nobody is served them any more. `forget` cannot know other spellings and versions, nor what arrived after it,
        nor anything where another node has deleted. Does nothing where nothing was buried since, or it was just done,
        by whichever process.
        """
        swept, began = self.tombstones / "swept", time.time()
        with suppress(FileNotFoundError, BlockingIOError):
            buried = (self.tombstones / "buried").stat().st_mtime
            done = swept.stat().st_mtime if swept.exists() else 0.0
            if began - done < every_seconds or buried + _SETTLED_SECONDS < done:
                return 0
            with swept.open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # What is buried meanwhile is looked at next time.
                os.utime(swept, (began, began))
                return self._sweep()
        return 0

    def _sweep(self) -> int:
        @cache
        def is_buried(key: bytes) -> bool:
            return (self.tombstones / key.decode(errors="replace")).is_file()

        return self._unlink_where(lambda key: is_buried(key["variant"] or key["picture"]))

    def _unlink_where(self, is_meant: Callable[[re.Match[bytes]], bool]) -> int:
        removed = 0
        for folder, _, files in os.walk(self.cache):
            for entry in (Path(folder, name) for name in files):
                with suppress(OSError):
                    with entry.open("rb") as file:
                        match = _KEY.search(file.read(_HEAD_BYTES))
                    if match and is_meant(match):
                        removed += _unlink(entry)
        return removed

    def _entry(self, cache_key: str) -> Path:
        """The file of an entry: nginx names it by the MD5 of the cache key, and takes its absence for a miss."""
        name = hashlib.md5(cache_key.encode(), usedforsecurity=False).hexdigest()
        return self.cache / name[-1] / name[-3:-1] / name


def _unlink(entry: Path) -> bool:
    try:
        entry.unlink()
    except FileNotFoundError:
        return False
    return True
