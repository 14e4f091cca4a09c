"""Notices: how the other nodes' edges hear what became of pictures, through the one thing that all share.

A notice is an object in the results bucket. Of a deletion it is posted before the originals are deleted, so that none
can be missing. Who reads it believes S3 and not the notice: only pictures whose original is really gone are buried, the
others are looked at again while the notice is young; and only a picture whose original is there again loses its
tombstone. Other notices are of variants that were made anew, or cleared: what is cached of them is forgotten, which is
no deletion. The results bucket's lifecycle rule removes old notices.
"""

import json
import logging
import secrets
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from thumbstack.buckets import Buckets
from thumbstack.edge import Edge
from thumbstack.picture_key import PictureKey
from thumbstack.refusal import Refused

log = logging.getLogger("thumbstack")

PREFIX = "notices/"
# The stated bound is a minute: a poll, a listing, and some room.
POLL_SECONDS = 20
# Clocks of nodes differ, and a delete of many pictures takes a while after its notice.
_OVERLAP_SECONDS = 600
# A run that makes pictures anew tells of itself several times a minute, unless it was killed.
_SILENCE_SECONDS = 120


class Notices:
    """The notices, read and posted by one node."""

    def __init__(self, buckets: Buckets, edge: Edge) -> None:
        self._buckets = buckets
        self._edge = edge
        # Beside the tombstones: who has these has read up to here.
        self._read_up_to = Path(edge.tombstones) / "read-up-to"
        # The notices of what is to be forgotten, among those that are read again, that were obeyed: once is enough.
        self._obeyed: set[str] = set()

    def post(self, prefix: str, pictures: Collection[object], moved_to: PictureKey | None = None) -> None:
        """Tell all nodes that these, all under `prefix`, are being deleted; raises StorageUnavailable.

        `moved_to` is the picture that stands for them from now on, where that is why.
        """
        if pictures:
            moved = {"moved_to": str(moved_to)} if moved_to else {}
            self._put(prefix=prefix, pictures=sorted(map(str, pictures)), **moved)

    def post_restored(self, picture: PictureKey) -> None:
        """Tell all nodes that the original of a deleted picture is there again."""
        self._put(pictures=[], restored=str(picture))

    def post_renewed(
        self, pictures: Collection[PictureKey], options: Collection[str], run: str, coming: Collection[PictureKey] = ()
    ) -> None:
        """Tell all nodes that variants of these options were made anew of these pictures.

        `coming` are those that the run goes on with. Where it is never heard of again, nodes take it that it was killed
        in the middle of these; so a run's last notice has none.
        """
        told = {"renewed": sorted(map(str, pictures)), "coming": sorted(map(str, coming))}
        self._put(pictures=[], **told, options=sorted(options), run=run)

    def post_cleared(self, prefix: str, *, versions_only: bool = False) -> None:
        """Tell all nodes to forget the variants of all pictures whose keys begin so (Edge.clear)."""
        self._put(pictures=[], cleared=prefix, versions_only=versions_only)

    def _put(self, **told: object) -> None:
        # Nodes of an earlier version read `pictures` of every notice, and nothing of what they do not know.
        name = f"{PREFIX}{int(time.time() * 1000):013d}-{secrets.token_hex(4)}"
        self._buckets.put_notice(name, json.dumps(told))

    def show_again(self, picture: PictureKey) -> bool:
        """Take the tombstone away from a picture whose original is there; says whether it is.

        A delete that goes on meanwhile removes the original before it buries: what is not there any more a moment later
        is buried once more.
        """
        if not self._buckets.has(picture):
            return False
        self._edge.unbury(picture)
        if not self._buckets.has(picture):
            self._edge.bury([picture])
            return False
        return True

    def about(self, key: str, since: float) -> Iterator[PictureKey | None]:
        """For each delete of it that was told since then (seconds since 1970) where it moved to; None: nowhere."""
        for name in self._buckets.notice_names(f"{PREFIX}{max(0, int(since * 1000)):013d}"):
            notice = json.loads(self._buckets.notice(name))
            if key in notice["pictures"]:
                yield PictureKey.parse(notice.get("moved_to", ""))

    def read(self, now: float | None = None) -> int:
        """Bury what others have deleted since the last time; says how many pictures. Raises StorageUnavailable."""
        try:
            seen = int(self._read_up_to.read_text())
        except (FileNotFoundError, ValueError):
            seen = 0
        # A node that has read nothing yet has nothing cached.
        is_new, buried, since = not seen, 0, f"{PREFIX}{max(0, seen - _OVERLAP_SECONDS * 1000):013d}"
        self._obeyed = {name for name in self._obeyed if name > since}
        # The last notice of each run.
        runs: dict[str, tuple[str, Mapping[str, Any]]] = {}
        for name in self._buckets.notice_names(since):
            notice = json.loads(self._buckets.notice(name))
            restored = PictureKey.parse(notice.get("restored", ""))
            if restored and self._edge.is_buried(restored):
                self.show_again(restored)
            if name not in self._obeyed and not is_new:
                self._forget(notice)
            if "renewed" in notice or "cleared" in notice:
                self._obeyed.add(name)
            if "run" in notice:
                runs[notice["run"]] = name, notice
            pictures = {picture for key in notice["pictures"] if (picture := PictureKey.parse(key))}
            unburied = {picture for picture in pictures if not self._edge.is_buried(picture)}
            if unburied:
                gone = unburied - set(self._buckets.originals(notice["prefix"]))
                self._edge.bury(gone)
                buried += len(gone)
            seen = max(seen, _posted(name))
        self._end_killed(runs, time.time() if now is None else now)
        self._read_up_to.parent.mkdir(parents=True, exist_ok=True)
        self._read_up_to.write_text(str(seen))
        return buried

    def _end_killed(self, runs: Mapping[str, tuple[str, Mapping[str, Any]]], now: float) -> None:
        """Forget what those would have told that have been silent for too long in the middle of their work."""
        for name, notice in runs.values():
            mark = f"{name}/ended"
            if notice["coming"] and mark not in self._obeyed and now - _posted(name) / 1000 > _SILENCE_SECONDS:
                self._forget({"renewed": notice["coming"], "options": notice["options"]})
                # Whatever it has made anew since it began, under addresses that only a cache itself knows.
                self._edge.clear("o/", versions_only=True)
                self._obeyed.add(mark)

    def _forget(self, notice: Mapping[str, Any]) -> None:
        for picture in filter(None, map(PictureKey.parse, notice.get("renewed", ()))):
            self._edge.forget(picture, notice["options"], original=False)
        if "cleared" in notice:
            self._edge.clear(notice["cleared"], versions_only=notice["versions_only"])

    def follow(self, every_seconds: float = POLL_SECONDS) -> None:
        """Go on reading, in a thread that ends with the process."""

        def loop() -> None:
            while True:
                try:
                    self.read()
                    self._edge.sweep()
                except Refused as refusal:
                    log.warning("notices not read: %r", refusal.__cause__)
                except Exception:
                    log.exception("notices not read")
                time.sleep(every_seconds)

        threading.Thread(target=loop, name="notices", daemon=True).start()


def _posted(name: str) -> int:
    """When a notice was posted, in milliseconds since 1970."""
    return int(name.removeprefix(PREFIX).partition("-")[0])
