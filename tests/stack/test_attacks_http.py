"""What an attacker makes of HTTP itself: headers, hosts, methods and bodies that lead elsewhere."""

import pytest

from tests.stack.raw import ask, talk
from tests.stack.stacks import Stack
from tests.stack.victim import Victim, assert_harmless, assert_refused

pytestmark = pytest.mark.stack


TRICKS = [
    "X-Original-URL: {other}",
    "X-Rewrite-URL: {other}",
    "X-Original-URI: {other}",
    "X-Accel-Redirect: {other}",
    "X-Accel-Redirect: /_s3/thumbstack-pictures/{secret}",
    "X-Accel-Internal: /_s3",
    "X-Sendfile: /etc/passwd",
    "X-Link-Path: {other}",
    "X-Link-Ends: Thu, 01 Jan 2037 00:00:00 GMT",
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Prefix: /_thumbor",
    "X-Forwarded-Proto: javascript",
    "X-Forwarded-Protocol: ssl",
    "X-Forwarded-Ssl: on",
    "X-Forwarded-For: 127.0.0.1",
    "X-Real-IP: 127.0.0.1",
    "Forwarded: for=127.0.0.1;host=evil.example",
    "X-Script-Name: /_thumbor",
    "SCRIPT_NAME: /_thumbor",
    "SCRIPT-NAME: /_thumbor",
    "PATH_INFO: {other}",
    "X-HTTP-Method-Override: DELETE",
    "X-HTTP-Method: DELETE",
    "X-Method-Override: DELETE",
    "Connection: close, X-Request-ID, Host",
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
    "Upgrade: websocket",
    "Accept: {other}",
    "Accept-Encoding: gzip, br, evil",
    "Cookie: session=evil",
    "Origin: https://evil.example",
    "Referer: {other}",
    "User-Agent: () {{ :; }}; echo",
    'X-Request-ID: "}}\\n',
    "X-Evil: \xff\xfe",
    "Range: bytes=0-",
]
# What answers from one and the same entry may differ in.
_PASSING = ("date", "x-request-id", "x-cache", "server-timing", "age")


@pytest.mark.usefixtures("untouched")
def test_no_header_leads_elsewhere_and_none_stays(stack: Stack, victim: Victim) -> None:
    for trick in TRICKS:
        try:
            assert_no_trick(stack, victim, trick)
        except AssertionError as problem:
            raise AssertionError(trick) from problem


def assert_no_trick(stack: Stack, victim: Victim, trick: str) -> None:
    """A header changes neither the answer nor what is kept of it for others."""
    other = f"/unsafe/800x800/{victim.secret.key}"
    header = trick.format(other=other, secret=victim.secret.key).encode("latin-1")
    for target in ("/nothing", "/_thumbor/x", f"/unsafe/1x1/{victim.picture.key}", f"/t/1x1/u/{victim.picture.key}"):
        assert_refused(stack, ask(stack, target, headers=[header]))
    for valid in victim.targets.values():
        # A new entry of the edge, where there can be one: the trick is what fills it.
        target = f"{valid}?v={TRICKS.index(trick)}"
        tricked, plain, usual = ask(stack, target, headers=[header]), ask(stack, target), ask(stack, valid)

        assert tricked.status in (200, 206)
        assert tricked.body == plain.body == usual.body
        told, expected = (
            {name: value for name, value in answer.headers.items() if name not in _PASSING} for answer in (plain, usual)
        )
        assert told == expected
    facts = ask(stack, f"/pictures/{victim.picture.key}", headers=[header])
    assert (facts.status, facts.json["key"]) == (200, victim.picture.key)


@pytest.mark.usefixtures("untouched")
def test_no_host_leads_elsewhere(stack: Stack, victim: Victim) -> None:
    for host in ("", "evil.example", "127.0.0.1:1", "a b", "evil/../x", "[::1", "a" * 300, "x\r\nHost: y"):
        for target in (*victim.targets.values(), f"/unsafe/1x1/{victim.picture.key}", f"/_s3/{victim.picture.key}"):
            for start in ("", "http://evil.example", "http://169.254.169.254"):
                sent = f"GET {start}{target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
                (answer,) = talk(stack, sent.encode())
                assert_harmless(stack, victim, answer)


METHODS = ["POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND", "PURGE", "get", "GETS", "A", "-", "X" * 99]


@pytest.mark.usefixtures("untouched")
def test_a_picture_is_read_and_nothing_else(stack: Stack, victim: Victim) -> None:
    for method in METHODS:
        for target in (*victim.targets.values(), victim.resized, "/_thumbor/x", "/nothing", "/pictures/x"):
            assert_refused(stack, ask(stack, target, method, body=b"x=y"))
        # To the rooms, where two of these methods mean something.
        if method not in ("POST", "DELETE"):
            for target in ("/", "/sign", "/pictures", "/upload", "/delete", f"/pictures/{victim.picture.key}"):
                assert_refused(stack, ask(stack, f"{target}?name=victim&filenames={victim.picture.key}", method))


@pytest.mark.usefixtures("untouched")
def test_no_method_is_overridden(stack: Stack, victim: Victim) -> None:
    query = "name=victim&_method=DELETE&method=DELETE&X-HTTP-Method-Override=DELETE"
    form = b"_method=DELETE&name=victim"
    headers = ["X-HTTP-Method-Override: DELETE", "X-HTTP-Method: DELETE", "X-Method-Override: DELETE"]
    headers.append("Content-Type: application/x-www-form-urlencoded")
    for target in ("/", f"/pictures/{victim.picture.key}", "/delete-all-pictures"):
        for method in ("GET", "POST", "OPTIONS", "PUT"):
            answer = ask(stack, f"{target}?{query}", method, headers, form)

            assert answer.status < 500
            assert b"deleted" not in answer.body


FRAMES = [
    # Two ways to say how long the body is.
    "Content-Length: {chunked_length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}",
    "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n{hex}\r\n{smuggled}\r\n0\r\n\r\n",
    "Content-Length: 0\r\nContent-Length: {length}\r\n\r\n{smuggled}",
    "Content-Length: {length}\r\nContent-Length: 0\r\n\r\n{smuggled}",
    "Content-Length: 0, {length}\r\n\r\n{smuggled}",
    "Content-Length: +{length}\r\n\r\n{smuggled}",
    "Content-Length: -1\r\n\r\n{smuggled}",
    "Content-Length: 0x{hex}\r\n\r\n{smuggled}",
    "Content-Length: 18446744073709551616\r\n\r\n{smuggled}",
    # The coding's name, written so that one hop may know it and another not.
    "Transfer-Encoding : chunked\r\nContent-Length: {length}\r\n\r\n{smuggled}",
    "Transfer-Encoding: xchunked\r\nContent-Length: {length}\r\n\r\n{smuggled}",
    "Transfer-Encoding:\tchunked\r\nContent-Length: {length}\r\n\r\n{smuggled}",
    "Transfer-Encoding: chunked\x0b\r\nContent-Length: {length}\r\n\r\n{smuggled}",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nContent-Length: {length}\r\n\r\n{smuggled}",
    "Transfer-Encoding: identity, chunked\r\nContent-Length: {length}\r\n\r\n{smuggled}",
    "Transfer_Encoding: chunked\r\nContent-Length: {length}\r\n\r\n{smuggled}",
    "Transfer-Encoding\0: chunked\r\nContent-Length: {length}\r\n\r\n{smuggled}",
    # Chunks.
    "Transfer-Encoding: chunked\r\n\r\n{hex};\n{smuggled}\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n0x{hex}\r\n{smuggled}\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n-1\r\n{smuggled}\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n{smuggled}\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n{hex}\r\n{smuggled}\r\n0\r\n\r\n",
    # A body where nobody expects one, and one that is waited for.
    "Content-Length: {length}\r\n\r\n{smuggled}",
    "Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n{smuggled}",
    "Connection: Content-Length\r\nContent-Length: {length}\r\n\r\n{smuggled}",
    "Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\nContent-Length: {length}\r\n\r\n{smuggled}",
]


@pytest.mark.usefixtures("untouched")
def test_nothing_is_smuggled_in_a_body(stack: Stack, victim: Victim) -> None:
    for frame in FRAMES:
        try:
            assert_one_request(stack, victim, frame)
        except AssertionError as problem:
            raise AssertionError(frame) from problem


def assert_one_request(stack: Stack, victim: Victim, frame: str) -> None:
    """What is framed so is a body, or nothing at all."""
    smuggled = f"DELETE /pictures/{victim.secret.key} HTTP/1.1\r\nHost: x\r\n\r\n"
    size = len(smuggled)
    framed = frame.format(smuggled=smuggled, length=size, hex=f"{size:x}", chunked_length=size + 5)
    # What stands behind is somebody else's request, and gets its own answer or none.
    behind = "GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    for line in (
        "POST / HTTP/1.1",
        "POST /sign HTTP/1.1",
        "DELETE /pictures/o/demo/nobody/1.jpg HTTP/1.1",
        "GET /pictures HTTP/1.1",
        *(f"GET {target} HTTP/1.1" for target in victim.targets.values()),
        f"GET {victim.targets['signed']} HTTP/1.0",
    ):
        answers = talk(stack, f"{line}\r\nHost: x\r\n{framed}{behind}".encode("latin-1"), patience=2)

        assert len(answers) <= 2, answers
        assert all(answer.status < 500 for answer in answers), answers
        assert not any(b"deleted" in answer.body for answer in answers), answers
        assert all(answer.body == b"Pong!\n" or answer.status == 400 for answer in answers[1:]), answers
