"""Files put in by a multipart form, each with its own outcome."""

from contextlib import suppress
from typing import Any, BinaryIO, cast

import http_sf
from flask import Blueprint, Response, current_app, jsonify, request
from werkzeug.datastructures import FileStorage

from thumbstack.intake import Arrival
from thumbstack.refusal import Missing, Refused
from uploader.entry import entry
from uploader.room import asked, field, grant, room

routes = Blueprint("uploads", __name__)

_SHA256_BYTES = 32


@routes.post("/")
def upload() -> tuple[Response, int]:
    """Take in every file of a multipart form, each with its own outcome."""
    caller = grant(private=False)
    files = [file for _, file in request.files.items(multi=True)]
    if not files:
        raise Missing("There is no file in the form: send one with -F file=@picture.jpg")
    again = asked("again")
    outcomes = [_outcome(file, caller.app, alone=len(files) == 1, again=again) for file in files]
    return _answered(outcomes)


def _answered(outcomes: list[dict[str, Any]]) -> tuple[Response, int]:
    """One answer for several outcomes: 201 where all went well, 207 where some did, the refusals' status where none."""
    refused = [outcome for outcome in outcomes if "error" in outcome]
    if not refused:
        return jsonify(status="Uploaded", pictures=outcomes), 201
    if len(refused) < len(outcomes):
        return jsonify(status="Partly uploaded", pictures=outcomes), 207
    statuses = {outcome["status"] for outcome in refused}
    first = refused[0]
    answer = jsonify(error=first["error"], code=first["code"], pictures=outcomes)
    waits = [outcome["retry_after"] for outcome in refused if "retry_after" in outcome]
    if waits:
        answer.headers["Retry-After"] = str(max(waits))
    return answer, first["status"] if len(statuses) == 1 else 400


def _outcome(file: FileStorage, app: str, *, alone: bool, again: bool) -> dict[str, Any]:
    try:
        taken = room().intake.take_in(arrival(file, alone=alone), app, again=again)
    except Refused as refusal:
        if refusal.status >= 500:
            current_app.logger.warning("%s: %r", refusal.code, refusal.__cause__)
        later = {"retry_after": refusal.retry_after_seconds} if refusal.retry_after_seconds else {}
        return {"name": file.filename, "status": refusal.status, **refusal.body(), **later}
    room().warming.warm(taken.picture)
    known = entry(room(), taken.picture, taken.stored)
    return {**known, "duplicate": True} if taken.duplicate else known


def arrival(file: FileStorage, *, alone: bool) -> Arrival:
    """A file of the form. What the request says of its content is said of the file where it is the only one."""
    header = file.headers.get("Content-Digest") or (request.headers.get("Content-Digest") if alone else None)
    # werkzeug's spooled part: memory when small, a file in TMPDIR when not.
    body = cast(BinaryIO, file.stream)
    return Arrival(body, file.filename or "", field("note"), _digest(header) if header else None)


def _digest(header: str) -> bytes | None:
    """The SHA-256 of a Content-Digest (RFC 9530); None where it names only other algorithms."""
    with suppress(ValueError):
        digests = http_sf.parse(header.encode("latin-1", "replace"), tltype="dictionary")
        if isinstance(digests, dict) and "sha-256" not in digests:
            return None
        match digests:
            case {"sha-256": (bytes(digest), _)} if len(digest) == _SHA256_BYTES:
                return digest
    raise Refused("The Content-Digest cannot be read: send sha-256=:<base64 of the file's SHA-256>:")
