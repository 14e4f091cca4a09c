"""The command that brings pictures here from elsewhere, and where from."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import click
from click.core import ParameterSource

from curator.addresses import AddressSource
from curator.flags import Flags, flags
from curator.key_list import KeyList
from curator.migration import Migration
from curator.room import Room
from curator.sources import BucketSource, FolderSource, Found, Source, shown
from curator.work import Work
from thumbstack.buckets import s3_client
from thumbstack.refusal import NoSuchPicture

# What c2corg's backend put beside its originals.
_VARIANTS = r"\d+_\d+(BI|MI|SI)\.\w+"
_EPILOG = """\b
Examples:
  export EXO_ACCESS_KEY_ID=... EXO_SECRET_KEY=...
  curator migrate --app demo --source-bucket old --source-endpoint https://sos-ch-gva-2.exo.io --source-keys EXO
  V5_BUCKET=old V5_ENDPOINT=https://... V5_PREFIX=EXO curator migrate -v
  curator migrate --app demo --source-folder /backup/photos --map names.csv
  curator migrate --app demo --source-list addresses.txt --no-render
  curator migrate --app demo --source-folder photos --dry-run -v -l 10

\b
A picture is found under the name of its file: GET /?name=photo for 2016/photo.jpg. A file that is called like
1476550000_1234567890.jpg keeps that name: POST /delete and the like take it as it is. Where several folders have
files of one name, --path-names tells them apart, and --map writes which key stands for what.
"""


@click.command(epilog=_EPILOG, short_help="Bring pictures here from a bucket, a folder or addresses.")
@click.option("--app", metavar="NAME", help="The app to bring them to; needless where there is only one.")
@click.option("--source-bucket", metavar="NAME", envvar="V5_BUCKET", show_envvar=True, help="From this bucket.")
@click.option("--source-endpoint", metavar="URL", envvar="V5_ENDPOINT", show_envvar=True, help="Its S3; none: AWS.")
@click.option("--source-region", metavar="NAME", help="Its region.  [<KEYS>_DEFAULT_REGION; default: us-east-1]")
@click.option(
    "--source-keys",
    metavar="KEYS",
    envvar="V5_PREFIX",
    show_envvar=True,
    default="V5",
    show_default=True,
    help="Where its credentials are: in the variables <KEYS>_ACCESS_KEY_ID and <KEYS>_SECRET_KEY.",
)
@click.option(
    "--source-folder", type=click.Path(exists=True, file_okay=False, path_type=Path), help="From this folder."
)
@click.option(
    "--source-list",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="From the http addresses in this file, one a line; after a tab, the name to store it under.",
)
@click.option("--allow-private", is_flag=True, help="Let addresses of the list lead into private networks.")
@click.option("--prefix", default="", metavar="TEXT", help="Only what begins so in the source.")
@click.option("--match", metavar="REGEX", help="Only files of names like this, from end to end.")
@click.option(
    "--leave",
    metavar="REGEX",
    default=_VARIANTS,
    show_default=True,
    help="Not the files of names like this.",
)
@click.option("--path-names", is_flag=True, help="Name 2016/photo.jpg 2016-photo.jpg, and not photo.jpg.")
@click.option(
    "--map", "map_file", type=click.Path(dir_okay=False, path_type=Path), help="Write which key stands for what: CSV."
)
@click.option("--preset", "names", multiple=True, metavar="NAME", help="Render this preset only; may be repeated.")
@click.option("--no-render", is_flag=True, help="Leave rendering to the first visitor.")
@flags("force", "jobs", "key", "limit", "progress", "verbose", "dry_run", "json")
@click.pass_context
def migrate(
    context: click.Context,
    /,
    flags: Flags,
    app: str | None,
    prefix: str,
    match: str | None,
    leave: str,
    path_names: bool,
    map_file: Path | None,
    names: tuple[str, ...],
    no_render: bool,
    **source: object,
) -> None:
    """Bring pictures here from another bucket, a folder, or a list of addresses.

    Each is inspected and cleaned like an upload, stored, and its presets rendered. What is here already is passed over
    and left as it is, so the same command goes on where an earlier one was stopped; what was deleted here, and is still
    there, comes back. --force fetches and inspects again what is here, and renders its presets anew.
    """
    room = Room.open()
    presets = room.config.presets()
    if unknown := set(names) - presets.keys():
        raise click.UsageError(f"There is no preset {', '.join(sorted(unknown))}: {', '.join(presets)}.")
    wanted = _only(_pattern("--match", match), _pattern("--leave", leave))
    chosen = room.app(app)
    place = _source(context, room)
    options = {} if no_render else {name: presets[name] for name in names or presets}
    if options and not flags.dry_run and not room.config.thumbor_servers:
        raise click.UsageError("THUMBOR_SERVERS is not set, so there is nobody to render: --no-render goes without.")
    work = Work(flags)
    with KeyList(map_file) as mapping:
        migration = Migration(room, work, place, chosen, options, mapping, flags, path_names=path_names)

        def walk() -> Iterator[Found]:
            found: Iterable[Found] = filter(wanted, place.walk(prefix, flags.key))
            return islice(_at_least_one(found, flags.key) if flags.key else found, flags.limit)

        work.run(walk(), migration.do, _told, expected=walk())
    work.finish()


def _told(found: Found) -> str:
    return shown(found.path)


def _only(match: re.Pattern[str] | None, leave: re.Pattern[str] | None) -> Callable[[Found], bool]:
    def wanted(found: Found) -> bool:
        file = found.path.rpartition("/")[2]
        # What may be in a folder that cannot be read is called nobody knows how.
        return bool(found.trouble) or (
            (match is None or bool(match.fullmatch(file))) and not (leave and leave.fullmatch(file))
        )

    return wanted


def _pattern(option: str, text: str | None) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise click.UsageError(f"{option} is no regular expression: {error}") from error


def _at_least_one(found: Iterable[Found], key: str) -> Iterator[Found]:
    count = 0
    for one in found:
        count += 1
        yield one
    if not count:
        raise NoSuchPicture(f"The source has no {key}.")


def _source(context: click.Context, room: Room) -> Source:
    """The one place that the options name; the environment may name a bucket, and any option wins over it."""
    told = context.params
    bucket, folder, addresses = (told[f"source_{kind}"] for kind in ("bucket", "folder", "list"))
    if context.get_parameter_source("source_bucket") is ParameterSource.ENVIRONMENT and (folder or addresses):
        bucket = None
    if sum(map(bool, (bucket, folder, addresses))) != 1:
        raise click.UsageError("Say where from: --source-bucket, --source-folder or --source-list, one of them.")
    if folder:
        return FolderSource(folder)
    if addresses:
        return AddressSource(addresses, private=told["allow_private"])
    keys, endpoint = told["source_keys"], told["source_endpoint"]
    client = s3_client(
        f"https://{endpoint}" if endpoint and "://" not in endpoint else endpoint,
        told["source_region"] or _variable(f"{keys}_DEFAULT_REGION") or "us-east-1",
        patience_seconds=30,
        attempts=5,
        # Never ours, which another provider has no business to see.
        credentials=(_required(f"{keys}_ACCESS_KEY_ID"), _required(f"{keys}_SECRET_KEY")),
    )
    return BucketSource(client, bucket, keys)


def _required(name: str) -> str:
    value = _variable(name)
    if not value:
        raise click.UsageError(f"{name} is not set: the source's own credentials. --source-keys names the variables.")
    return value


def _variable(name: str) -> str:
    """A variable, or a file of its name in SECRETS_DIR, as all rooms read theirs."""
    folder = os.environ.get("SECRETS_DIR")
    file = Path(folder, name) if folder else None
    return os.environ.get(name) or (file.read_text().strip() if file and file.is_file() else "")
