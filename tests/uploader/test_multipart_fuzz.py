"""Whatever a client calls a form: the running room answers in JSON, never with a 5xx, and loses no worker over it.

`HYPOTHESIS_MAX_EXAMPLES=20000 pytest tests/uploader/test_multipart_fuzz.py --timeout 0` runs it for longer.
"""

import io
import json
import os
import re
import socket
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.uploader.conftest import Room


def _png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (3, 2), "red").save(out, "PNG")
    return out.getvalue()


PNG = _png()
BOUNDARIES = [
    *(
        b"frontier",
        b"'()+_,-./:=? x",
        b"-",
        b"--",
        b"x" * 70,
        b"x" * 5000,
        b"",
        b" ",
        b"a\r\nb",
        b"a\x00b",
        b"\xff\xfe",
    ),
    *(b'"', b"a;b", b'a"; boundary="c'),
]
CONTENT_TYPES = [
    *([b"multipart/form-data; boundary=%s"] * 6),
    b'multipart/form-data; boundary="%s"',
    b"multipart/form-data; boundary=%s; boundary=other; charset=utf-7",
    b"multipart/form-data; charset=nonsense; boundary=%s",
    b"multipart/form-data; boundary*=UTF-8''%s",
    b"multipart/form-data",
    b"multipart/mixed; boundary=%s",
    b"MULTIPART/FORM-DATA ; Boundary=%s",
    b"application/x-www-form-urlencoded",
    b"application/json",
    b"multipart",
    b"",
]
NAMES = [
    *([b"file"] * 6),
    *(b"files[]", b"", b"note", b"api_key", b"name", b"again", b"file\x00", b"x" * 3000, "Größe".encode(), b"\xff"),
]
FILE_NAMES = [
    *(b"a.png", b"", b".", b"..", b"../../etc/passwd", b"..\\..\\x.png", b"/", b"a/b/", b"C:\\fakepath\\a.png"),
    *(b"CON", b"nul.png", b"a\x00.png", b"a\r\nX: y.png", b"a.png\\", b'a\\".png', b"%2e%2e%2f", b"%00", b"a.png;b"),
    *("日本語.png".encode(), "é".encode("latin-1"), b"\xff\xfe\xfd", b"\xed\xa0\x80", b"\xf0\x9f\x98", b"x" * 300),
    *(
        b"x" * 20_000,
        b"." * 300,
        b" ",
        b"\t",
        b"-",
        b"--",
        "\u202egnp.a".encode(),
        "\u0130.png".encode(),
        b"=?UTF-8?B?YQ==?=",
    ),
]
STARRED = [
    *(b"UTF-8''a.png", b"UTF-8''%e2%82%ac.png", b"iso-8859-1'en'%A3.png", b"utf-8''%ff%fe", b"utf-8''%00", b"utf-8''%"),
    *(
        b"nonsense''a.png",
        b"''",
        b"'",
        b"",
        b"UTF-16''%d8",
        b"idna''%ff",
        b"zlib''x",
        b"UTF-8''" + b"%41" * 5000,
        b"rot13''n",
    ),
]
HEADERS = [
    *(
        b"Content-Type: image/png",
        b"Content-Type: ",
        b"Content-Type: multipart/mixed; boundary=inner",
        b"Content-Length: 5",
    ),
    *(
        b"Content-Length: -1",
        b"Content-Length: x",
        b"Content-Transfer-Encoding: base64",
        b"no colon",
        b": no name",
        b"X:",
    ),
    *(
        b"X: " + b"y" * 10_000,
        b"X: a\r\n folded",
        b"X: \x00",
        b"\xff: \xff",
        b"Content-Disposition: form-data",
        b"X: y\r",
    ),
    *(b"Content-Digest: sha-256=:AAAA:", b"Content-Digest: sha-256=:" + b"A" * 43 + b"=:", b"Content-Digest: \xff"),
    *(
        b"Content-Digest: sha-256=1",
        b"Content-Digest: md5=:AA==:, sha-512=:A:",
        b"Content-Type: text/plain; charset=zlib",
    ),
]
BODIES = [
    *([PNG] * 3),
    *(
        b"",
        b"x",
        PNG[:-5],
        PNG * 2,
        b"\r\n",
        b"--",
        b"\r\n--frontier",
        b"\r\n--frontier--\r\n",
        b"\x00" * 1000,
        b"\xff" * 70_000,
    ),
    b'--inner\r\nContent-Disposition: form-data; name="file"; filename="i.png"\r\n\r\n' + PNG + b"\r\n--inner--\r\n",
    b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
]


def _some(known: list[bytes], largest: int = 60) -> st.SearchStrategy[bytes]:
    """Mostly what is known to be odd, else anything."""
    return st.one_of(st.sampled_from(known), st.sampled_from(known), st.binary(max_size=largest))


DISPOSITION = st.builds(
    lambda kind, name, file_name, starred: (
        b"Content-Disposition: "
        + kind
        + (b"" if name is None else b'; name="' + name + b'"')
        + (b"" if file_name is None else b'; filename="' + file_name + b'"')
        + (b"" if starred is None else b"; filename*=" + starred)
    ),
    st.sampled_from([*([b"form-data"] * 6), b"attachment", b"", b"form-data; form-data", b";;;", b'form-data; x="']),
    st.one_of(_some(NAMES), st.none()),
    st.one_of(_some(FILE_NAMES), _some(FILE_NAMES), st.none()),
    st.one_of(st.none(), st.none(), _some(STARRED)),
)
RIGHT = (b'Content-Disposition: form-data; name="file"; filename="a.png"', PNG)
PART = st.one_of(
    st.just(RIGHT),
    # Right but for one thing.
    _some(FILE_NAMES).map(lambda name: (RIGHT[0].replace(b"a.png", name), PNG)),
    _some(BODIES, 2000).map(lambda body: (RIGHT[0], body)),
    _some(HEADERS).map(lambda header: (RIGHT[0] + b"\r\n" + header, PNG)),
    st.tuples(
        st.lists(st.one_of(DISPOSITION, DISPOSITION, _some(HEADERS)), max_size=4).map(b"\r\n".join), _some(BODIES, 2000)
    ),
)
CHANGE = st.tuples(
    st.sampled_from(["set", "cut", "remove", "insert", "repeat"]),
    st.floats(0, 1, exclude_max=True),
    st.binary(max_size=12),
)


@dataclass(frozen=True)
class Form:
    """What is sent."""

    method: str
    path: str
    content_type: bytes
    body: bytes
    # The Content-Length.
    promised: int


@st.composite
def forms(draw: st.DrawFn) -> Form:
    """A form that is odd in its parts and in one more way; or in all ways."""
    odd = draw(st.sampled_from(["", "", "boundary", "content type", "ends", "count", "bytes", "path", "all"]))

    def drawn(what: str, strategy: st.SearchStrategy[Any], otherwise: Any) -> Any:
        return draw(strategy) if odd in (what, "all") else otherwise

    boundary = drawn("boundary", _some(BOUNDARIES), b"frontier")
    parts = draw(st.lists(PART, min_size=1, max_size=3))
    parts += [(RIGHT[0], b"")] * drawn("count", st.sampled_from([100, 999, 1000, 5000]), 0)
    end = drawn("ends", st.sampled_from([b"\r\n", b"\n", b"\r"]), b"\r\n")
    body = drawn("ends", st.sampled_from([b"", b"preamble\r\n", b"\r\n", b"\n"]), b"")
    body += b"".join(b"--" + boundary + end + headers + end + end + inner + end for headers, inner in parts)
    body += b"--" + boundary + drawn("ends", st.sampled_from([b"--epilogue", b"--\n", b"--", b"-", b""]), b"--\r\n")
    for how, where, what in drawn("bytes", st.lists(CHANGE, max_size=3), []):
        at = int(where * len(body))
        left, right = {
            "set": (body[:at] + what, body[at + len(what) :]),
            "cut": (body[:at], b""),
            "remove": (body[:at], body[at + len(what) :]),
            "insert": (body[:at] + what, body[at:]),
            "repeat": (body[:at] + body[at : at + 50] * 3, body[at + 50 :]),
        }[how]
        body = left + right
    content_type = drawn("content type", _some(CONTENT_TYPES), CONTENT_TYPES[0]).replace(b"%s", boundary)
    method, path = draw(st.sampled_from([("POST", "/"), ("POST", "/upload")]))
    method, path = drawn("path", st.sampled_from([("POST", "/delete"), ("DELETE", "/"), ("GET", "/")]), (method, path))
    promised = drawn("bytes", st.sampled_from([None, None, 0, 10, len(body) + 100, 1_500_000, 3_000_000]), None)
    # No header of HTTP has these: whatever is before us refuses them.
    content_type = re.sub(rb"[\x00-\x08\x0a-\x1f\x7f]", b"", content_type)
    return Form(method, path, content_type, body, len(body) if promised is None else promised)


def answer(port: int, form: Form) -> tuple[int, bytes]:
    """Status and body; the client says that it is done, however much it promised."""
    head = (
        f"{form.method} {form.path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Content-Length: {form.promised}\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), 60) as client:
        client.sendall(head.encode() + b"Content-Type: " + form.content_type + b"\r\n\r\n")
        # A room that has answered does not want to hear the rest.
        with suppress(OSError):
            client.sendall(form.body)
            client.shutdown(socket.SHUT_WR)
        reply = HTTPResponse(client, method=form.method)
        reply.begin()
        return reply.status, reply.read()


EXAMPLES = int(os.environ.get("HYPOTHESIS_MAX_EXAMPLES", "400"))


def test_any_form_is_answered(running: Room) -> None:
    statuses: Counter[str] = Counter()
    workers = running.workers()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize="HYPOTHESIS_MAX_EXAMPLES" not in os.environ,
        suppress_health_check=list(HealthCheck),
    )
    @given(forms())
    def answered(form: Form) -> None:
        status, body = answer(running.port, form)
        statuses[f"{form.method} {form.path} {status}"] += 1
        assert status < 500, (status, body, form)
        told = json.loads(body) if body else {}
        assert {"pictures", "error", "filename", "success", "status"} & told.keys() or not body, (status, body)
        if status >= 400:
            assert told["code"], told
            assert told["error"], told

    answered()

    print(sorted(statuses.items()))
    assert running.workers() == workers, running.log.read_text()[-4000:]
    # It was not all refused at the door.
    assert statuses["POST / 201"]
    assert statuses["POST /upload 200"]
