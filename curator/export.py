"""All originals of an app, taken elsewhere: into a folder, or a tar."""

import hashlib
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

import click

from curator.flags import Flags, flags
from curator.room import Room
from curator.targets import FolderTarget, Target, TarTarget
from curator.walk import originals
from curator.work import Outcome, Work
from thumbstack.buckets import Buckets
from thumbstack.picture_key import PictureKey
from thumbstack.refusal import NoRoom, Refused

_SPOOLED_FROM_BYTES = 500_000
_EPILOG = """\b
Examples:
  curator export --app shop --folder /backup/shop       again: only what is not there yet
  curator export --app shop --tar shop.tar
  docker compose exec -T curator export --app shop --tar - > shop.tar
  docker compose run --rm -v /backup:/backup curator export --app shop --folder /backup/shop

\b
By key a picture is <folder>/o/shop/cup/1763600000_0123456789abcdef0123.jpg, and migrate brings it back under that key.
By client it is <folder>/cup/1763600000_0123456789abcdef0123/My Cup.JPG, as it was sent.
"""


@click.command(epilog=_EPILOG, short_help="Take all originals of an app elsewhere.")
@click.option("--app", metavar="NAME", help="Whose pictures; needless where there is only one app.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="Into this folder.")
@click.option(
    "--tar",
    type=click.Path(dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Into a tar of this name; - is the standard output.",
)
@click.option(
    "--names",
    type=click.Choice(["key", "client"]),
    default="key",
    show_default=True,
    help="Name them by their keys, or as their clients did.",
)
@click.option("--prefix", default="", metavar="TEXT", help="Only keys that go on so after the app.")
@flags("force", "jobs", "key", "limit", "progress", "verbose", "dry_run", "json")
def export(flags: Flags, app: str | None, folder: Path | None, tar: str | None, names: str, prefix: str) -> None:
    """Take all originals of an app elsewhere, byte for byte.

    Each is compared with its checksum on the way. What is in the folder already is passed over; --force writes it
    again. A tar is begun anew each time. What waits to be published is not taken, nor what is no picture.
    """
    if (folder is None) == (tar is None):
        raise click.UsageError("Say where to: --folder or --tar, one of them.")
    if tar == "-" and sys.stdout.isatty():
        raise click.UsageError("A tar is nothing for a terminal to show: send it into a file or a pipe.")
    room = Room.open()
    chosen = room.app(app)
    work = Work(flags, silent=tar == "-")
    by_client = names == "client"
    with _target(folder, tar, work, by_client=by_client, dry_run=flags.dry_run) as target:

        def do(picture: PictureKey) -> Outcome:
            if target and not flags.force and target.has(picture):
                return Outcome.SKIPPED
            if target:
                _take(room.buckets, picture, target)
            return Outcome.PROCESSED

        walk = partial(originals, room.buckets, app=chosen, prefix=prefix, key=flags.key, limit=flags.limit)
        work.run(walk(), do, expected=walk())
    work.finish()


@contextmanager
def _target(
    folder: Path | None, tar: str | None, work: Work, *, by_client: bool, dry_run: bool
) -> Iterator[Target | None]:
    """Where to; None for a dry run. A tar has its name only when it is whole."""
    if dry_run:
        yield None
    elif folder:
        into = FolderTarget(folder, by_client=by_client)
        try:
            yield into
        finally:
            into.close()
    elif tar == "-":
        yield from _tar(sys.stdout.buffer, work, by_client=by_client)
    else:
        part = Path(f"{tar}.part")
        try:
            file = part.open("wb")
        except OSError as error:
            raise click.UsageError(f"--tar {tar}: {error.strerror}") from error
        yield from _tar(file, work, by_client=by_client)
        if work.tally.ended:
            click.echo(f"not whole: {part}", err=True)
        else:
            part.replace(str(tar))


def _tar(file: BinaryIO, work: Work, *, by_client: bool) -> Iterator[Target]:
    written = TarTarget(file, by_client=by_client)
    try:
        yield written
        written.close()
    except NoRoom as refusal:
        work.end(refusal.sentence)
    finally:
        with suppress(OSError):
            # What it could not write it would try again, and at the process's end once more.
            file.close()


def _take(buckets: Buckets, picture: PictureKey, target: Target) -> None:
    with tempfile.SpooledTemporaryFile(_SPOOLED_FROM_BYTES) as spool:
        stored = buckets.stored(str(picture))
        try:
            is_there = buckets.fetch(str(picture), stored.etag, cast(BinaryIO, spool))
        except OSError as error:
            raise NoRoom(f"There is no room to fetch it to: {error.strerror}. Make some, or set TMPDIR.") from error
        if not is_there:
            raise Refused("It was deleted meanwhile.")
        told, found = stored.metadata.get("sha256"), hashlib.file_digest(spool, "sha256").hexdigest()
        if told and told != found:
            raise Refused("Its bytes are not those that its checksum is of: look at it with verify.")
        spool.seek(0)
        target.put(picture, stored.metadata, cast(BinaryIO, spool))
