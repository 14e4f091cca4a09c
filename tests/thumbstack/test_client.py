"""The client, against a service that misbehaves as it is told: the real one (tests/stack/test_client.py) does not."""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import threading
import time
import tomllib
import tracemalloc
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from typing import IO, Any, cast

import pytest
from flask import Flask, request

from thumbstack.client import Thumbstack, Unreachable
from thumbstack.form import Form, Source, opened
from thumbstack.link import Links
from thumbstack.options import read_options
from thumbstack.picture_key import PictureKey
from thumbstack.refusal import BadOptions, Missing, NoRoom, NoSuchPicture, NotAPicture, Refused, StorageUnavailable
from thumbstack.signing import signed_path

ROOT = Path(__file__).parents[2]
KEYS = ("new-key-of-the-tests-0123456789", "old-key-of-the-tests-0123456789")
KEY = "o/demo/coffee/1763600000_0123456789abcdef0123.jpg"
PICTURE = {
    "name": "coffee.jpg",
    "key": KEY,
    "url": f"http://x/{KEY}",
    "content_type": "image/jpeg",
    "width": 3,
    "height": 2,
    "frames": 1,
    "bytes": 5,
    "sha256": "ab",
    "altered": False,
    "uploaded": "2026-11-20T05:00:00+00:00",
    "dominant_color": "#000000",
    "placeholder": None,
    "urls": {"card": "http://x/card"},
    "of a newer service": 1,
}
UPLOADED = json.dumps({"status": "Uploaded", "pictures": [PICTURE]})
DELETED = json.dumps({"status": "gone", "originals": 1, "results": 2, "edge": 3, "keys": [KEY]})


def refusal(code: str) -> str:
    """A refusal's body."""
    return json.dumps({"error": "A sentence.", "code": code})


@dataclass
class Answer:
    """What the service says next; without a status it breaks off the connection."""

    status: int | None
    body: str = refusal("unavailable")
    headers: dict[str, str] = field(default_factory=lambda: {"Retry-After": "0"})


@dataclass
class Asked:
    """What it was asked."""

    line: str
    headers: dict[str, str]
    body: bytes


class Service(ThreadingHTTPServer):
    """Says what it was told to say, in that order."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[Answer] = []
        self.asked: list[Asked] = []

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Service

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.server.asked.append(Asked(f"{self.command} {self.path}", dict(self.headers), body))
        answer = self.server.answers.pop(0)
        if answer.status is None:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body.encode())

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the names that http.server calls

    def log_message(self, *_: object) -> None:
        """Be silent."""


@pytest.fixture
def service() -> Iterator[Service]:
    """Listens; nothing is said yet."""
    with Service() as service:
        thread = threading.Thread(target=service.serve_forever, args=(0.01,))
        thread.start()
        yield service
        service.shutdown()
        thread.join()


@pytest.fixture
def client(service: Service) -> Iterator[Thumbstack]:
    """With both keys."""
    with Thumbstack(service.url, api_key="public", private_api_key="private", timeout=10) as client:
        yield client


def test_an_upload_is_one_form_with_its_checksum(service: Service, client: Thumbstack) -> None:
    service.answers = [Answer(201, UPLOADED)]

    picture = client.upload(b"bytes", 'b"o\r\nb.jpg', note="läuft")

    assert (picture.key, picture.width, picture.uploaded.year, picture.note) == (KEY, 3, 2026, "")
    (asked,) = service.asked
    assert asked.headers["Content-Digest"] == f"sha-256=:{b64encode(hashlib.sha256(b'bytes').digest()).decode()}:"
    app = Flask("reads it")
    with app.test_request_context("/", method="POST", data=asked.body, headers=asked.headers):
        assert request.form.to_dict() == {"note": "läuft"}
        assert request.files["file"].read() == b"bytes"
        assert request.files["file"].filename == 'b"o%0D%0Ab.jpg'


def test_each_call_shows_the_least_key_that_it_needs(service: Service, client: Thumbstack) -> None:
    service.answers = [Answer(201, UPLOADED), Answer(200, DELETED), Answer(200, "picture")]

    client.upload(b"bytes", "a.jpg")
    client.delete(KEY)
    client.download(KEY, io.BytesIO())

    shown = [asked.headers.get("Authorization") for asked in service.asked]
    assert shown == ["Bearer public", "Bearer private", None]


def test_what_a_netrc_has_for_the_host_is_not_sent(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("default login somebody password secret\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    service.answers = [Answer(200, DELETED)] * 2

    for key in ("private", None):
        with Thumbstack(service.url, private_api_key=key) as client:
            client.delete(KEY)

    assert [asked.headers.get("Authorization") for asked in service.asked] == ["Bearer private", None]


@pytest.mark.parametrize("answer", [Answer(None), Answer(429), Answer(502), Answer(503), Answer(504)])
def test_what_may_be_asked_twice_is(service: Service, client: Thumbstack, answer: Answer) -> None:
    service.answers = [answer, answer, Answer(200, DELETED)]

    assert client.delete(KEY).edge == 3
    assert len(service.asked) == 3


@pytest.mark.parametrize("answer", [Answer(429), Answer(503)])
def test_an_upload_of_which_nothing_was_stored_is_sent_again_whole(
    service: Service, client: Thumbstack, answer: Answer
) -> None:
    service.answers = [answer, Answer(201, UPLOADED)]

    client.upload(b"bytes", "a.jpg")

    first, second = service.asked
    assert first.body == second.body


@pytest.mark.parametrize("answer", [Answer(None), Answer(500), Answer(502), Answer(504)])
def test_an_upload_that_may_have_been_stored_is_not_sent_again(
    service: Service, client: Thumbstack, answer: Answer
) -> None:
    service.answers = [answer, Answer(201, UPLOADED)]

    with pytest.raises(Refused) as caught:
        client.upload(b"bytes", "a.jpg")

    assert len(service.asked) == 1
    assert isinstance(caught.value, Unreachable) == (answer.status is None)


def test_who_is_told_to_come_much_later_is_told_so(service: Service, client: Thumbstack) -> None:
    service.answers = [Answer(503, refusal("no_room"), {"Retry-After": "60", "X-Request-ID": "some-request"})]

    with pytest.raises(NoRoom) as caught:
        client.upload(b"bytes", "a.jpg")

    told = caught.value
    assert (told.status, told.code, told.sentence) == (503, "no_room", "A sentence.")
    assert (told.request_id, told.retry_after_seconds) == ("some-request", 60)


def test_patience_has_an_end(service: Service) -> None:
    service.answers = [Answer(503, refusal("storage_unavailable"))] * 3

    with Thumbstack(service.url, retries=2) as client, pytest.raises(StorageUnavailable):
        client.delete(KEY)

    assert service.answers == []


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (404, refusal("no_such_picture"), NoSuchPicture, "no_such_picture"),
        (418, refusal("of_a_newer_service"), Refused, "of_a_newer_service"),
        (404, "<html>Not found</html>", Unreachable, "unreachable"),
        (403, '["forbidden"]', Unreachable, "unreachable"),
        (200, "<html>Welcome</html>", Unreachable, "unreachable"),
        (200, "{}", Unreachable, "unreachable"),
        (200, "[]", Unreachable, "unreachable"),
        (302, "", Unreachable, "unreachable"),
    ],
)
def test_every_refusal_is_one_family(
    service: Service, client: Thumbstack, status: int, body: str, kind: type[Refused], code: str
) -> None:
    service.answers = [Answer(status, body, {"Location": "/elsewhere"})]

    with pytest.raises(Refused) as caught:
        client.find(KEY)

    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.status) == (code, status if status >= 400 else 503)


def test_nobody_there_is_a_refusal_too() -> None:
    with Thumbstack("http://127.0.0.1:1", retries=1, private_api_key="very-secret") as client:
        with pytest.raises(Unreachable) as caught:
            client.upload(b"bytes", "a.jpg")
        with pytest.raises(Unreachable):
            client.delete(KEY)

    assert caught.value.status == 503
    assert "very-secret" not in f"{client!r}{caught.value!r}"


def test_a_list_goes_through_all_pages(service: Service, client: Thumbstack) -> None:
    pages = [{"pictures": [PICTURE, PICTURE], "next": KEY}, {"pictures": [PICTURE], "next": None}]
    service.answers = [Answer(200, json.dumps(page)) for page in pages]

    assert [picture.key for picture in client.list()] == [KEY] * 3
    assert [asked.line for asked in service.asked] == [
        "GET /pictures?after=&limit=100",
        f"GET /pictures?after={KEY.replace('/', '%2F')}&limit=100",
    ]


def test_a_download_that_breaks_off_leaves_nothing(service: Service, client: Thumbstack, tmp_path: Path) -> None:
    (tmp_path / "there.jpg").write_text("as it was")
    service.answers = [Answer(200, "all of it"), Answer(200, "all of it")]
    client.download(KEY, tmp_path / "new.jpg")
    service.answers = [Answer(200, "short", {"Content-Encoding": "gzip"})]

    with pytest.raises(Unreachable):
        client.download(KEY, tmp_path / "there.jpg")

    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "new.jpg": "all of it",
        "there.jpg": "as it was",
    }


def test_urls_are_signed_here_with_the_newest_key() -> None:
    client = Thumbstack("https://pictures.example.com/", security_keys=",".join(KEYS))
    picture = PictureKey.parse(KEY)
    assert picture is not None

    signed = signed_path(picture, "300x200/smart", KEYS[0])
    narrow = signed_path(picture, str(read_options("300x200/smart").of_width(150)), KEYS[0])

    assert client.sign(KEY, "300x200/smart") == f"https://pictures.example.com{signed}"
    assert client.srcset(KEY, [300, 150, 300], "300x200/smart") == (
        f"https://pictures.example.com{narrow} 150w, https://pictures.example.com{signed} 300w"
    )
    assert "/600x400/smart/" in client.sign(KEY, preset="card")


def test_a_link_that_ends_is_signed_here_with_the_newest_key() -> None:
    client = Thumbstack("https://pictures.example.com", security_keys=KEYS)

    url = client.sign(KEY, "300x200", expires=60)

    link = Links(KEYS).read(url.removeprefix("https://pictures.example.com"), time.time())
    assert (str(link.picture), link.options) == (KEY, "300x200")
    assert 50 < link.expires - time.time() <= 60
    assert "/e/" in client.srcset(KEY, [300], "300x200", expires=60)
    for seconds in (0, -1, 400 * 24 * 60 * 60):
        with pytest.raises(BadOptions):
            client.sign(KEY, "300x200", expires=seconds)


def test_a_picture_element_is_made_here_of_what_is_known(service: Service) -> None:
    service.answers = [Answer(200, json.dumps({**PICTURE, "width": 600, "height": 400, "crop": "300x400+10+0"}))]
    with Thumbstack(service.url, security_keys=KEYS) as client:
        picture = client.find(KEY)

        element = client.picture_element(picture, preset="card", widths=[100, 9], alt='"<cup>')

    assert element.startswith('<picture><source type="image/avif" srcset="')
    assert 'alt="&quot;&lt;cup&gt;" loading="lazy"' in element
    assert "/10x0:310x400/600x400/smart/" in element
    assert len(service.asked) == 1


def test_a_form_goes_to_where_its_ticket_says_and_shows_no_key(service: Service) -> None:
    data = {"key": "o/demo/abc/${filename}", "x_amz_date": "today"}
    ticket = {"url": f"{service.url}/bucket", "data": data, "file_prefix": "abc/", "file_url_path": "//x/o/demo/abc/"}
    refused = Answer(403, "<Error/>", {"x-amz-request-id": "1"})
    service.answers = [
        Answer(200, json.dumps({**ticket, "expires": "2026-11-20T06:00:00+00:00"})),
        Answer(204, ""),
        refused,
    ]

    # Not the service itself: a ticket says where to post.
    with Thumbstack(service.url, api_key="public", private_api_key="private") as client:
        given = client.ticket("a.jpg", size=5)
        key = client.post(given, b"bytes", "a.jpg")
        with pytest.raises(Refused) as caught:
            client.post(given, b"bytes", "a.jpg")

    assert (key, given.expires.hour) == ("o/demo/abc/a.jpg", 6)
    assert caught.value.code == "ticket_refused"
    asked, posted, _ = service.asked
    assert json.loads(asked.body) == {"filename": "a.jpg", "content_type": "", "size": 5, "checksum": ""}
    assert [each.headers.get("Authorization") for each in (asked, posted)] == ["Bearer public", None]
    with Flask("reads it").test_request_context("/", method="POST", data=posted.body, headers=posted.headers):
        assert list(request.form.items()) == [("key", "o/demo/abc/${filename}"), ("x-amz-date", "today")]
    assert posted.body.index(b"x-amz-date") < posted.body.index(b"filename=")


@pytest.mark.parametrize(
    ("key", "options", "preset", "kind"),
    [
        (KEY, "9999x1", "", BadOptions),
        (KEY, "filters:watermark(http://x/)/../", "", BadOptions),
        (KEY, "", "nobody", BadOptions),
        (KEY, "1x1", "card", BadOptions),
        (KEY.replace("jpg", "pdf"), "1x1", "", NotAPicture),
        ("o/demo/../x", "1x1", "", Missing),
        ("", "1x1", "", Missing),
    ],
)
def test_nothing_is_signed_here_that_the_service_would_refuse(
    key: str, options: str, preset: str, kind: type[Refused]
) -> None:
    client = Thumbstack("https://pictures.example.com", security_keys=KEYS)

    with pytest.raises(kind):
        client.sign(key, options, preset=preset)


def read_in_pieces(form: Form, size: int) -> Iterator[bytes]:
    """As a connection reads it."""
    while piece := form.read(size):
        yield piece


def test_a_form_is_never_whole_in_memory(tmp_path: Path) -> None:
    large = tmp_path / "large.jpg"
    with large.open("wb") as file:
        file.truncate(100_000_000)

    tracemalloc.start()
    with opened(large, None) as outgoing:
        form = Form({"note": "x"}, outgoing)
        read = sum(map(len, read_in_pieces(form, 16_384)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert read == len(form) > 100_000_000
    assert peak < 2_000_000


class _Pipe(io.RawIOBase):
    """Can be read once, from its start."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._data.readinto(buffer)


def test_a_file_is_sent_from_where_it_stands_and_again_from_there(tmp_path: Path) -> None:
    body = os.urandom(700_000)
    (tmp_path / "photo.jpg").write_bytes(body)
    standing = io.BytesIO(b"skipped" + body)
    standing.seek(7)
    sources: list[Source] = [
        body,
        str(tmp_path / "photo.jpg"),
        tmp_path / "photo.jpg",
        standing,
        cast(IO[bytes], _Pipe(body)),
    ]

    for source in sources:
        with opened(source, "photo.jpg") as outgoing:
            form = Form({}, outgoing)
            first = form.read()
            form.seek(0)
            pieces = b"".join(read_in_pieces(form, 1000))

        assert body in first
        assert first == pieces
        assert len(first) == len(form)
    assert standing.tell() > 7
    assert not standing.closed


def test_a_name_is_found_or_asked_for(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()

    with (tmp_path / "photo.jpg").open("rb") as file, opened(file, None) as outgoing:
        assert outgoing.name == "photo.jpg"
    with opened(os.fsdecode(os.fsencode(tmp_path / "photo.jpg")), "other.jpg") as outgoing:
        assert outgoing.name == "other.jpg"
    with pytest.raises(Missing), opened(b"bytes", None):
        pass


def names(requirements: Iterable[str]) -> set[str]:
    """The packages that requirements name, without what belongs to an extra."""
    found = (re.match(r"[\w-]+", each) for each in requirements if "extra ==" not in each)
    return {match[0].lower().replace("_", "-") for match in found if match}


def test_importing_it_brings_only_what_the_package_depends_on() -> None:
    program = "import sys; before = {*sys.modules}; import thumbstack.client; print(*{*sys.modules} - before)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    distributions = packages_distributions()
    loaded = {module.partition(".")[0] for module in done.stdout.split()}
    imported = names(name for module in loaded for name in distributions.get(module, ()))

    wanted = set[str]()
    waiting = names(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
    declared = set(waiting)
    while waiting:
        wanted |= waiting
        waiting = set().union(*(names(requires(name) or ()) for name in waiting)) - wanted

    assert imported <= wanted
    assert declared <= imported
