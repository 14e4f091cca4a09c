"""POST /sign with picture: whom it asks, what it makes of the answer, and what when there is none."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from flask.testing import FlaskClient

from signer import create_app
from signer.config import Config
from tests.signer.conftest import SECURITY_KEY
from thumbstack.apps import AppKeys

KEY = "o/shop/cat/1763600000_0123456789abcdef.jpg"
FACTS = {
    "content_type": "image/jpeg",
    "width": 600,
    "height": 400,
    "frames": 1,
    "dominant_color": "#cd8852",
    "placeholder": "data:image/webp;base64,AAAA",
}


class Uploader(ThreadingHTTPServer):
    """A stub, because a real uploader cannot be told to be in trouble: says what it is told, and who asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.says: tuple[int, Any] = (200, FACTS)
        self.asked: list[tuple[str, str | None, str | None]] = []


class _Answer(BaseHTTPRequestHandler):
    server: Uploader

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["Authorization"], self.headers["X-Request-ID"]))
        status, told = self.server.says
        body = told if isinstance(told, bytes) else json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Silence."""


@pytest.fixture
def uploader() -> Iterator[Uploader]:
    """A stub uploader that knows one picture."""
    server = Uploader()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def signer(server: str | None, open_app: str | None = None) -> FlaskClient:
    """A signer that asks that uploader."""
    config = Config(
        security_keys=(SECURITY_KEY,),
        api_keys=(AppKeys("shop", "shop-public-0123456789", "shop-private-0123456789"),),
        open_app=open_app,
        public_url="https://pictures.example",
        uploader_server=server,
        pictures_bucket="pictures",
    )
    return create_app(config).test_client()


@pytest.fixture
def client(uploader: Uploader) -> FlaskClient:
    """The signer beside it."""
    return signer(f"127.0.0.1:{uploader.server_port}")


def asked(client: FlaskClient, headers: dict[str, str], **fields: Any) -> Any:
    """What /sign answers of a picture."""
    return client.post("/sign", json={"key": KEY, "picture": True, **fields}, headers=headers).json


@pytest.mark.parametrize("switch", ["1", "true", True, 1])
def test_a_page_gets_its_element(
    client: FlaskClient, as_keeper: dict[str, str], uploader: Uploader, switch: object
) -> None:
    headers = {**as_keeper, "X-Request-ID": "my-request"}

    told = asked(client, headers, options="300x200", widths=[150, 900], picture=switch, alt='"A" cup', sizes="50vw")

    assert uploader.asked == [(f"/pictures/{KEY}", "Bearer shop-private-0123456789", "my-request")]
    # 900 would only be enlarged.
    assert told["srcset"].endswith(" 150w")
    assert f'src="{told["url"]}" srcset="{told["srcset"]}" sizes="50vw" width="300" height="200"' in told["picture"]
    assert 'alt="&quot;A&quot; cup" loading="lazy"' in told["picture"]
    assert told["picture"].count("<source") == 2


def test_a_form_is_as_good_as_json(client: FlaskClient, as_keeper: dict[str, str]) -> None:
    form = {"key": KEY, "picture": "1", "preset": "MI", "widths": "100,200", "alt": "A cup"}

    assert client.post("/sign", data=form, headers=as_keeper).json == asked(
        client, as_keeper, preset="MI", widths=[100, 200], alt="A cup"
    )


@pytest.mark.parametrize("switch", ["0", "", "false", False, None, "no"])
def test_nobody_is_asked_where_no_element_is(
    client: FlaskClient, as_keeper: dict[str, str], uploader: Uploader, switch: object
) -> None:
    told = asked(client, as_keeper, picture=switch)

    assert told.keys() == {"url"}
    assert uploader.asked == []


def test_everything_in_it_ends_together(client: FlaskClient, as_keeper: dict[str, str]) -> None:
    told = asked(client, as_keeper, options="300x200", widths=[150, 300], expires=60)

    ends = told["url"].split("/")[4]
    assert told["picture"].count(f"https://pictures.example/e/{ends}/") == 7
    assert told["picture"].count("https://") == 7


def test_a_preset_shows_the_part_that_was_chosen(
    client: FlaskClient, as_keeper: dict[str, str], uploader: Uploader
) -> None:
    uploader.says = 200, {**FACTS, "crop": "200x100+10+20"}

    told = asked(client, as_keeper, preset="MI")

    assert "/10x20:210x120/fit-in/400x400/" in told["url"]
    assert 'width="200" height="100"' in told["picture"]
    assert "10x20" not in asked(client, as_keeper, options="fit-in/400x400")["url"]


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        ({"Authorization": "Bearer shop-private-0123456789"}, {}),
        ({"Authorization": "Bearer shop-public-0123456789"}, {"private_api_key": "shop-private-0123456789"}),
        ({}, {"api_key": "shop-public-0123456789", "private_api_key": "shop-private-0123456789"}),
    ],
)
def test_the_uploader_is_shown_the_private_key(
    client: FlaskClient, uploader: Uploader, headers: dict[str, str], fields: dict[str, str]
) -> None:
    assert "picture" in asked(client, headers, **fields)
    assert [authorization for _, authorization, _ in uploader.asked] == ["Bearer shop-private-0123456789"]


def test_an_open_app_needs_no_key(uploader: Uploader) -> None:
    told = asked(signer(f"127.0.0.1:{uploader.server_port}", "shop"), {})

    assert "picture" in told
    assert [authorization for _, authorization, _ in uploader.asked] == [None]


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"key": KEY.replace("jpg", "pdf")}, 415, "unsupported_type"),
        ({"options": "4096x0"}, 400, "bad_options"),
        ({"options": "300x200", "widths": [5000]}, 400, "bad_options"),
        ({"expires": 0}, 400, "bad_options"),
        ({"alt": "x" * 1001}, 400, "bad_request"),
        ({"alt": ["x"]}, 400, "bad_request"),
        ({"sizes": 5}, 400, "bad_request"),
        ({"key": KEY.replace("shop", "other")}, 403, "forbidden"),
        ({"key": ""}, 400, "missing_input"),
    ],
)
def test_what_is_wrong_is_told(
    client: FlaskClient, as_keeper: dict[str, str], uploader: Uploader, fields: dict[str, Any], status: int, code: str
) -> None:
    uploader.says = 200, {**FACTS, "width": 100, "height": 10_000}

    answer = client.post("/sign", json={"key": KEY, "picture": True, **fields}, headers=as_keeper)

    assert (answer.status_code, answer.json and answer.json["code"]) == (status, code)


@pytest.mark.parametrize(
    ("says", "status", "code"),
    [
        ((404, {"error": "No such picture", "code": "no_such_picture"}), 404, "no_such_picture"),
        ((403, {"error": "x", "code": "forbidden"}), 403, "forbidden"),
        ((503, {"error": "x", "code": "storage_unavailable"}), 503, "unavailable"),
        ((500, b"<html>"), 503, "unavailable"),
        ((302, {}), 503, "unavailable"),
        ((200, b"no json"), 503, "unavailable"),
        ((200, []), 503, "unavailable"),
    ],
)
def test_what_the_uploader_says_is_passed_on(
    client: FlaskClient,
    as_keeper: dict[str, str],
    uploader: Uploader,
    says: tuple[int, Any],
    status: int,
    code: str,
) -> None:
    uploader.says = says

    answer = client.post("/sign", json={"key": KEY, "picture": True}, headers=as_keeper)

    assert (answer.status_code, answer.json and answer.json["code"]) == (status, code)
    assert ("Retry-After" in answer.headers) is (status == 503)


@pytest.mark.parametrize("server", [None, "127.0.0.1:1"])
def test_without_an_uploader_it_is_503_and_urls_are_signed_still(server: str | None, as_keeper: dict[str, str]) -> None:
    client = signer(server)

    answer = client.post("/sign", json={"key": KEY, "picture": True}, headers=as_keeper)

    assert (answer.status_code, answer.json and answer.json["code"]) == (503, "unavailable")
    assert asked(client, as_keeper, picture=False, widths=[100]).keys() == {"url", "srcset"}
