"""Variants on the website bucket: their addresses for those who may ask, and the verdict on the addresses that come."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, current_app

from signer import caller
from thumbstack.picture_key import PictureKey
from thumbstack.refusal import BadOptions, NoSuchPicture
from thumbstack.resize_url import ResizePath, read_resize, resize_path

routes = Blueprint("website", __name__)


@dataclass(frozen=True)
class Website:
    """What this room knows of the website bucket; what is in there is the uploader's."""

    security_keys: Sequence[str]
    # Whether there is one.
    on: bool
    url: str | None
    public_url: str | None

    @property
    def address(self) -> str:
        """Where the world sees the bucket, without a slash at its end."""
        return (self.url or f"{caller.address(self.public_url)}/website").rstrip("/")


def _website() -> Website:
    website: Website = current_app.extensions["website"]
    return website


@routes.get("/m/o/<app>/<folder>/<file>/<name>")
def verdict(app: str, folder: str, file: str, name: str) -> Response:
    """Whether a variant may be made; nginx asks the uploader for it then."""
    asked = ResizePath.parse(f"/m/o/{app}/{folder}/{file}/{name}")
    if not _website().on or asked is None or not asked.signed_by(_website().security_keys):
        raise NoSuchPicture("No such picture: ask with an address as it was signed.")
    answer = Response(status=200)
    answer.headers["X-Accel-Redirect"] = f"/_variant{asked}"
    del answer.headers["Content-Type"]
    return answer


def resized_url(picture: PictureKey, fields: Mapping[str, Any]) -> str:
    """The address, on the website, of the variant that the field `resize` asks for."""
    if not _website().on:
        raise BadOptions("There is no website bucket here: ask for 'options' or a 'preset'.")
    if any(fields.get(name) for name in ("options", "preset", "widths", "expires", "picture")):
        raise BadOptions("Send 'resize' alone: it says all of the variant.")
    resize = read_resize(str(fields["resize"]), picture)
    return _website().address + resize_path(picture, resize, _website().security_keys[0])
