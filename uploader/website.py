"""Variants on the website bucket: made when somebody comes for one that is not there, from then on only pointed to."""

from dataclasses import dataclass

import requests
from flask import Blueprint, Response, request

from thumbstack.buckets import Stored
from thumbstack.picture_key import PictureKey
from thumbstack.picture_type import ALL_TYPES, PictureType
from thumbstack.refusal import NoSuchPicture, NotAPicture, TooLarge, Unavailable
from thumbstack.resize_url import ResizePath
from thumbstack.signing import signed_path
from uploader.room import Room, room

routes = Blueprint("website", __name__)

# The edge waits this long for a render.
_PATIENCE_SECONDS = 70
_BY_CONTENT_TYPE = {kind.content_type: kind for kind in ALL_TYPES}


@dataclass(frozen=True)
class Measured:
    """A picture's size as it is seen, and its type."""

    width: int
    height: int
    kind: PictureType


@routes.get("/_variant/m/o/<app>/<folder>/<file>/<name>")
def variant(app: str, folder: str, file: str, name: str) -> Response:
    """The way back to the website, where the variant is now. Only for what the signer has let through."""
    asked = ResizePath.parse(f"/m/o/{app}/{folder}/{file}/{name}")
    if asked is None:
        raise NoSuchPicture("No such picture")
    if not room().buckets.has_variant(asked.variant):
        refused = _made(room(), asked)
        if refused is not None:
            return refused
    # Found, and never to be kept: whoever keeps it goes in circles should the variant be cleared away.
    return Response(status=302, headers={"Location": f"{room().website}{asked}", "Cache-Control": "no-store"})


def _made(here: Room, asked: ResizePath) -> Response | None:
    """Render a variant and store it; what the render answers where it does not come to that."""
    known = _measured(here, asked.picture)
    options = asked.resize.options(known.width, known.height, known.kind)
    render = _render(here, signed_path(asked.picture, options, here.security_key), asked.resize.content_type)
    if render.status_code != 200:
        headers = {name: render.headers[name] for name in ("Content-Type", "Retry-After") if name in render.headers}
        return Response(render.content, render.status_code, headers)
    if render.headers["Content-Type"] != asked.resize.content_type:
        raise NotAPicture("This picture cannot be had in this format: ask for another one.")
    here.buckets.put_variant(asked.variant, render.content, asked.resize.content_type)
    # A delete removes the original first and then all variants that it finds. One that began during the render may be
    # done by now, and this variant must not outlive it.
    try:
        here.buckets.stored(str(asked.picture))
    except NoSuchPicture:
        here.buckets.delete_variants([asked.variant])
        raise
    return None


def _render(here: Room, path: str, accept: str) -> requests.Response:
    """A signed URL's answer by the edge: it lets one of many through, and it knows what was deleted."""
    headers = {
        "Accept": accept,
        "X-Request-ID": request.headers.get("X-Request-ID", ""),
        # The render counts for him.
        "X-Forwarded-For": request.headers.get("X-Real-IP", ""),
    }
    try:
        return requests.get(f"http://{here.edge_server}{path}", headers=headers, timeout=_PATIENCE_SECONDS)
    except requests.RequestException as error:
        raise Unavailable("The picture cannot be made just now: try again in a few seconds.") from error


def _measured(here: Room, picture: PictureKey) -> Measured:
    """What is known of a picture since it was inspected; one that came past the inspection is looked at now."""
    stored = here.buckets.stored(str(picture))
    known = _known(stored)
    if known:
        return known
    if stored.bytes > here.intake.max_bytes:
        raise TooLarge(f"The original is larger than {here.intake.max_bytes} bytes: it is not rendered.")
    facts = here.intake.facts(picture)
    if not facts.width or not facts.height:
        raise NotAPicture("This file has no sizes: ask for the original.")
    return Measured(facts.width, facts.height, facts.type)


def _known(stored: Stored) -> Measured | None:
    width, height = (stored.metadata.get(side, "") for side in ("width", "height"))
    kind = _BY_CONTENT_TYPE.get(stored.content_type)
    if kind and width.isdecimal() and height.isdecimal() and int(width) and int(height):
        return Measured(int(width), int(height), kind)
    return None
