"""What waits to be published and never was."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import click

from curator.age import Age
from curator.flags import Flags, flags
from curator.room import Room
from curator.walk import whole_prefix
from thumbstack.buckets import Listed
from thumbstack.picture_key import incoming_prefix

_EPILOG = """\b
Examples:
  curator clean --older-than 2h
  curator clean --older-than 1d --app shop --dry-run -v

\b
The bucket's own rule removes what has waited for a day; this is for storages without such rules, and for sooner.
"""


@click.command(epilog=_EPILOG, short_help="Delete uploads that were never published.")
@click.option(
    "--older-than",
    type=Age(),
    default="1d",
    show_default=True,
    metavar="AGE",
    help="As 30m, 2h or 7d: what came before.",
)
@click.option("--app", metavar="NAME", help="This app only.")
@flags("limit", "verbose", "dry_run", "json")
def clean(flags: Flags, older_than: timedelta, app: str | None) -> None:
    """Delete uploads that were held, or posted with a ticket, and not published since."""
    room = Room.open()
    prefix = incoming_prefix(whole_prefix(room.app(app) if app else None))
    counted = Counted()
    due = counted.through(room.buckets.files(prefix), datetime.now(UTC) - older_than, flags)
    if flags.dry_run:
        for _ in due:
            pass
    else:
        room.buckets.delete_pictures(due)
    if flags.json:
        click.echo(json.dumps({"deleted": counted.files, "bytes": counted.bytes, "dry_run": flags.dry_run}))
        return
    click.echo(f"{'dry run, nothing was deleted: ' if flags.dry_run else 'deleted: '}{counted.files}")


class Counted:
    """How many went by."""

    def __init__(self) -> None:
        self.files = self.bytes = 0

    def through(self, files: Iterator[Listed], before: datetime, flags: Flags) -> Iterator[str]:
        """The keys of what came before that; counted as they are taken."""
        for file in files:
            if flags.limit is not None and self.files >= flags.limit:
                return
            if file.modified < before:
                self.files += 1
                self.bytes += file.bytes
                if flags.verbose:
                    click.echo(file.key, err=flags.json)
                yield file.key
