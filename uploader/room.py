"""What the routes of this room work with, and who may use them."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from flask import current_app, request

from thumbstack.apps import Apps, Grant
from thumbstack.buckets import Buckets
from thumbstack.edge import Edge
from thumbstack.intake import Intake
from thumbstack.notices import Notices
from thumbstack.refusal import Forbidden, Refused
from uploader.newest import Newest
from uploader.warming import Warming

# A thousand file names for /delete fit in.
_MAX_JSON_BYTES = 256 * 1024


@dataclass(frozen=True)
class Room:
    """Made once by create_app."""

    apps: Apps
    buckets: Buckets
    edge: Edge
    notices: Notices
    intake: Intake
    warming: Warming
    newest: Newest
    public_url: str | None
    presets: Mapping[str, str]
    security_key: str
    website_url: str | None
    # The edge as it is reached from here.
    edge_server: str | None

    @property
    def address(self) -> str:
        """Where the world reaches the service, without a slash at its end."""
        return (self.public_url or request.host_url).rstrip("/")

    @property
    def website(self) -> str:
        """Where the world sees the website bucket, without a slash at its end."""
        return (self.website_url or f"{self.address}/website").rstrip("/")


def room() -> Room:
    """The room of the application that answers."""
    found: Room = current_app.extensions["room"]
    return found


def field(name: str) -> str:
    """A field of the form, also in the body of a GET or DELETE as ``curl -F`` sends it, or of JSON, or of the query."""
    told = _json().get(name)
    if isinstance(told, list | dict):
        raise Refused(f"The field {name} must be one text.")
    return str(request.form.get(name) or told or request.args.get(name, ""))


def fields(name: str) -> list[str]:
    """All values of a field that may be repeated; in JSON a list."""
    listed = _json().get(name, [])
    values = listed if isinstance(listed, list) else [listed]
    return [*request.form.getlist(name), *map(str, values), *request.args.getlist(name)]


def asked(name: str) -> bool:
    """Whether a switch such as ``?dry_run=1`` is on."""
    return field(name).lower() in ("1", "true", "yes")


def bound_json() -> None:
    """Before each request: JSON is read whole and before a key was shown, and as objects takes many times its bytes."""
    if request.is_json:
        request.max_content_length = _MAX_JSON_BYTES


def _json() -> Mapping[str, Any]:
    found = None
    with suppress(RecursionError):  # brackets within brackets within brackets
        found = request.get_json(silent=True) if request.is_json else None
    return found if isinstance(found, dict) else {}


def grant(*, private: bool) -> Grant:
    """What the request's keys allow; refused unless it is enough."""
    bearer = request.authorization.token if request.authorization and request.authorization.type == "bearer" else None
    keys = (bearer, field("api_key"), field("private_api_key"))
    found = room().apps.grant(key for key in keys if key)
    if found is None or (private and not found.private):
        which = "private API key" if private else "API key"
        raise Forbidden(f"Send a valid {which} as 'Authorization: Bearer ...'.")
    return found
