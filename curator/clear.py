"""All that can be made again, removed: only originals are left."""

import json
import sys
from collections.abc import Iterable, Iterator

import click

from curator.flags import Flags, flags
from curator.room import Room
from curator.walk import originals, whole_prefix
from thumbstack.picture_key import PictureKey

_EPILOG = """\b
Examples:
  curator clear                  asks first
  curator clear --yes --app shop
  curator clear -k o/shop/cup/1763600000_0123456789abcdef0123.jpg

\b
The next request for each variant renders it again: where there are many visitors that is work for a while.
To have only the presets made anew, with the old ones served meanwhile: curator resize_images
"""


@click.command(epilog=_EPILOG, short_help="Remove all results and variants; originals stay.")
@click.option("--app", metavar="NAME", help="This app only.")
@click.option(
    "--prefix", default="", metavar="TEXT", help="Only keys that go on so after the app, or begin so: o/shop/cup"
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@flags("key", "dry_run", "json")
def clear(flags: Flags, app: str | None, prefix: str, yes: bool) -> None:
    """Remove all results, the website's variants, and what nodes have cached of both.

    Originals stay, and notices of deletions. Nothing is lost: variants are made again when they are asked for.
    """
    room = Room.open()
    app = room.app(app) if app or (flags.key and not PictureKey.parse(flags.key)) else None
    if flags.key:
        prefixes = [f"{picture}/" for picture in originals(room.buckets, app=app, key=flags.key)]
    else:
        prefixes = [whole_prefix(app, prefix)]
    if not yes and not flags.dry_run:
        _ask(prefixes)
    counted = {"results": 0, "website": 0, "edge": 0}
    for one in prefixes:
        _clear(room, one, counted, dry_run=flags.dry_run)
    if flags.json:
        click.echo(json.dumps({**counted, "dry_run": flags.dry_run}))
        return
    told = ", ".join(f"{name}: {number}" for name, number in counted.items())
    click.echo(f"{'dry run, nothing was removed: ' if flags.dry_run else 'removed: '}{told}")


def _ask(prefixes: Iterable[str]) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("Nobody can be asked here: say --yes, or --dry-run to see how much it is.")
    click.confirm(f"Remove all variants of {', '.join(prefixes)}? Originals stay.", abort=True, err=True)


def _clear(room: Room, prefix: str, counted: dict[str, int], *, dry_run: bool) -> None:
    def taken(keys: Iterable[str], name: str) -> Iterator[str]:
        for key in keys:
            counted[name] += 1
            yield key

    results = taken(room.buckets.result_keys(prefix), "results")
    variants = taken(room.buckets.variant_keys(prefix), "website")
    if dry_run:
        for _ in (*results, *variants):
            pass
        return
    try:
        room.buckets.delete_results(results)
        room.buckets.delete_variants(variants)
    finally:
        # After the results, or the edges would take them from there again; and also where this was broken off.
        begin = prefix.rstrip("/") if PictureKey.parse(prefix.rstrip("/")) else prefix
        counted["edge"] += room.edge.clear(begin)
        room.notices.post_cleared(begin)
