"""Upload tickets: what a browser needs to post files straight to S3. Signed here; S3 is not asked."""

import base64
import binascii
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import BotoCoreError
from botocore.session import Session
from flask import Blueprint, Response, current_app, jsonify

from signer import caller
from thumbstack.apps import Apps, Rules
from thumbstack.picture_key import folder_prefix
from thumbstack.refusal import Refused, TicketsUnavailable
from thumbstack.ticket import Terms, Wish, issue

routes = Blueprint("tickets", __name__)

_SHA256_BYTES = 32
# Of any file there is: whether it is too large, the ticket says.
_MAX_SIZE_DIGITS = 15


@dataclass(frozen=True)
class Office:
    """What the route works with."""

    apps: Apps
    rules: Mapping[str, Rules]
    terms: Terms
    credentials: Callable[[], ReadOnlyCredentials | None]
    # Where browsers post to; without it, this service passes the form on.
    upload_url: str | None
    public_url: str | None


@routes.post("/generate_policy")
def generate_policy() -> Response:
    """A form that S3 takes for a while: for one file where it is named, else for files into a folder of their own."""
    office: Office = current_app.extensions["office"]
    asked = caller.fields()
    app = caller.grant(office.apps, asked, private=False).app
    credentials = office.credentials()
    if credentials is None:
        raise TicketsUnavailable("Tickets cannot be signed just now: try again in a few seconds.")
    rules = office.rules.get(app, Rules())
    ticket = issue(office.terms, credentials, app, rules, _wish(asked), datetime.now(UTC))
    address = caller.address(office.public_url)
    return jsonify(
        url=office.upload_url or f"{address}/direct",
        data=ticket.data,
        file_prefix=f"{ticket.folder}/",
        # Without its scheme: a page takes its own.
        file_url_path=f"//{address.partition('://')[2]}/{folder_prefix(app, ticket.folder)}",
        expires=ticket.expires.isoformat(),
    )


def _wish(asked: Mapping[str, Any]) -> Wish:
    texts = {name: _text(asked, name) for name in ("filename", "content_type", "size", "checksum")}
    return Wish(texts["filename"], texts["content_type"], _size(texts["size"]), _sha256(texts["checksum"]))


def _text(asked: Mapping[str, Any], name: str) -> str:
    """A field as it was sent: a size of 0 is not none, and no list is a name."""
    value = asked.get(name)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Refused(f"The field {name} must be a text or a whole number.")
    return str(value)


def _size(text: str) -> int | None:
    if not text:
        return None
    if len(text) > _MAX_SIZE_DIGITS or not (text.isascii() and text.isdecimal()) or int(text) < 1:
        raise Refused("The size must be the file's number of bytes, at least 1.")
    return int(text)


def _sha256(text: str) -> bytes | None:
    """A checksum in hex or in Base64; a blank in it is what a form made of a plus."""
    if not text:
        return None
    for read in (bytes.fromhex, lambda text: base64.b64decode(text.replace(" ", "+"), validate=True)):
        try:
            digest = read(text)
        except (ValueError, binascii.Error):
            continue
        if len(digest) == _SHA256_BYTES:
            return digest
    raise Refused("The checksum must be the file's SHA-256, in hex or in Base64.")


def credential_source(
    access_key: str | None, secret_key: str | None, token: str | None
) -> Callable[[], ReadOnlyCredentials | None]:
    """The given credentials, or those that boto finds: of an instance's role, renewed before they end."""
    if access_key and secret_key:
        fixed = ReadOnlyCredentials(access_key, secret_key, token)
        return lambda: fixed
    session, lock = Session(), threading.Lock()

    def found() -> ReadOnlyCredentials | None:
        try:
            with lock:
                known = session.get_credentials()
            return known.get_frozen_credentials() if known else None
        except BotoCoreError as error:
            current_app.logger.warning("no credentials: %r", error)
            return None

    return found
