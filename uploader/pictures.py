"""Pictures that are there: found, read back, deleted."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from flask import Blueprint, Response, jsonify

from thumbstack.deletion import Deleted, delete_pictures, strays
from thumbstack.picture_key import PictureKey, app_prefix, folder_for, folder_prefix
from thumbstack.picture_type import split_name
from thumbstack.refusal import Missing, NoSuchPicture, Refused
from uploader.entry import entry
from uploader.room import Room, asked, field, grant, room

routes = Blueprint("pictures", __name__)

_MAX_LISTED = 100
# A list asks S3 about each picture; so many at once keep a page under a tenth of a second.
_LOOKS_AT_ONCE = 16


@routes.get("/")
def download() -> Response:
    """The newest original of a name, or of a full file name; nginx fetches the bytes."""
    prefix, chosen, name = _named(grant(private=True).app)
    found = list(filter(chosen, room().buckets.originals(prefix)))
    if not found:
        raise NoSuchPicture(f"No such picture: {name}")
    return _handed_to_nginx(max(found, key=lambda picture: picture.file))


@routes.get("/o/<app>/<folder>/<file>")
def original(app: str, folder: str, file: str) -> Response:
    """A published original by its key; its address is the only key that a reader needs."""
    picture = PictureKey.parse(f"o/{app}/{folder}/{file}")
    if picture is None:
        raise NoSuchPicture("No such picture")
    return _handed_to_nginx(picture)


@routes.get("/pictures")
def listed() -> Response:
    """A page of the app's pictures, by their keys or the newest first; `next` is where the page after it begins."""
    caller = grant(private=True)
    limit = _limit(field("limit"))
    after = field("after")
    cursor = PictureKey.parse(after)
    if after and (cursor is None or cursor.app != caller.app):
        raise Refused("The cursor is none of this app's: send `next` of the page before as `after`.")
    order = field("order") or "key"
    if order == "key":
        page = list(islice(room().buckets.originals(app_prefix(caller.app), after), limit + 1))
    elif order == "newest":
        page = room().newest.page(caller.app, cursor, limit + 1)
    else:
        raise Refused("The order must be key or newest.")
    found = _entries(room(), page[:limit])
    return jsonify(pictures=found, next=str(page[limit - 1]) if len(page) > limit else None)


@routes.get("/pictures/o/<app>/<folder>/<file>")
def one(app: str, folder: str, file: str) -> Response:
    """What is known of one picture."""
    picture = _own(app, folder, file)
    return jsonify(entry(room(), picture, room().buckets.stored(str(picture))))


@routes.delete("/pictures/o/<app>/<folder>/<file>")
def delete_one(app: str, folder: str, file: str) -> Response:
    """Delete one picture by its key, with every copy."""
    picture = _own(app, folder, file)
    deleted = delete_picture(picture, dry_run=asked("dry_run"))
    if not deleted.pictures:
        raise NoSuchPicture("No such picture")
    return counted(_status(f"{picture} deleted"), deleted)


@routes.delete("/")
def delete() -> Response:
    """Delete every picture of a name, or of a full file name, with every copy."""
    prefix, chosen, name = _named(grant(private=True).app)
    deleted = delete_pictures(room().buckets, room().edge, room().notices, prefix, chosen, dry_run=asked("dry_run"))
    if not deleted.pictures:
        raise NoSuchPicture(f"No such picture: {name}")
    stem, _ = split_name(name)
    files = sorted({f"{stem}.{picture.extension}" for picture in deleted.pictures})
    return counted(_status(f"{', '.join(files)} deleted"), deleted)


@routes.delete("/delete-all-pictures")
def delete_all() -> Response:
    """Delete all pictures of the caller's app."""
    prefix = app_prefix(grant(private=True).app)
    others = strays(room().buckets, prefix)
    deleted = delete_pictures(
        room().buckets, room().edge, room().notices, prefix, strays=others, dry_run=asked("dry_run")
    )
    return counted(_status("Pictures deleted"), deleted)


def delete_picture(picture: PictureKey, *, dry_run: bool = False) -> Deleted:
    """The delete of one picture, whether it is published or waits."""
    prefix = folder_prefix(picture.app, picture.folder)
    return delete_pictures(
        room().buckets, room().edge, room().notices, prefix, lambda other: other == picture, dry_run=dry_run
    )


def counted(status: str, deleted: Deleted) -> Response:
    """How much a delete removed, or would."""
    return jsonify(
        status=status,
        originals=deleted.originals,
        results=deleted.results,
        website=deleted.website,
        edge=deleted.edge,
        keys=[str(picture) for picture in deleted.pictures],
    )


def _status(done: str) -> str:
    return f"Nothing deleted: this was a dry run of «{done}»" if asked("dry_run") else done


def _named(app: str) -> tuple[str, Callable[[PictureKey], bool], str]:
    """The prefix of what the request names, which pictures under it are meant, and the name itself."""
    name = field("name")
    stem, claimed = split_name(name)
    if not stem:
        raise Missing("The name is missing: send it as ?name=... or as the form field 'name'.")

    def chosen(picture: PictureKey) -> bool:
        return claimed is None or picture.extension == claimed.extension

    return folder_prefix(app, folder_for(stem)), chosen, name


def _own(app: str, folder: str, file: str) -> PictureKey:
    """A key that the caller's app owns; another app's pictures are not there for him."""
    picture = PictureKey.parse(f"o/{app}/{folder}/{file}")
    if picture is None or picture.app != grant(private=True).app:
        raise NoSuchPicture("No such picture")
    return picture


def _limit(text: str) -> int:
    if not text:
        return _MAX_LISTED // 2
    if len(text) > 3 or not text.isdecimal() or not 1 <= int(text) <= _MAX_LISTED:
        raise Refused(f"The limit must be a number from 1 to {_MAX_LISTED}.")
    return int(text)


def _entries(here: Room, page: Iterable[PictureKey]) -> list[dict[str, Any]]:
    """What is known of each picture; one that was deleted meanwhile is left out."""
    address = here.address

    def look(picture: PictureKey) -> dict[str, Any] | None:
        try:
            return entry(here, picture, here.buckets.stored(str(picture)), address)
        except NoSuchPicture:
            return None

    with ThreadPoolExecutor(_LOOKS_AT_ONCE) as pool:
        return [found for found in pool.map(look, page) if found]


def _handed_to_nginx(picture: PictureKey) -> Response:
    """An empty answer that tells nginx where on S3 the bytes are: no worker of ours waits for a slow reader."""
    answer = Response(status=200)
    answer.headers["X-Accel-Redirect"] = "/_s3" + room().buckets.download_path(picture)
    del answer.headers["Content-Type"]
    return answer
