"""What was posted straight to S3 with a ticket: inspected as every upload is, and then published or removed."""

import tempfile
import time
from typing import BinaryIO, cast
from urllib.parse import unquote

from flask import Blueprint, Response, jsonify

from thumbstack.buckets import Stored
from thumbstack.deletion import delete_pictures
from thumbstack.intake import Arrival, Seen, TakenIn
from thumbstack.object_key import ObjectKey
from thumbstack.picture_key import folder_for, folder_prefix
from thumbstack.picture_type import BY_EXTENSION, split_name
from thumbstack.refusal import Missing, NoSuchPicture, Refused, StorageUnavailable, TooLarge
from thumbstack.ticket import MARK
from uploader.entry import entry
from uploader.pictures import delete_picture
from uploader.room import field, grant, room

routes = Blueprint("direct", __name__)

# As werkzeug does with uploads: smaller files stay in memory.
_SPOOLED_FROM_BYTES = 500_000
# A ticket may be used again while its file is inspected.
_TRIES = 3
# A delete that told of itself earlier is over.
_LONGEST_DELETE_SECONDS = 60
# S3's clock and a node's.
_SKEW_SECONDS = 1


@routes.post("/complete")
def complete() -> Response:
    """Inspect what was posted with a ticket, and publish or remove it. Twice is as good as once."""
    caller = grant(private=False)
    key = field("key")
    if not key:
        raise Missing("The key is missing: send the one that the file was posted under.")
    posted = ObjectKey.parse(key)
    if posted is None or posted.app != caller.app:
        raise NoSuchPicture("No such picture")
    taken, is_new = _completed(posted, whatever=caller.private)
    told = {"success": True, "filename": taken.picture.file, **entry(room(), taken.picture, taken.stored)}
    if taken.waiting:
        told["key"] = taken.picture.incoming
    if taken.duplicate:
        told["duplicate"] = True
    if is_new:
        room().warming.warm(taken.picture)
    elif not caller.private:
        # Whoever sees a picture knows its key, and pages show the public key: what its file was called is not for them.
        told["name"] = taken.picture.file
        told.pop("note", None)
    return jsonify(told)


def _completed(posted: ObjectKey, *, whatever: bool) -> tuple[TakenIn, bool]:
    """What has become of it, and whether just now; with `whatever` also where no ticket brought it."""
    for _ in range(_TRIES):
        began = time.time()
        try:
            found = room().buckets.stored(str(posted))
        except NoSuchPicture:
            return _completed_before(posted, began), False
        if posted.picture and "sha256" in found.metadata:
            return TakenIn(posted.picture, found, waiting=posted.waits), False
        # What a keeper has put there himself is not for the public key to move or to remove.
        if MARK not in found.metadata and not whatever:
            raise NoSuchPicture("No such picture")
        taken = _inspected(posted, found, began)
        if taken:
            return taken, True
    raise StorageUnavailable("The file was posted again while it was inspected: complete it once more.")


def _completed_before(posted: ObjectKey, now: float) -> TakenIn:
    """The picture that an earlier call has made of what is not there any more."""
    buckets, picture = room().buckets, posted.picture
    renewed = filter(posted.is_renewed_by, buckets.originals(folder_prefix(posted.app, posted.folder)))
    there = [*([picture] if picture and posted.waits else []), *sorted(renewed, reverse=True)]
    for one in there:
        stored = _found(str(one))
        if stored and "sha256" in stored.metadata:
            return TakenIn(one, stored)
    # It was a duplicate: only the notice of its removal knows of which.
    for known in room().notices.about(str(picture or posted), now - _LONGEST_DELETE_SECONDS):
        if known:
            return TakenIn(known, buckets.stored(str(known)), duplicate=True)
    raise NoSuchPicture("No such picture")


def _found(key: str) -> Stored | None:
    try:
        return room().buckets.stored(key)
    except NoSuchPicture:
        return None


def _inspected(posted: ObjectKey, found: Stored, began: float) -> TakenIn | None:
    """Publish or remove it; None where meanwhile something else was posted under its key."""
    with tempfile.SpooledTemporaryFile(_SPOOLED_FROM_BYTES) as spool:
        try:
            seen = _seen(posted, found, cast(BinaryIO, spool))
        except Refused as refusal:
            if refusal.status < 500:
                _remove(posted)
            raise
        taken = _published(posted, found, seen) if seen else None
    if taken and not taken.duplicate and _was_deleted(posted, found, began):
        delete_picture(taken.picture)
        raise NoSuchPicture("No such picture")
    return taken


def _seen(posted: ObjectKey, found: Stored, spool: BinaryIO) -> Seen | None:
    intake = room().intake
    if found.bytes > intake.max_bytes:
        raise TooLarge(f"The file is larger than {intake.max_bytes} bytes: send a smaller one.")
    if not room().buckets.fetch(str(posted), found.etag, spool):
        return None
    return intake.inspect(Arrival(spool, _name(posted, found)), posted.app)


def _name(posted: ObjectKey, found: Stored) -> str:
    """The name that the ticket was for, or the one that the file was posted under."""
    return unquote(found.metadata["name"]) if "name" in found.metadata else posted.name


def _published(posted: ObjectKey, found: Stored, seen: Seen) -> TakenIn | None:
    """Store what was seen, and let go of what was posted where that is not the same.

    Under its own key it stays only as it is: what was served from there is kept by browsers for a year.
    """
    here, kind = room(), seen.facts.type
    renewed = posted.renewed(kind.extension, found.modified.timestamp())
    own = posted.picture
    if own and (BY_EXTENSION.get(own.extension) is not kind or here.edge.is_buried(own)):
        own = None
    if "name" in found.metadata and posted.folder == folder_for(split_name(_name(posted, found))[0]):
        known = here.intake.known(folder_prefix(posted.app, posted.folder), seen)
        if known and known.picture not in (own, renewed):
            _remove(posted, known)
            return known
    if own and not posted.waits and "sha256-sent" not in seen.metadata:
        return here.intake.settle(own, seen, over=found.etag)
    for picture in (own, renewed) if own and posted.waits else (renewed,):
        taken = here.intake.settle(picture, seen)
        if taken:
            _remove(posted, taken)
            return taken
    raise StorageUnavailable("The storage has something else under this name: complete it once more.")


def _remove(posted: ObjectKey, taken: TakenIn | None = None) -> None:
    """Delete what was posted; every copy, where it may have been served. `taken` is what stands for it now."""
    here, own, moved_to = room(), posted.picture, taken.picture if taken else None
    prefix = folder_prefix(posted.app, posted.folder)
    if own and not posted.waits:
        delete_pictures(here.buckets, here.edge, here.notices, prefix, lambda other: other == own, moved_to=moved_to)
        return
    if moved_to and moved_to != own:
        here.notices.post(prefix, [own or posted], moved_to)
    here.buckets.delete_pictures([str(posted)])


def _was_deleted(posted: ObjectKey, found: Stored, began: float) -> bool:
    """Whether somebody deleted it while it was inspected; thumbstack/deletion.py looks the other way round."""
    since = max(found.modified.timestamp() - _SKEW_SECONDS, began - _LONGEST_DELETE_SECONDS)
    return any(moved_to is None for moved_to in room().notices.about(str(posted.picture or posted), since))
