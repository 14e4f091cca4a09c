"""Notices of deletion: how the other nodes' edges hear that pictures are gone, through the one thing that all share.

A notice is an object in the results bucket, posted before the originals are deleted, so that none can be missing. Who
reads it believes S3 and not the notice: only pictures whose original is really gone are buried, the others are looked
at again while the notice is young. The results bucket's lifecycle rule removes old notices.
"""

import json
import logging
import secrets
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path

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


class Notices:
    """The notices, read and posted by one node."""

    def __init__(self, buckets: Buckets, edge: Edge) -> None:
        self._buckets = buckets
        self._edge = edge
        # Beside the tombstones: who has these has read up to here.
        self._read_up_to = Path(edge.tombstones) / "read-up-to"

    def post(self, prefix: str, pictures: Collection[object], moved_to: PictureKey | None = None) -> None:
        """Tell all nodes that these, all under `prefix`, are being deleted; raises StorageUnavailable.

        `moved_to` is the picture that stands for them from now on, where that is why.
        """
        if pictures:
            name = f"{PREFIX}{int(time.time() * 1000):013d}-{secrets.token_hex(4)}"
            moved = {"moved_to": str(moved_to)} if moved_to else {}
            told = {"prefix": prefix, "pictures": sorted(map(str, pictures)), **moved}
            self._buckets.put_notice(name, json.dumps(told))

    def about(self, key: str, since: float) -> Iterator[PictureKey | None]:
        """For each delete of it that was told since then (seconds since 1970) where it moved to; None: nowhere."""
        for name in self._buckets.notice_names(f"{PREFIX}{max(0, int(since * 1000)):013d}"):
            notice = json.loads(self._buckets.notice(name))
            if key in notice["pictures"]:
                yield PictureKey.parse(notice.get("moved_to", ""))

    def read(self) -> int:
        """Bury what others have deleted since the last time; says how many pictures. Raises StorageUnavailable."""
        try:
            seen = int(self._read_up_to.read_text())
        except (FileNotFoundError, ValueError):
            seen = 0
        buried = 0
        for name in self._buckets.notice_names(f"{PREFIX}{max(0, seen - _OVERLAP_SECONDS * 1000):013d}"):
            notice = json.loads(self._buckets.notice(name))
            pictures = {picture for key in notice["pictures"] if (picture := PictureKey.parse(key))}
            unburied = {picture for picture in pictures if not self._edge.is_buried(picture)}
            if unburied:
                gone = unburied - set(self._buckets.originals(notice["prefix"]))
                self._edge.bury(gone)
                buried += len(gone)
            seen = max(seen, int(name.removeprefix(PREFIX).partition("-")[0]))
        self._read_up_to.parent.mkdir(parents=True, exist_ok=True)
        self._read_up_to.write_text(str(seen))
        return buried

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
