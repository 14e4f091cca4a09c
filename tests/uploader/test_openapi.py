"""The OpenAPI document says what the code says: every route, every code, and nothing else."""

import json
import re
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from signer import tickets, urls, website
from thumbstack import refusal
from thumbstack.picture_type import ALL_TYPES

ROOT = Path(__file__).parents[2]
DOCUMENT: dict[str, Any] = json.loads((ROOT / "uploader" / "openapi.json").read_text())
METHODS = {"get", "post", "delete"}
PICTURE = "o/{app}/{folder}/{file}"
# What nginx answers itself, and what it hands to S3 and to Thumbor.
NOT_OURS = {
    *("POST /direct", "GET /ping", "GET /healthz", "GET /version"),
    f"GET /{{signature}}/{{options}}/{PICTURE}",
    f"GET /website/m/{PICTURE}/{{name}}",
}


def routes(app: Flask) -> set[str]:
    """Methods and paths of an application, as OpenAPI writes them."""
    return {
        f"{method} {rule.rule.replace('<', '{').replace('>', '}')}"
        for rule in app.url_map.iter_rules()
        # /metrics is for those inside.
        if rule.endpoint not in ("static", "metrics")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def test_it_names_every_route_and_no_other(client: FlaskClient) -> None:
    signer = Flask("signer", static_folder=None)
    signer.register_blueprint(urls.routes)
    signer.register_blueprint(tickets.routes)
    signer.register_blueprint(website.routes)
    ours = routes(client.application) | routes(signer)
    # The address of a link is taken whole, so that whatever is wrong with it is one answer.
    ours = {
        route.replace("/e/{path:rest}", f"/e/{{expires}}/{{key_id}}/{{signature}}/{{options}}/{PICTURE}")
        for route in ours
    }
    # What the uploader does for the signer, once nginx has asked that one.
    ours = {route.replace("/_variant/", "/") for route in ours}
    ours = {route.replace("{path:rest}", f"{{options}}/u/{PICTURE}") for route in ours}

    documented = {
        f"{method.upper()} {path}" for path, item in DOCUMENT["paths"].items() for method in item.keys() & METHODS
    }

    assert documented == ours | NOT_OURS


def test_it_names_the_limits_and_what_cannot_be_shown() -> None:
    operations = {
        path: operation
        for path, item in DOCUMENT["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }

    # nginx says these three itself, to anybody and at once.
    unlimited = {path for path, operation in operations.items() if "429" not in operation["responses"]}
    assert unlimited == {"/ping", "/healthz", "/version"}
    rendered = {path for path in operations if "{options}" in path}
    assert len(rendered) == 3
    assert all("422" in operations[path]["responses"] for path in rendered)


def test_it_names_every_code_and_no_other() -> None:
    refusals = {
        kind.code for kind in vars(refusal).values() if isinstance(kind, type) and issubclass(kind, refusal.Refused)
    }
    sources = [path.read_text() for room in ("uploader", "signer") for path in (ROOT / room).glob("*.py")]
    rooms = {code for source in sources for code in re.findall(r'code="(\w+)"', source)}
    snippets = ROOT / "nginx" / "snippets"
    by_status = (snippets / "maps.conf").read_text().partition("map $status $error_code {")[2].partition("}")[0]
    nginx = set(re.findall(r"(\w+);", by_status))
    nginx |= set(re.findall(r'"code": "(\w+)"', (snippets / "errors.conf").read_text()))
    assert "deleted" in nginx

    codes = DOCUMENT["components"]["schemas"]["Code"]["enum"]

    assert codes == sorted(refusals | rooms | nginx)


def test_it_names_every_type_that_is_taken() -> None:
    for operation in ("/", "/upload"):
        form = DOCUMENT["paths"][operation]["post"]["requestBody"]["content"]["multipart/form-data"]
        assert set(form["encoding"]["file"]["contentType"].split(", ")) == {kind.content_type for kind in ALL_TYPES}


def test_every_part_of_it_is_used() -> None:
    text = json.dumps(DOCUMENT)
    parts = {
        f"#/components/{kind}/{name}"
        for kind, members in DOCUMENT["components"].items()
        if kind != "securitySchemes"
        for name in members
    }

    assert set(re.findall(r'"\$ref": "(.+?)"', text)) == parts


def test_it_is_served(client: FlaskClient) -> None:
    assert client.get("/openapi.json").json == DOCUMENT
