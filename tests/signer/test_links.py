"""Links that end: given out by /sign, and what nginx is told of them."""

import time
from email.utils import formatdate

import pytest
from flask.testing import FlaskClient

from tests.signer.conftest import SECURITY_KEY
from thumbstack.link import Link, Links
from thumbstack.picture_key import PictureKey
from thumbstack.signing import signed_path

PICTURE = PictureKey("shop", "cat", "1763600000_0123456789abcdef.jpg")
SITE = "https://pictures.example"
links = Links([SECURITY_KEY])


@pytest.mark.parametrize("kind", ["json", "data"])
def test_what_is_signed_may_end(client: FlaskClient, as_keeper: dict[str, str], kind: str) -> None:
    fields = {"key": str(PICTURE), "options": "400x300", "widths": "200", "expires": "60"}

    now = int(time.time())
    answer = client.post("/sign", **{kind: fields}, headers=as_keeper).json

    assert answer is not None
    for url, options in ((answer["url"], "400x300"), (answer["srcset"].removesuffix(" 200w"), "200x150")):
        link = links.read(url.removeprefix(SITE), now)
        assert (link.picture, link.options) == (PICTURE, options)
        assert now + 60 <= link.expires <= time.time() + 60


def test_nginx_is_told_the_signed_address_and_for_how_long(client: FlaskClient) -> None:
    ends = int(time.time()) + 100

    answer = client.get(links.path(Link(PICTURE, "filters:quality(90)", ends)))

    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["X-Link-Path"] == signed_path(PICTURE, "filters:quality(90)", SECURITY_KEY)
    assert answer.headers["X-Link-Ends"] == formatdate(ends, usegmt=True)
    # Still kept in the second before the last one.
    assert answer.headers["X-Accel-Expires"] == f"@{ends - 1}"


def test_an_expired_link_is_the_no_that_nginx_tells_apart(client: FlaskClient) -> None:
    answer = client.get(links.path(Link(PICTURE, "300x200", int(time.time()))))

    assert (answer.status_code, answer.json and answer.json["code"]) == (401, "expired")
    assert not {"X-Link-Path", "X-Accel-Expires"} & set(answer.headers.keys())


@pytest.mark.parametrize(
    "path",
    [
        links.path(Link(PICTURE, "300x200", 9_999_999_999)).replace("300", "301"),
        Links(["another-key-of-the-tests-0123456789"]).path(Link(PICTURE, "300x200", 9_999_999_999)),
        "/e/" + "x" * 6000,
        "/e/%00/%FF/%E2%80%AE/%ED%A0%80/o/shop/cat/1.jpg",
        "/e/1/2/3/4",
    ],
)
def test_a_forged_link_is_forbidden(client: FlaskClient, path: str) -> None:
    answer = client.get(path)

    assert (answer.status_code, answer.json and answer.json["code"]) == (403, "bad_signature")
    assert not {"X-Link-Path", "X-Accel-Expires"} & set(answer.headers.keys())
