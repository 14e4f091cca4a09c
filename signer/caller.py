"""Who calls, and the fields of the call: in a form, in JSON or in the query."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from flask import request

from thumbstack.apps import Apps, Grant
from thumbstack.refusal import Forbidden, Refused


def fields() -> Mapping[str, Any]:
    """The fields of a JSON body or of a form; what is not in it may stand in the query."""
    if not request.is_json:
        return {**request.args, **request.form}
    body = None
    with suppress(RecursionError):  # brackets within brackets within brackets
        body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise Refused("The body is no JSON object.")
    return {**request.args, **body}


def address(public_url: str | None) -> str:
    """Where the world reaches the service, without a slash at its end."""
    # Not host_url, which reads the address once more for other letters than ASCII: a tenth of what signing takes.
    return (public_url or f"{request.scheme}://{request.host}").rstrip("/")


def grant(apps: Apps, fields: Mapping[str, Any], *, private: bool) -> Grant:
    """What the request's keys allow; refused unless it is enough."""
    found = apps.grant(_keys(fields))
    if found is None or (private and not found.private):
        which = "the app's private API key" if private else "a valid API key"
        raise Forbidden(f"Send {which} as 'Authorization: Bearer ...'.")
    return found


def private_key(apps: Apps, fields: Mapping[str, Any]) -> str | None:
    """The private one of the keys that the caller shows; None where an open app needs none."""
    grants = ((key, apps.grant([key])) for key in _keys(fields))
    return next((key for key, grant in grants if grant and grant.private), None)


def _keys(fields: Mapping[str, Any]) -> list[str]:
    bearer = request.authorization.token if request.authorization and request.authorization.type == "bearer" else None
    return [str(key) for key in (bearer, fields.get("api_key"), fields.get("private_api_key")) if key]
