"""GET / has two readers: a browser without a wish gets the page, everybody else the uploader's answer."""

import re

import pytest

from tests.nginx.conftest import ROOT
from tests.nginx.house import House

PAGE = (ROOT / "client" / "dist" / "page.html").read_bytes()
# As browsers have it.
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"}


@pytest.mark.parametrize("path", ["/", "/?", "/?utm_source=mail", "/?nickname=bob"])
def test_a_browser_gets_the_page(house: House, path: str) -> None:
    answer = house.ask(path, headers=BROWSER)

    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert answer.body == PAGE
    assert house.seen == []


@pytest.mark.parametrize(
    ("method", "path", "headers", "body"),
    [
        pytest.param("GET", "/", {}, b"", id="curl"),
        pytest.param("GET", "/", {"Accept": "*/*"}, b"", id="curl, told"),
        pytest.param("GET", "/", {"Accept": "image/avif,image/webp,*/*"}, b"", id="an img"),
        pytest.param("GET", "/?name=coffee", BROWSER, b"", id="a name"),
        pytest.param("GET", "/?a=b&name=coffee", BROWSER, b"", id="a name behind"),
        pytest.param("GET", "/?name=", BROWSER, b"", id="an empty name"),
        pytest.param("GET", "/", BROWSER, b"name=coffee", id="a body"),
        pytest.param("POST", "/", BROWSER, b"", id="an upload"),
        pytest.param("DELETE", "/", BROWSER, b"", id="a delete"),
    ],
)
def test_everything_else_is_the_uploaders(
    house: House, method: str, path: str, headers: dict[str, str], body: bytes
) -> None:
    answer = house.ask(path, method=method, headers=headers, body=body or None)

    assert answer.body == b"uploader"
    assert [(seen.method, seen.path, seen.body) for seen in house.seen] == [(method, path, body)]


def test_a_body_of_unknown_length_is_the_uploaders(house: House) -> None:
    headers = {**BROWSER, "Transfer-Encoding": "chunked"}

    assert house.ask("/", headers=headers, body=b"4\r\nname\r\n0\r\n\r\n").body == b"uploader"


def test_nothing_runs_in_the_page_but_what_comes_from_here(house: House) -> None:
    headers = house.ask("/", headers=BROWSER).headers

    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["img-src"] == "'self' data: blob:"
    # Where tickets post to, as UPLOAD_URL says.
    assert policy["connect-src"] == "'self' https://uploads.example/"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"


def test_a_new_page_is_seen_at_once_and_brings_its_own_script(house: House) -> None:
    answer = house.ask("/", headers=BROWSER)

    assert answer.headers["Cache-Control"] == "no-cache"
    assert "Accept" in answer.headers["Vary"]
    assert house.ask("/", headers={**BROWSER, "If-None-Match": answer.headers["ETag"]}).status == 304
    loaded = re.findall(rb'(?:src|href)="(client/[^"?]+)\?v=[0-9a-f]{12}"', PAGE)
    assert sorted(loaded) == [b"client/thumbstack-page.css", b"client/thumbstack-page.js"]
    for path in loaded:
        assert house.ask(f"/{path.decode()}").status == 200


def test_the_page_can_be_read_and_nothing_else(house: House) -> None:
    assert house.ask("/", method="HEAD", headers=BROWSER).status == 200
    assert house.ask("/_page", headers=BROWSER).status == 404
