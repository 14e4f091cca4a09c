"""Deleted originals, brought back from the bucket's old versions."""

import hashlib
import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

import click

from curator.age import Age
from curator.flags import Flags, flags
from curator.room import Room
from curator.walk import whole_prefix
from curator.work import Outcome, Work
from thumbstack.buckets import Deleted
from thumbstack.picture_key import PictureKey
from thumbstack.refusal import NoSuchPicture, StorageUnavailable

_EPILOG = """\b
Examples:
  curator restore --app shop --since 2h        what was deleted, newest version of each; restores nothing
  curator restore o/shop/cup/1763600000_0123456789abcdef0123.jpg
  curator restore --app shop --since 2h --json | jq -r .key | xargs curator restore

\b
Old versions are kept for 30 days by the bucket's own rule. On AWS it takes credentials of yours: no instance's role may
read old versions (docs/operations.md).
"""


@click.command(epilog=_EPILOG, short_help="Bring deleted pictures back.")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--app", metavar="NAME", help="Without KEY: list what this app has deleted.")
@click.option("--prefix", default="", metavar="TEXT", help="... and only keys that go on so.")
@click.option("--since", type=Age(), metavar="AGE", help="... and only what was deleted since then: 30m, 2h, 7d.")
@flags("jobs", "limit", "verbose", "dry_run", "json")
def restore(flags: Flags, keys: tuple[str, ...], app: str | None, prefix: str, since: timedelta | None) -> None:
    """Bring deleted pictures back, each by its KEY: their old addresses work again, on all nodes within a minute.

    What is there is never overwritten. Without a KEY it lists what can be brought back.
    """
    if keys and (app or prefix or since):
        raise click.UsageError("Give KEYs to restore them, or --app, --prefix and --since to list; not both.")
    room = Room.open()
    if not keys:
        _list(room, flags, whole_prefix(room.app(app) if app else None, prefix), since)
        return
    pictures = [_parsed(key) for key in keys]
    work = Work(flags)
    restoring = Restoring(room, work, dry_run=flags.dry_run)
    work.run(islice(pictures, flags.limit), restoring.do, expected=pictures[: flags.limit])
    work.finish()


def _parsed(key: str) -> PictureKey:
    picture = PictureKey.parse(key)
    if picture is None:
        raise click.UsageError(f"{key} is no picture's key: o/<app>/<folder>/<file>, as `curator restore` lists them.")
    return picture


def _list(room: Room, flags: Flags, prefix: str, since: timedelta | None) -> None:
    first = datetime.now(UTC) - since if since else None
    found = (one for one in room.buckets.deleted(prefix) if first is None or one.when >= first)
    count = 0
    for one in islice(found, flags.limit):
        count += 1
        if flags.json:
            click.echo(json.dumps({"key": one.key, "bytes": one.bytes, "deleted": one.when.isoformat()}))
        else:
            click.echo(f"{one.when:%Y-%m-%d %H:%M:%S}  {one.bytes:>10}  {one.key}")
    click.echo(f"can be restored: {count}", err=True)


@dataclass(frozen=True)
class Restoring:
    """One run."""

    room: Room
    work: Work
    dry_run: bool

    def do(self, picture: PictureKey) -> Outcome:
        """Put an original back where it was, and have all nodes show it."""
        there = self.room.buckets.has(picture)
        if not there:
            last = next((one for one in self.room.buckets.deleted(str(picture)) if one.key == str(picture)), None)
            if last is None:
                raise NoSuchPicture(
                    "No old version is kept of this picture: it was deleted too long ago, or never was."
                )
            if self.dry_run:
                return Outcome.PROCESSED
            there = not self._put(last)
        elif self.dry_run:
            return Outcome.SKIPPED
        # Also where it was there already: a run before this one may have been killed in between.
        self.room.notices.post_restored(picture)
        if not self.room.notices.show_again(picture):
            raise NoSuchPicture("It was deleted again while it was restored.")
        return Outcome.SKIPPED if there else Outcome.PROCESSED

    def _put(self, last: Deleted) -> bool:
        """Store the old bytes where nothing is; False where something has come there meanwhile."""
        buckets = self.room.buckets
        body, known = buckets.read_version(last.key, last.version)
        digest = hashlib.sha256(body).hexdigest()
        if known.metadata.get("sha256", digest) != digest:
            raise StorageUnavailable("The old version is not what was stored: its checksum is another one.")
        return buckets.put_if(last.key, io.BytesIO(body), digest, known.content_type, dict(known.metadata))
