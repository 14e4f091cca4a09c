"""How much each app has: pictures, bytes, and what was rendered of them."""

import json
from dataclasses import asdict, dataclass

import click
from rich import box
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from curator.flags import Flags, flags
from curator.room import Room
from curator.walk import whole_prefix
from thumbstack.buckets import Buckets
from thumbstack.object_key import ObjectKey
from thumbstack.picture_key import PictureKey, incoming_prefix

_EPILOG = """\b
Examples:
  curator usage                  a table of all apps
  curator usage --app shop --json
"""


@dataclass
class Usage:
    """What an app has."""

    pictures: int = 0
    bytes: int = 0
    # Posted straight to S3 under other names, and not completed.
    other_files: int = 0
    other_bytes: int = 0
    # Uploaded and not yet published.
    waiting: int = 0
    waiting_bytes: int = 0
    results: int = 0
    results_bytes: int = 0


@click.command(epilog=_EPILOG, short_help="Count pictures, bytes and results, app by app.")
@click.option("--app", metavar="NAME", help="This app only.")
@flags("json")
def usage(flags: Flags, app: str | None) -> None:
    """Count pictures, their bytes and their results, app by app.

    Both buckets are listed whole, a page at a time: a thousand objects a call.
    """
    room = Room.open()
    counted = count(room.buckets, room.app(app) if app else None)
    if flags.json:
        click.echo(json.dumps({name: asdict(one) for name, one in counted.items()}))
        return
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("app", no_wrap=True)
    for kind in ("pictures", "other files", "waiting", "results"):
        table.add_column(kind, justify="right", no_wrap=True)
    for name, one in counted.items():
        numbers = list(asdict(one).values())
        cells = (f"{number:,}  {decimal(size)}" for number, size in zip(numbers[::2], numbers[1::2], strict=True))
        table.add_row(name, *cells)
    # As wide as it comes where it goes to a file.
    Console(width=None if Console().is_terminal else 200).print(table)


def count(buckets: Buckets, app: str | None = None) -> dict[str, Usage]:
    """What each app has, or one; memory only for the apps' names."""
    counted: dict[str, Usage] = {app: Usage()} if app else {}
    prefix = whole_prefix(app)
    for listed in buckets.files(prefix):
        if found := ObjectKey.parse(listed.key):
            one = counted.setdefault(found.app, Usage())
            if PictureKey.parse(listed.key):
                one.pictures += 1
                one.bytes += listed.bytes
            else:
                one.other_files += 1
                one.other_bytes += listed.bytes
    for listed in buckets.files(incoming_prefix(prefix)):
        if found := ObjectKey.parse(listed.key):
            one = counted.setdefault(found.app, Usage())
            one.waiting += 1
            one.waiting_bytes += listed.bytes
    for listed in buckets.result_files(prefix):
        one = counted.setdefault(listed.key.split("/")[1], Usage())
        one.results += 1
        one.results_bytes += listed.bytes
    return dict(sorted(counted.items()))
