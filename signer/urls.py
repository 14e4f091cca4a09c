"""Picture URLs: signed for those who may ask, readable for those sizes that anybody may see."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request

from signer import caller
from signer.facts import Facts
from signer.website import resized_url
from thumbstack.apps import Apps
from thumbstack.link import Link, Links, read_end
from thumbstack.options import Options, read_crop, read_widths
from thumbstack.picture_element import Original, picture_element, srcset
from thumbstack.picture_key import PictureKey
from thumbstack.picture_type import PDF
from thumbstack.presets import chosen_options
from thumbstack.refusal import Expired, Forbidden, Missing, NoSuchPicture, NotAPicture, Refused
from thumbstack.signing import signed_path

routes = Blueprint("urls", __name__)

_MAX_TEXT = 1000
_READABLE = re.compile(r"(?P<options>.+)/u/(?P<picture>o/[^/]+/[^/]+/[^/]+)")
# What a page may append to make a browser ask again; anything else in a query means nothing here.
_VERSION = re.compile(r"[A-Za-z0-9._-]{1,32}")


@dataclass(frozen=True)
class Room:
    """What the routes work with."""

    apps: Apps
    security_key: str
    links: Links
    facts: Facts
    presets: Mapping[str, str]
    allowed_options: frozenset[str]
    public_url: str | None


def _room() -> Room:
    room: Room = current_app.extensions["room"]
    return room


@routes.get("/healthz")
def healthz() -> Response:
    """The process answers."""
    return jsonify(status="ok")


@routes.post("/sign")
def sign() -> Response:
    """A signed URL of any variant of the caller's own pictures, a srcset, a ready <picture>; all may end."""
    fields = caller.fields()
    app = caller.grant(_room().apps, fields, private=True).app
    picture = PictureKey.parse(str(fields.get("key", "")))
    if picture is None:
        raise Missing("The picture key is missing or none: send key=o/<app>/<folder>/<file>")
    if picture.app != app:
        raise Forbidden("This picture belongs to another app than the key.")
    if picture.extension == PDF.extension:
        raise NotAPicture("A PDF has no sizes: show its original.")
    if fields.get("resize"):
        return jsonify(url=resized_url(picture, fields))
    options, widths = _options(fields), read_widths(fields.get("widths"))
    ends = read_end(fields.get("expires"), time.time())
    base = caller.address(_room().public_url)

    def address(variant: Options) -> str:
        if ends is None:
            return base + signed_path(picture, str(variant), _room().security_key)
        return base + _room().links.path(Link(picture, str(variant), ends))

    if str(fields.get("picture", "")).lower() not in ("1", "true", "yes"):
        answer = {"url": address(options)}
        if widths:
            answer["srcset"] = srcset([(options.of_width(width), width) for width in widths], address)
        return jsonify(answer)
    alt, sizes = (_text(fields, name) for name in ("alt", "sizes"))
    facts = _room().facts.of(picture, caller.private_key(_room().apps, fields), request.headers.get("X-Request-ID", ""))
    # As in the uploader's URLs of presets: the part that was chosen at publishing.
    crop = read_crop(facts.get("crop", "")) if fields.get("preset") else None
    options = options.cropped(*crop) if crop else options
    original = Original.told(facts)
    answer = {"url": address(options)}
    if variants := original.widths(options, widths):
        answer["srcset"] = srcset(variants, address)
    answer["picture"] = picture_element(original, options, widths, address, alt=alt, sizes=sizes)
    return jsonify(answer)


@routes.get("/t/<path:rest>")
def readable(rest: str) -> Response:
    """A variant that anybody may see, by its preset or its options; nginx fetches it by its signed path."""
    match = _READABLE.fullmatch(rest)
    picture = PictureKey.parse(match["picture"]) if match else None
    if match is None or picture is None:
        raise NoSuchPicture("No such picture: ask as /t/<preset>/u/<picture key>")
    options = _room().presets.get(match["options"], match["options"])
    if options not in _room().allowed_options:
        raise Forbidden("This size is not public: use a preset or a signed URL.")
    version = request.args.get("v", "")
    query = f"?v={version}" if _VERSION.fullmatch(version) else ""
    answer = Response(status=200)
    answer.headers["X-Accel-Redirect"] = f"/_thumbor{signed_path(picture, options, _room().security_key)}{query}"
    del answer.headers["Content-Type"]
    return answer


@routes.get("/e/<path:rest>")
def expiring(rest: str) -> tuple[Response, int] | Response:
    """Whether a link that ends still holds; nginx asks, keeps a yes for as long, and fetches the picture itself."""
    try:
        link = _room().links.read(f"/e/{rest}", time.time())
    except Expired as refusal:
        # nginx's auth_request knows 401 and 403 for a no; it tells the client 410.
        return jsonify(refusal.body()), 401
    answer = Response(status=200)
    answer.headers["X-Link-Path"] = signed_path(link.picture, link.options, _room().security_key)
    answer.headers["X-Link-Ends"] = formatdate(link.expires, usegmt=True)
    # nginx keeps it through the second that it is told, and in its last second a link has ended.
    answer.headers["X-Accel-Expires"] = f"@{link.expires - 1}"
    del answer.headers["Content-Type"]
    return answer


def _text(fields: Mapping[str, Any], name: str) -> str:
    """What stands in a page as it was sent, but for what would end an attribute."""
    text = fields.get(name, "")
    if not isinstance(text, str) or len(text) > _MAX_TEXT:
        raise Refused(f"{name} must be a text of at most {_MAX_TEXT} characters.")
    return text


def _options(fields: Mapping[str, Any]) -> Options:
    return chosen_options(_room().presets, *(str(fields.get(name) or "") for name in ("options", "preset")))
