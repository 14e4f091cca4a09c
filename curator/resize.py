"""The presets' results made anew: after a preset was changed, or the way in which pictures are rendered."""

import os
import secrets
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from itertools import islice
from pathlib import Path

import click

from curator.flags import Flags, flags
from curator.renders import Renders
from curator.room import Room
from curator.walk import originals
from curator.work import Outcome, Work
from thumbstack.options import read_options
from thumbstack.picture_key import PictureKey
from thumbstack.presets import options_of_part, read_presets
from thumbstack.refusal import BadOptions, NoSuchPicture, StorageUnavailable
from thumbstack.result_key import accepts, result_key

# Visitors' renders go on meanwhile: this many of ours, and one, may be before one of theirs.
_JOBS = 2
# Other nodes hear of what was made anew after about this and a poll of theirs, together well within a minute.
_TELL_SECONDS = 15
# Before and after so many, as it takes that long.
_TELL_FEWEST, _TELL_MOST = 4, 500
_FORMATS = {"avif": "image/avif", "webp": "image/webp", "own": "image/jpeg"}
_EPILOG = """\b
Examples:
  curator resize_images                        all pictures, all presets
  curator resize_images --preset MI -p 100     one preset, a line after each 100 pictures
  curator resize_images -k o/shop/cup/1763600000_0123456789abcdef0123.jpg
  curator resize_images --prune 'fit-in/250x250/filters:quality(90)'
  curator resize_images --prune presets.old.toml --dry-run

\b
After a preset was changed: restart signer and uploader first, which read it, then run this. Addresses with the
preset's name (/t/MI/u/...) show the new picture at once on this node and within a minute on the others;
what browsers have kept they keep.
"""


@click.command("resize_images", epilog=_EPILOG, short_help="Render the presets anew, over what is there.")
@click.option("--app", metavar="NAME", help="This app only.")
@click.option(
    "--prefix", default="", metavar="TEXT", help="Only keys that go on so after the app, or begin so: o/shop/cup"
)
@click.option("--preset", "names", multiple=True, metavar="NAME", help="This preset only; may be repeated.")
@click.option(
    "--formats",
    default="seen",
    show_default=True,
    metavar="LIST",
    help="Of avif, webp, own: 'own' (what leaves for who takes neither) is always made; 'seen': and what the"
    " picture has results in; 'all'.",
)
@click.option(
    "--prune",
    multiple=True,
    metavar="OPTIONS|FILE",
    help="Remove the results of these options, or of a presets file as it was, where no preset has them any more.",
)
@flags("force", "jobs", "key", "limit", "progress", "verbose", "dry_run", "json", jobs=_JOBS)
def resize_images(
    flags: Flags, app: str | None, prefix: str, names: tuple[str, ...], formats: str, prune: tuple[str, ...]
) -> None:
    """Render the presets of published pictures anew, over the results that are there.

    Originals are only read; variants that are no preset's stay. A picture that is deleted meanwhile stays deleted.
    It does again what is done already: --force is taken, and changes nothing.
    """
    room = Room.open()
    presets = room.config.presets()
    if unknown := set(names) - presets.keys():
        raise click.UsageError(f"There is no preset {', '.join(sorted(unknown))}: {', '.join(presets)}.")
    work = Work(flags)
    resizing = Resizing(
        room,
        work,
        {name: presets[name] for name in names or presets},
        _accepted(formats),
        _former(prune) - set(presets.values()),
        jobs=flags.jobs,
        dry_run=flags.dry_run,
    )
    app = room.app(app) if app or (flags.key and not PictureKey.parse(flags.key)) else None
    walk = partial(originals, room.buckets, app=app, prefix=prefix, key=flags.key, limit=flags.limit)
    with resizing:
        work.run(walk() if flags.dry_run else resizing.announced(walk()), resizing.do, expected=walk())
    work.finish()


def _accepted(formats: str) -> frozenset[str] | None:
    """The Accept headers that are meant beside the one for who takes neither; None: what a picture has results in."""
    if formats == "seen":
        return None
    named = list(_FORMATS) if formats == "all" else [one.strip() for one in formats.split(",")]
    if unknown := set(named) - _FORMATS.keys():
        raise click.UsageError(f"There is no format {', '.join(sorted(unknown))}: avif, webp, own; or seen, or all.")
    return frozenset(_FORMATS[one] for one in named)


def _former(told: tuple[str, ...]) -> set[str]:
    """Options that presets had, from files and as they are."""
    found: set[str] = set()
    for one in told:
        try:
            found |= set(read_presets(Path(one)).values()) if Path(one).is_file() else {str(read_options(one))}
        except (ValueError, BadOptions) as error:
            why = error.sentence if isinstance(error, BadOptions) else error
            raise click.UsageError(f"--prune {one}: neither a presets file nor options: {why}") from error
    return found


class Resizing:
    """One run. All nodes are told what is made anew: before, lest it be killed, and after."""

    def __init__(
        self,
        room: Room,
        work: Work,
        presets: Mapping[str, str],
        accepted: Collection[str] | None,
        former: Collection[str],
        *,
        jobs: int,
        dry_run: bool,
    ) -> None:
        self._room = room
        self._work = work
        self._presets = presets
        self._accepted = accepted
        self._former = {options: options for options in former}
        self._renders = Renders(room.config.thumbor_servers, room.config.security_keys[0])
        # One more than jobs: of so many one is just being stored.
        self._pool = ThreadPoolExecutor(jobs + 1, "render")
        self._dry_run = dry_run
        self._lock = threading.Lock()
        self._name = secrets.token_hex(8)
        self._coming: set[PictureKey] = set()
        self._untold: set[PictureKey] = set()
        self._options = {*presets.values(), *former}
        # What all that was made anew has in common.
        self._prefix: str | None = None

    def __enter__(self) -> "Resizing":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
        if self._prefix is None:
            return
        # Addresses with a ?v=, which only the cache itself knows.
        self._room.edge.clear(self._prefix, versions_only=True)
        # What was announced and not begun is as it was.
        self._coming.clear()
        try:
            self._room.notices.post_cleared(self._prefix, versions_only=True)
            self._tell()
        except StorageUnavailable as refusal:
            self._work.end(f"Other nodes hear of it in some minutes only. {refusal.sentence}")

    def announced(self, pictures: Iterator[PictureKey]) -> Iterator[PictureKey]:
        """The pictures, some at a time, of which all nodes have heard that they come."""
        size = _TELL_FEWEST
        while some := list(islice(pictures, size)):
            self._tell(some)
            began = time.monotonic()
            yield from some
            took = max(0.001, time.monotonic() - began)
            size = max(_TELL_FEWEST, min(int(size * _TELL_SECONDS / took), 2 * size, _TELL_MOST))

    def do(self, picture: PictureKey) -> Outcome:
        """Make a picture's presets anew; remove what is to be pruned."""
        try:
            return self._make_anew(picture)
        finally:
            # Also what came before a failure.
            if not self._dry_run:
                with self._lock:
                    self._untold.add(picture)

    def _make_anew(self, picture: PictureKey) -> Outcome:
        buckets = self._room.buckets
        try:
            crop = buckets.stored(str(picture)).metadata.get("crop", "")
        except NoSuchPicture:
            return self._gone()
        there = list(buckets.result_keys(f"{picture}/"))
        # A preset's readable address shows the whole picture, whatever part was chosen of it.
        asked = dict.fromkeys([*options_of_part(self._presets, crop).values(), *self._presets.values()])
        stale = {*options_of_part(self._former, crop).values(), *self._former} - asked.keys()
        doomed = [key for key in there if _is_of(key, picture, stale)]
        wanted = [(options, accept) for options in asked for accept in self._wanted(picture, there)]
        if not wanted:
            return Outcome.SKIPPED
        self._work.count("variants", len(wanted))
        self._work.count("pruned", len(doomed))
        if self._dry_run:
            return Outcome.PROCESSED
        try:
            self._render(picture, wanted)
            buckets.delete_results(doomed)
        except NoSuchPicture:
            return self._gone()
        finally:
            self._room.edge.forget(picture, {*asked, *stale}, original=False)
            with self._lock:
                self._options.update(asked, stale)
        return Outcome.PROCESSED

    def _render(self, picture: PictureKey, wanted: Sequence[tuple[str, str]]) -> None:
        """Return when all are stored; where one fails, when no other is under way any more."""
        renders = [self._pool.submit(self._renders.anew, picture, *one) for one in wanted]
        try:
            for render in renders:
                render.result()
        finally:
            for render in renders:
                render.cancel()
            wait(renders)

    def _wanted(self, picture: PictureKey, there: Collection[str]) -> list[str]:
        offered = accepts(picture)
        if self._accepted is None:
            formats = {key.rpartition(".")[2] for key in there}
            return [one for one in offered if one == offered[-1] or one.removeprefix("image/") in formats]
        return [one for one in offered if one == offered[-1] or one in self._accepted]

    def _gone(self) -> Outcome:
        self._work.count("deleted meanwhile")
        return Outcome.SKIPPED

    def _tell(self, coming: Collection[PictureKey] = ()) -> None:
        """Have the other nodes forget what was made anew; and what comes, should they hear no more of this run."""
        with self._lock:
            self._prefix = os.path.commonpath([*map(str, coming), *filter(None, [self._prefix])])
            self._coming |= set(coming)
            done, self._untold = self._untold, set()
            told = done, set(self._options), self._name, self._coming - done
        try:
            self._room.notices.post_renewed(*told)
        except BaseException:
            with self._lock:
                self._untold |= done
            raise
        self._coming -= done


def _is_of(key: str, picture: PictureKey, options: Collection[str]) -> bool:
    """Whether a result's key is one of these options', in any format; also where they are hashed in it."""
    extension = key.rpartition(".")[2]
    return any(result_key(picture, one, extension) == key for one in options)
