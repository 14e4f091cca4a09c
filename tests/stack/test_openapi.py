"""The running service keeps to its OpenAPI document, whatever it is asked: no 5xx, no answer that is not in it."""

import os
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import strategies as st

from tests.stack.stacks import ROOT, Picture, Stack

pytestmark = [pytest.mark.stack, pytest.mark.parametrize("stack", ["embedded"], indirect=True)]

# OPENAPI_EXAMPLES=500 looks longer, OPENAPI_SEED=2 elsewhere.
_EXAMPLES = int(os.environ.get("OPENAPI_EXAMPLES", "25"))
_SEED = int(os.environ.get("OPENAPI_SEED", "1"))
_CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
)
# nginx answers these itself, whatever the method.
_ANY_METHOD = ("/ping", "/healthz", "/version")


def read(**configuration: Any) -> schemathesis.BaseSchema:
    """The document, and how to look for answers that are not in it."""
    common: dict[str, Any] = {
        "seed": _SEED,
        "generation": {"max-examples": _EXAMPLES, "database": "none"},
        "checks": {"enabled": False, **{name: {"enabled": True} for name in _CHECKS}},
        "operations": [
            {"include-path": path, "checks": {"unsupported_method": {"enabled": False}}} for path in _ANY_METHOD
        ],
    }
    config = schemathesis.Config.from_dict(common | configuration)
    return schemathesis.openapi.from_path(ROOT / "uploader" / "openapi.json", config=config)


# TRACE is refused by nginx before it looks at the address, so without Allow.
document = read(phases={"coverage": {"unexpected-methods": ["PUT", "PATCH"]}})
well_aimed = read(
    generation={"max-examples": _EXAMPLES, "database": "none", "mode": "positive"},
    phases={"examples": {"enabled": False}, "coverage": {"enabled": False}},
)

_IMAGES = [(ROOT / "tests" / "images" / name).read_bytes() for name in ("coffee.jpg", "cat.png", "coffee.heic")]
_FILES = st.one_of(st.sampled_from([*_IMAGES, b"<svg xmlns='http://www.w3.org/2000/svg'/>"]), st.binary(max_size=100))
for _content_type in document.raw_schema["paths"]["/"]["post"]["requestBody"]["content"]["multipart/form-data"][
    "encoding"
]["file"]["contentType"].split(", "):
    schemathesis.openapi.media_type(_content_type, _FILES)


def aim(case: schemathesis.Case[Any], picture: Picture) -> None:
    """Ask for a picture that there is: by chance nobody ever would."""
    _, app, folder, file = picture.key.split("/")
    signature, options = picture.urls["MI"].split("/", 3)[3].removesuffix(f"/{picture.key}").split("/", 1)
    address = {"app": app, "folder": folder, "file": file, "signature": signature}
    address["options"] = options if "signature" in case.path_parameters else "MI"
    fields: dict[str, Any] = {
        "name": picture.name,
        "key": picture.key,
        "filename": picture.key,
        "filenames": [picture.key, file],
        "file_path": f"{folder}/{file}",
        "preset": "MI",
    }
    for asked, known in ((case.path_parameters, address), (case.query, fields), (case.body, fields)):
        if isinstance(asked, dict):
            asked.update({name: value for name, value in known.items() if name in asked})


@document.parametrize()
def test_every_answer_is_in_the_document(case: schemathesis.Case[Any], stack: Stack) -> None:
    case.call_and_validate(base_url=stack.url, timeout=60)


@well_aimed.parametrize()
def test_every_answer_about_a_picture_is_in_the_document(
    case: schemathesis.Case[Any], stack: Stack, coffee: bytes
) -> None:
    # The one that is there already, or a new one where it was deleted.
    aim(case, stack.upload(coffee, "asked-for.jpg"))
    case.call_and_validate(base_url=stack.url, timeout=60)


@pytest.mark.parametrize("path", ["/pictures?after=", "/sign?key="])
def test_a_long_address_is_refused_in_json(stack: Stack, path: str) -> None:
    # gunicorn's own limit, and its HTML, begin at 4094 bytes.
    for length in (5_000, 9_000):
        answer = requests.post(f"{stack.url}{path}{'a' * length}", timeout=60)
        assert set(answer.json()) == {"error", "code"}


def test_many_headers_are_answered_in_json(stack: Stack) -> None:
    answer = requests.get(f"{stack.url}/pictures", headers={f"X-{number}": "1" for number in range(150)}, timeout=60)

    assert answer.status_code == 200
    assert set(answer.json()) == {"pictures", "next"}
