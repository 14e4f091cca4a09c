"""What an attacker would have the service call: nobody but S3, whatever a filter says."""

import base64
import hmac
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests

from tests.stack.raw import ask
from tests.stack.stacks import Stack
from tests.stack.victim import Victim, assert_refused

pytestmark = pytest.mark.stack

_QUALITY = "300x200/filters:quality(90)"
FETCHING = [
    "watermark({url},0,0,0)",
    "watermark({url}%2Co,0,0,0)",
    "watermark('{url}',0,0,0)",
    "watermark(%27{url}%27,0,0,0)",
    "watermark({doubly},0,0,0)",
    "watermark({slashless},0,0,0)",
    "watermark({upper},0,0,0)",
    "watermark({blank},0,0,0)",
    "frame({url})",
    "quality(90):watermark({url},0,0,0)",
]
ADDRESSES = [
    "{canary}/o/demo/a/b.jpg",
    "{canary}/",
    "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://localhost:8888/healthcheck",
    "http://user@127.0.0.1/",
    "http://2130706433/",
    "http://0x7f.1/",
    "//169.254.169.254/latest",
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "/etc/passwd",
    "../../../etc/passwd",
    "s3://thumbstack-pictures/{secret}",
    "gopher://127.0.0.1:1/_x",
    "data:image/png;base64,iVBORw0KGgo=",
    "incoming/demo/a/b.jpg",
    "thumbstack-pictures/{secret}",
]


@dataclass
class Canary:
    """A server of the attacker's, and who has called it."""

    url: str
    calls: int = 0


@pytest.fixture
def canary() -> Iterator[Canary]:
    """Listens until the test ends. Containers cannot reach it; there the answers alone must do."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        canary = Canary(f"http://{host}:{port}")

        def listen() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                canary.calls += 1
                connection.close()

        thread = threading.Thread(target=listen)
        thread.start()
        yield canary
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def signed(stack: Stack, text: str) -> str:
    """A path that is signed with the service's own key, as only its owner could."""
    key = stack.security_keys.partition(",")[0]
    signature = base64.urlsafe_b64encode(hmac.digest(key.encode(), text.encode(), "sha1")).decode()
    return f"/{signature}/{text}"


def fetching(victim: Victim, canary: Canary) -> Iterator[str]:
    """Options with a filter that would fetch, were it let."""
    for address in ADDRESSES:
        url = address.format(canary=canary.url, secret=victim.secret.key)
        spellings = {
            "url": url,
            "doubly": "".join(f"%25{ord(letter):02x}" for letter in url),
            "slashless": url.replace("/", "%2f"),
            "upper": url.upper(),
            "blank": f"%20{url}",
        }
        yield from (f"300x200/filters:{form.format(**spellings)}" for form in FETCHING)


@pytest.mark.usefixtures("untouched")
def test_no_filter_fetches_for_a_stranger(stack: Stack, victim: Victim, canary: Canary) -> None:
    for options in fetching(victim, canary):
        for start in ("t", victim.signature, "unsafe"):
            for middle in ("/u", ""):
                assert_refused(stack, ask(stack, f"/{start}/{options}{middle}/{victim.picture.key}"))
    assert canary.calls == 0


def test_no_filter_fetches_for_its_owner(stack: Stack, victim: Victim, canary: Canary) -> None:
    """Also not where an application signs whatever its users wrote: no call, and at most the picture without it."""
    without = [ask(stack, signed(stack, f"{options}/{victim.picture.key}")) for options in ("300x200", _QUALITY)]
    assert [answer.status for answer in without] == [200, 200]
    plain = {answer.body for answer in without}
    for options in fetching(victim, canary):
        answer = ask(stack, signed(stack, f"{options}/{victim.picture.key}"))
        if answer.body not in plain:
            assert_refused(stack, answer)

        fields = {"key": victim.picture.key, "options": options}
        url = requests.post(f"{stack.url}/sign", json=fields, timeout=60).json().get("url")
        answer = ask(stack, url.removeprefix(stack.url)) if url else answer
        if answer.body not in plain:
            assert_refused(stack, answer)
    assert canary.calls == 0
