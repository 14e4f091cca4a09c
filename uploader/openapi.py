"""The interface in a form that programs read: https://spec.openapis.org/oas/v3.1.0"""

from pathlib import Path

from flask import Blueprint, Response

routes = Blueprint("openapi", __name__)

_DOCUMENT = Path(__file__).with_name("openapi.json").read_bytes()


@routes.get("/openapi.json")
def document() -> Response:
    """All routes of the service, whichever room answers, as a client meets them in front of nginx."""
    return Response(_DOCUMENT, content_type="application/json")
