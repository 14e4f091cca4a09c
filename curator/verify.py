"""Is everything as it should be? All originals read, and all that was made of them held against them."""

import hashlib
import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, groupby, islice

import click

from curator.flags import Flags, flags
from curator.room import Room
from curator.walk import originals, whole_prefix
from curator.work import Outcome, Work
from thumbstack.buckets import Listed, Stored
from thumbstack.inspection import Facts, Limits, inspect
from thumbstack.intake import told
from thumbstack.metadata import ascii_text
from thumbstack.notices import PREFIX as NOTICES
from thumbstack.picture_key import PictureKey
from thumbstack.refusal import NoSuchPicture, Refused
from thumbstack.resize_url import variant_picture
from thumbstack.result_key import read_result_key

_EPILOG = """\b
Examples:
  curator verify                 reads and decodes every original: some 20 a second and core
  curator verify --quick         only what S3 tells of them
  curator verify --repair
  curator verify --json | jq '.failed[] | [.code, .name]'

\b
What it finds, by code:
  damaged             the bytes are not those that were stored
  undecodable, ...    the firewall of uploads would refuse it today, with that code
  misnamed            the bytes are of another type than the key says
  stray               called like no picture: posted with a ticket and not completed, or put there by hand
  no_metadata         put there past the service, so that nothing is known of it        repaired
  content_type        S3 says another type than the bytes are of                        repaired
  orphan_results      results of a picture that is not there                            repaired
  orphan_variants     the same on the website                                           repaired
  unknown_result      what is no result, in the results bucket or on the website
"""


class Wrong(Refused):
    """Something is not as it should be."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True)
class Made:
    """What was made of one picture, in the results bucket or on the website."""

    picture: PictureKey | None
    keys: tuple[str, ...]
    website: bool

    def __str__(self) -> str:
        return str(self.picture or self.keys[0])


@click.command(epilog=_EPILOG, short_help="Walk through everything, and list what is wrong.")
@click.option("--app", metavar="NAME", help="This app only.")
@click.option(
    "--prefix", default="", metavar="TEXT", help="Only keys that go on so after the app, or begin so: o/shop/cup"
)
@click.option("--quick", is_flag=True, help="Read no original: believe what S3 tells of it.")
@click.option("--repair", is_flag=True, help="Complete metadata, remove what was made of pictures that are gone.")
@flags("jobs", "key", "limit", "progress", "verbose", "dry_run", "json")
def verify(flags: Flags, app: str | None, prefix: str, quick: bool, repair: bool) -> None:
    """Walk through everything, and list what is wrong; it ends with 1 where something is.

    No original is ever deleted, nor its bytes changed, also with --repair: that is for its keeper to decide.
    """
    room = Room.open()
    app = room.app(app) if app or (flags.key and not PictureKey.parse(flags.key)) else None
    work = Work(flags)
    verifying = Verifying(room, work, quick=quick, repair=repair and not flags.dry_run)

    def walk() -> Iterator[Listed | Made]:
        if flags.key:
            return verifying.of_one(originals(room.buckets, app=app, key=flags.key))
        return verifying.all_under(whole_prefix(app, prefix), flags.limit)

    def named(thing: Listed | Made) -> str:
        return thing.key if isinstance(thing, Listed) else str(thing)

    work.run(walk(), verifying.do, named, expected=walk())
    work.finish()


class Verifying:
    """One run."""

    def __init__(self, room: Room, work: Work, *, quick: bool, repair: bool) -> None:
        self._room = room
        self._work = work
        self._quick = quick
        self._repair = repair
        # As for what the service itself has turned, which may be larger than what is taken in.
        self._limits = Limits(max_bytes=2 * room.config.max_upload_bytes)
        self._decoding = threading.BoundedSemaphore(room.config.decodes_at_once)

    def all_under(self, prefix: str, limit: int | None) -> Iterator[Listed | Made]:
        """All originals whose keys begin so, or the first of them; then all that was made of any."""
        buckets = self._room.buckets
        # What is no result, either: but where a part is meant it is in nobody's part.
        results = (key for key in buckets.result_keys("" if prefix == "o/" else prefix) if not key.startswith(NOTICES))
        return chain(
            islice(buckets.files(prefix), limit),
            _made(results, website=False),
            _made(buckets.variant_keys(prefix), website=True),
        )

    def of_one(self, pictures: Iterator[PictureKey]) -> Iterator[Listed | Made]:
        """These originals, and what was made of them."""
        buckets = self._room.buckets
        for picture in pictures:
            yield from (listed for listed in buckets.files(str(picture)) if listed.key == str(picture))
            yield from _made(buckets.result_keys(f"{picture}/"), website=False)
            yield from _made(buckets.variant_keys(f"{picture}/"), website=True)

    def do(self, thing: Listed | Made) -> Outcome:
        """Look at one thing; raises Wrong."""
        return self._original(thing) if isinstance(thing, Listed) else self._derived(thing)

    def _original(self, listed: Listed) -> Outcome:
        picture = PictureKey.parse(listed.key)
        if picture is None:
            raise Wrong("stray", "It is called like no picture: complete it (POST /complete), or delete it.")
        if listed.bytes > self._limits.max_bytes:
            raise Wrong("too_large", f"It has {listed.bytes} bytes, more than is shown: nobody has seen it.")
        try:
            if self._quick:
                self._complete(picture, self._room.buckets.stored(listed.key), None)
                return Outcome.PROCESSED
            body, known = self._room.buckets.read_version(listed.key)
        except NoSuchPicture:
            # Deleted since it was listed.
            return Outcome.SKIPPED
        if known.metadata.get("sha256", digest := hashlib.sha256(body).hexdigest()) != digest:
            raise Wrong("damaged", "Its bytes are not those that were stored: an older version may be whole.")
        try:
            with self._decoding:
                facts = inspect(io.BytesIO(body), self._limits)
        except Refused as refusal:
            raise Wrong(refusal.code, refusal.sentence) from refusal
        if facts.type.extension != picture.extension:
            raise Wrong("misnamed", f"Its bytes are {facts.type.content_type}: upload it again under its own type.")
        self._complete(picture, known, (body, facts))
        return Outcome.PROCESSED

    def _complete(self, picture: PictureKey, known: Stored, seen: tuple[bytes, Facts] | None) -> None:
        """What is to be known of a picture, and its type, as every upload has them."""
        if "sha256" not in known.metadata:
            code, sentence = "no_metadata", "Nothing is known of it: it was put there past the service."
        elif seen and known.content_type != seen[1].type.content_type:
            code, sentence = "content_type", f"It is said to be {known.content_type}."
        else:
            return
        if not self._repair or not seen:
            raise Wrong(code, sentence)
        body, facts = seen
        metadata = {"name": ascii_text(picture.file), **known.metadata, **told(facts)}
        kind = facts.type.content_type
        # Only over these bytes: what was deleted or replaced meanwhile stays so.
        if self._room.buckets.put_if(str(picture), io.BytesIO(body), facts.sha256, kind, metadata, over=known.etag):
            self._repaired(str(picture), code)

    def _derived(self, made: Made) -> Outcome:
        if made.picture is None:
            raise Wrong("unknown_result", "It is no result: whoever put it there may remove it.")
        if self._room.buckets.has(made.picture):
            return Outcome.PROCESSED
        code = "orphan_variants" if made.website else "orphan_results"
        if not self._repair:
            raise Wrong(code, f"{len(made.keys)} of a picture that is not there.")
        # As a delete that was broken off would go on; a picture that is restored later loses its tombstone again.
        self._room.notices.post(f"o/{made.picture.app}/{made.picture.folder}/", [made.picture])
        self._room.edge.bury([made.picture])
        remove = self._room.buckets.delete_variants if made.website else self._room.buckets.delete_results
        remove(made.keys)
        self._repaired(str(made.picture), code)
        return Outcome.PROCESSED

    def _repaired(self, name: str, code: str) -> None:
        self._work.count("repaired")
        self._work.say(f"repaired {name}: {code}")


def _made(keys: Iterator[str], *, website: bool) -> Iterator[Made]:
    """What was made, picture by picture: a listing has them together."""

    def of(key: str) -> PictureKey | str:
        read = read_result_key(key)
        return (variant_picture(key) if website else read and read[0]) or key

    for picture, group in groupby(keys, of):
        yield Made(None if isinstance(picture, str) else picture, tuple(group), website)
