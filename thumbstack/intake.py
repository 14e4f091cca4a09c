"""The way of a file into the storage: inspected, cleaned, scanned, stored under a key of its own."""

import hashlib
import io
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import BinaryIO

from prometheus_client import Counter, Gauge, Histogram

from thumbstack import metrics
from thumbstack.apps import Rules
from thumbstack.buckets import Buckets, Stored
from thumbstack.inspection import Facts, Limits, inspect
from thumbstack.location import without_location
from thumbstack.metadata import ascii_text
from thumbstack.picture_key import PictureKey, folder_for, folder_prefix, new_file
from thumbstack.picture_type import JPEG, split_name
from thumbstack.refusal import DigestMismatch, Missing, NoSuchPicture
from thumbstack.scanner import Scanner
from thumbstack.upright import upright

UPLOADS = Counter("thumbstack_uploads", "Pictures that were taken in", ["type"])
UPLOAD_BYTES = Counter("thumbstack_upload_bytes", "Bytes of the pictures that were taken in")
DUPLICATES = Counter("thumbstack_upload_duplicates", "Pictures that were there already, under the same name")
UPLOAD_SECONDS = Histogram(
    "thumbstack_upload_seconds", "From a file in hand to its place in S3", buckets=metrics.SECONDS
)
WAITING = Gauge("thumbstack_decodes_waiting", "Files that wait for their turn", multiprocess_mode="livesum")


@dataclass(frozen=True)
class Arrival:
    """A file as it came."""

    body: BinaryIO
    name: str
    note: str = ""
    # SHA-256, where the client said what it sends.
    digest: bytes | None = None


@dataclass(frozen=True)
class Seen:
    """A file that was inspected, cleaned and scanned: what is to be stored, and what is known of it."""

    body: BinaryIO
    facts: Facts
    metadata: dict[str, str]


@dataclass(frozen=True)
class TakenIn:
    """A stored picture, and whether it had been there before."""

    picture: PictureKey
    stored: Stored
    duplicate: bool = False
    waiting: bool = False


class Intake:
    """Takes files in, a few at a time: decoding and cleaning need memory, everything else does not."""

    def __init__(
        self, buckets: Buckets, scanner: Scanner, limits: Limits, rules: Mapping[str, Rules], *, at_once: int
    ) -> None:
        self._buckets = buckets
        self._scanner = scanner
        self._limits = limits
        self._rules = rules
        self._decoding = threading.BoundedSemaphore(at_once)

    @UPLOAD_SECONDS.time()
    def take_in(self, arrival: Arrival, app: str, *, again: bool = False) -> TakenIn:
        """Publish a file at once, under the name it came with. Known bytes keep the key they have, unless `again`."""
        stem, _ = split_name(arrival.name)
        if not stem:
            raise Missing("The file has no name: give it one, it is how you ask for the picture later.")
        seen = self.inspect(arrival, app)
        folder = folder_for(stem)
        known = None if again else self.known(folder_prefix(app, folder), seen)
        if known:
            return known
        picture = PictureKey(app, folder, new_file(seen.facts.type.extension, time.time()))
        return self._store(picture, str(picture), seen)

    @UPLOAD_SECONDS.time()
    def hold(self, arrival: Arrival, app: str) -> TakenIn:
        """Take a file in under a new name of its own, and let it wait to be published."""
        seen = self.inspect(arrival, app)
        picture = named(app, new_file(seen.facts.type.extension, time.time()))
        return replace(self._store(picture, picture.incoming, seen), waiting=True)

    def renew(self, picture: PictureKey, data: bytes, metadata: Mapping[str, str]) -> TakenIn:
        """Store another version of a picture that is there, with what was known of it."""
        with self._turn():
            facts = inspect(io.BytesIO(data), replace(self._limits, max_bytes=2 * self._limits.max_bytes))
        return self._store(picture, str(picture), Seen(io.BytesIO(data), facts, {**metadata, **told(facts)}))

    def facts(self, picture: PictureKey) -> Facts:
        """What is to be known of a stored picture that nobody has inspected; raises what it is refused for."""
        with self._turn():
            return inspect(io.BytesIO(self._buckets.read(str(picture))), self._limits)

    @property
    def max_bytes(self) -> int:
        """The largest file that is looked at."""
        return self._limits.max_bytes

    def inspect(self, arrival: Arrival, app: str) -> Seen:
        """Look at a file, clean it, have it scanned; refused unless it may be stored."""
        rules = self._rules[app]
        limits = replace(self._limits, allowed_types=rules.types) if rules.types else self._limits
        with self._turn():
            facts = inspect(arrival.body, limits, arrival.name)
            if arrival.digest is not None and arrival.digest.hex() != facts.sha256:
                raise DigestMismatch("The bytes that came are not those of the Content-Digest: send the file again.")
            sent = facts.sha256
            body, facts = self._cleaned(arrival.body, facts, rules)
        self._scanner.check(body)
        body.seek(0)
        metadata = {"name": ascii_text(arrival.name), **told(facts)}
        if arrival.note:
            metadata["note"] = ascii_text(arrival.note)
        if facts.sha256 != sent:
            metadata["sha256-sent"] = sent
        return Seen(body, facts, metadata)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        with WAITING.track_inprogress():
            self._decoding.acquire()
        try:
            yield
        finally:
            self._decoding.release()

    def _cleaned(self, body: BinaryIO, facts: Facts, rules: Rules) -> tuple[BinaryIO, Facts]:
        turn = rules.upright and facts.type is JPEG and facts.orientation != 1
        if rules.keep_location and not turn:
            return body, facts
        data = clean = body.read()
        body.seek(0)
        if not rules.keep_location:
            clean = without_location(clean, facts.type)
        if turn:
            clean = upright(clean)
        if clean is data:
            return body, facts
        digest = hashlib.sha256(clean).hexdigest()
        orientation = 1 if turn else facts.orientation
        return io.BytesIO(clean), replace(facts, bytes=len(clean), sha256=digest, orientation=orientation)

    def known(self, prefix: str, seen: Seen) -> TakenIn | None:
        """The picture under a prefix that holds these very bytes already."""
        for picture in self._buckets.originals(prefix):
            if picture.extension == seen.facts.type.extension:
                stored = self._buckets.stored(str(picture))
                if stored.metadata.get("sha256") == seen.facts.sha256:
                    DUPLICATES.inc()
                    return TakenIn(picture, stored, duplicate=True)
        return None

    def settle(self, picture: PictureKey, seen: Seen, *, over: str | None = None) -> TakenIn | None:
        """Publish what was seen where nothing is, or over the bytes of that ETag; None where something else is there.

        Where the very same is there already, that is as good.
        """
        kind, facts = seen.facts.type.content_type, seen.facts
        if self._buckets.put_if(str(picture), seen.body, facts.sha256, kind, seen.metadata, over=over):
            return self._counted(picture, seen)
        with suppress(NoSuchPicture):
            there = self._buckets.stored(str(picture))
            if there.metadata.get("sha256") == facts.sha256:
                return TakenIn(picture, there)
        seen.body.seek(0)
        return None

    def _store(self, picture: PictureKey, key: str, seen: Seen) -> TakenIn:
        self._buckets.put(key, seen.body, seen.facts.sha256, seen.facts.type.content_type, seen.metadata)
        return self._counted(picture, seen)

    def _counted(self, picture: PictureKey, seen: Seen) -> TakenIn:
        UPLOADS.labels(seen.facts.type.extension).inc()
        UPLOAD_BYTES.inc(seen.facts.bytes)
        # What S3 would say, without asking it.
        stored = Stored(seen.facts.type.content_type, seen.facts.bytes, datetime.now(UTC), seen.metadata)
        return TakenIn(picture, stored)


def named(app: str, file: str) -> PictureKey:
    """The picture of a file that has its name from us: the name is all that is needed to find it."""
    return PictureKey(app, folder_for(split_name(file)[0]), file)


def told(facts: Facts) -> dict[str, str]:
    """The facts as S3 metadata: ASCII text."""
    told = {
        "sha256": facts.sha256,
        "frames": facts.frames,
        "orientation": facts.orientation,
        "width": facts.width,
        "height": facts.height,
        "color": facts.dominant_color,
        "placeholder": facts.placeholder,
    }
    return {name: str(value) for name, value in told.items() if value is not None}
