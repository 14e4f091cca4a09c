"""Pictures by HTTP: put in, read back by name, deleted."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, cast
from urllib.parse import quote

from flask import Blueprint, Response, current_app, jsonify, request
from werkzeug.datastructures import FileStorage

from thumbstack.apps import Apps, Grant
from thumbstack.buckets import Buckets
from thumbstack.deletion import Deleted, delete_pictures
from thumbstack.edge import Edge
from thumbstack.inspection import Limits, inspect
from thumbstack.picture_key import PictureKey, app_prefix, folder_for, folder_prefix, new_file
from thumbstack.picture_type import split_name
from thumbstack.refusal import Forbidden, Missing, NoSuchPicture, Refused
from thumbstack.signing import signed_path

routes = Blueprint("pictures", __name__)

# S3 takes 2 KiB of metadata in all; a client's file name gets half of it.
_MAX_NAME_BYTES = 1024


@dataclass(frozen=True)
class Room:
    """What the routes work with."""

    apps: Apps
    buckets: Buckets
    edge: Edge
    limits: Limits
    public_url: str | None
    presets: Mapping[str, str]
    security_key: str


def _room() -> Room:
    room: Room = current_app.extensions["room"]
    return room


def _grant(*, private: bool) -> Grant:
    """What the request's keys allow; refused unless it is enough."""
    bearer = request.authorization.token if request.authorization and request.authorization.type == "bearer" else None
    keys = (bearer, _field("api_key"), _field("private_api_key"))
    grant = _room().apps.grant(key for key in keys if key)
    if grant is None or (private and not grant.private):
        which = "private API key" if private else "API key"
        raise Forbidden(f"Send a valid {which} as 'Authorization: Bearer ...'.")
    return grant


def _field(name: str) -> str:
    """A field of the form, also in the body of a GET or DELETE as ``curl -F`` sends it, or of the query."""
    return request.form.get(name) or request.args.get(name, "")


@routes.post("/")
def upload() -> tuple[Response, int]:
    """Take in every file of a multipart form, each with its own outcome."""
    grant = _grant(private=False)
    files = [file for _, file in request.files.items(multi=True)]
    if not files:
        raise Missing("There is no file in the form: send one with -F file=@picture.jpg")
    outcomes = [_outcome(file, grant.app) for file in files]
    refused = [outcome for outcome in outcomes if "error" in outcome]
    if not refused:
        return jsonify(status="Uploaded", pictures=outcomes), 201
    if len(refused) < len(outcomes):
        return jsonify(status="Partly uploaded", pictures=outcomes), 207
    statuses = {outcome["status"] for outcome in refused}
    first = refused[0]
    status = first["status"] if len(statuses) == 1 else 400
    answer = jsonify(error=first["error"], code=first["code"], pictures=outcomes)
    if status == 503:
        answer.headers["Retry-After"] = "5"
    return answer, status


def _outcome(file: FileStorage, app: str) -> dict[str, Any]:
    try:
        return _store(file, app)
    except Refused as refusal:
        if refusal.status >= 500:
            current_app.logger.warning("%s: %r", refusal.code, refusal.__cause__)
        return {"name": file.filename, "status": refusal.status, **refusal.body()}


def _store(file: FileStorage, app: str) -> dict[str, Any]:
    room = _room()
    name = file.filename or ""
    stem, _ = split_name(name)
    if not stem:
        raise Missing("The file has no name: give it one, it is how you ask for the picture later.")
    body = cast(BinaryIO, file.stream)  # werkzeug's spooled part: memory when small, a file in TMPDIR when not
    facts = inspect(body, room.limits, name)
    size = facts.bytes
    digest = hashlib.file_digest(body, "sha256")  # type: ignore[arg-type]
    body.seek(0)
    picture = PictureKey(app, folder_for(stem), new_file(facts.type.extension, time.time()))
    metadata = {"name": quote(name)[:_MAX_NAME_BYTES], "sha256": digest.hexdigest()}
    if facts.width is not None:
        metadata |= {"width": str(facts.width), "height": str(facts.height)}
    room.buckets.put_original(picture, body, digest.digest(), facts.type.content_type, metadata)
    base = (room.public_url or request.host_url).rstrip("/")
    # A PDF is kept and given back; Thumbor renders none.
    presets = room.presets if facts.width is not None else {}
    return {
        "name": name,
        "key": str(picture),
        "url": f"{base}/{picture}",
        "content_type": facts.type.content_type,
        "width": facts.width,
        "height": facts.height,
        "bytes": size,
        "sha256": digest.hexdigest(),
        "urls": {
            preset: base + signed_path(picture, options, room.security_key) for preset, options in presets.items()
        },
    }


@routes.get("/")
def download() -> Response:
    """The newest original of a name, or of a full file name; nginx fetches the bytes."""
    grant = _grant(private=True)
    prefix, extension, name = _named(grant.app)
    found = [
        picture for picture in _room().buckets.originals(prefix) if extension is None or picture.extension == extension
    ]
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


@routes.delete("/")
def delete() -> Response:
    """Delete every picture of a name, or of a full file name, with every copy."""
    grant = _grant(private=True)
    prefix, extension, name = _named(grant.app)
    deleted = delete_pictures(_room().buckets, _room().edge, prefix, extension)
    if not deleted.pictures:
        raise NoSuchPicture(f"No such picture: {name}")
    stem, _ = split_name(name)
    files = sorted({f"{stem}.{picture.extension}" for picture in deleted.pictures})
    return _deleted(f"{', '.join(files)} deleted", deleted)


@routes.delete("/delete-all-pictures")
def delete_all() -> Response:
    """Delete all pictures of the caller's app."""
    grant = _grant(private=True)
    return _deleted("Pictures deleted", delete_pictures(_room().buckets, _room().edge, app_prefix(grant.app)))


def _named(app: str) -> tuple[str, str | None, str]:
    """Prefix and extension of what the request names, and the name itself."""
    name = _field("name")
    stem, claimed = split_name(name)
    if not stem:
        raise Missing("The name is missing: send it as ?name=... or as the form field 'name'.")
    return folder_prefix(app, folder_for(stem)), claimed.extension if claimed else None, name


def _deleted(status: str, deleted: Deleted) -> Response:
    return jsonify(
        status=status,
        originals=deleted.originals,
        results=deleted.results,
        edge=deleted.edge,
        keys=[str(picture) for picture in deleted.pictures],
    )


def _handed_to_nginx(picture: PictureKey) -> Response:
    """An empty answer that tells nginx where on S3 the bytes are: no worker of ours waits for a slow reader."""
    answer = Response(status=200)
    answer.headers["X-Accel-Redirect"] = "/_s3" + _room().buckets.download_path(picture)
    del answer.headers["Content-Type"]
    return answer
