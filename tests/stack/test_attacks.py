"""What an attacker tries: none of it gets a picture that he may not see, a write, or a 5xx."""

import base64
import hmac
import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import pytest
import requests
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.stack.raw import Answer, ask, talk
from tests.stack.stacks import SHOP, Picture, Stack

pytestmark = pytest.mark.stack

# ATTACKS=2000 tries longer, ATTACK_SEED=2 elsewhere.
_ATTACKS = int(os.environ.get("ATTACKS", "300"))
_SEED = int(os.environ.get("ATTACK_SEED", "1"))
_OPTIONS = "fit-in/400x400/filters:quality(90)"
_QUALITY = "300x200/filters:quality(90)"


@dataclass(frozen=True)
class Victim:
    """A picture of each kind of address, and one that the attacker does not know."""

    picture: Picture
    secret: Picture
    # By kind: the target of a valid address, and that of the address which makes what is missing on the website.
    targets: Mapping[str, str]
    resized: str
    # What anybody who knows the addresses may see.
    bodies: frozenset[bytes]

    @property
    def signature(self) -> str:
        """Of the signed address."""
        return self.targets["signed"].split("/")[1]


@pytest.fixture(scope="module")
def victim(stack: Stack, coffee: bytes, cat: bytes) -> Victim:
    """Uploaded and rendered once, so that nothing that an attack does is mixed with what a reader does."""
    picture, secret = stack.upload(coffee, "victim.jpg"), stack.upload(cat, "secret.png")

    def target(url: str) -> str:
        return url.removeprefix(stack.url)

    sign = {"key": picture.key, "options": _OPTIONS}
    link = requests.post(f"{stack.url}/sign", json={**sign, "expires": 3600}, timeout=60).json()["url"]
    sign = {"key": picture.key, "resize": "100x100-fill-80-upscale.jpg"}
    website = target(requests.post(f"{stack.url}/sign", json=sign, timeout=60).json()["url"])
    resized = website.removeprefix("/website")
    assert ask(stack, resized).status == 302
    targets = {
        "signed": target(picture.urls["MI"]),
        "preset": f"/t/MI/u/{picture.key}",
        "options": f"/t/{_OPTIONS}/u/{picture.key}",
        "link": target(link),
        "original": f"/{picture.key}",
        "website": website,
    }
    bodies = set()
    for each in (*targets.values(), *map(target, picture.urls.values())):
        answer = ask(stack, each)
        assert answer.status == 200, answer
        bodies.add(answer.body)
    assert stack.eventually(lambda: len(stack.results(picture.key)) >= len(picture.urls))
    return Victim(picture, secret, targets, resized, frozenset(bodies))


@pytest.fixture
def untouched(stack: Stack, victim: Victim) -> Iterator[None]:
    """Whatever a test does, it stores nothing and deletes nothing."""

    def kept() -> tuple[list[str], ...]:
        # Beside these there are only notices of what tests delete themselves.
        return stack.originals(""), stack.results("o/"), stack.variants("")

    before = kept()
    yield
    # A result is stored a moment after the answer.
    time.sleep(0.3)
    assert kept() == before


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


def assert_refused(stack: Stack, answer: Answer) -> None:
    """A 4xx in our words, which tell nothing."""
    assert 400 <= answer.status < 500, answer
    assert answer.status != 429, "nothing was looked at"
    assert answer.headers["content-type"] == "application/json", answer
    assert set(answer.json) >= {"error", "code"}
    text = answer.body.decode()
    for secret in (stack.security_keys, stack.pictures_bucket, stack.results_bucket, "Traceback", "127.0.0.1"):
        assert secret not in text


def assert_harmless(stack: Stack, victim: Victim, answer: Answer) -> None:
    """Refused, or another spelling of an address that is valid."""
    if answer.status == 200:
        assert answer.body in victim.bodies
    elif answer.status == 302:
        # A website sends whoever misses something to where it is made; and from there back, if it was.
        place = answer.headers["location"].removeprefix(stack.url)
        assert place.startswith(("/m/", "/website/m/"))
        if place != victim.targets["website"]:
            assert_refused(stack, ask(stack, place))
    else:
        assert_refused(stack, answer)


# {signature}, {options}, {key}: the valid address's; {secret}: a key that the attacker should not know, or another's.
SMUGGLED = [
    # Options behind, before and in the place of those that were signed.
    "/{signature}/800x800/{options}/{key}",
    "/{signature}/{options}/800x800/{key}",
    "/{signature}/800x800%2F{options}/{key}",
    "/{signature}/{options}%2F800x800/{key}",
    "/{signature}/{options}%252F800x800/{key}",
    "/{signature}/{options}/..%2F800x800/{key}",
    "/{signature}/800x800/..%2f{options}%2f..%2f..%2f/{key}",
    "/{signature}/{options}/%2e%2e/%2e%2e/%2e%2e/800x800/{key}",
    "/{signature}%2F..%2F{signature}/800x800/{key}",
    "/{signature}//800x800/{key}",
    "/{signature}/{options}%00/800x800/{key}",
    "/{signature}/800x800%00{options}/{key}",
    "/{signature}/{options}%0a/{key}",
    "/{signature}/{options}%0d%0aX-Accel-Redirect:%20/_s3/x/{key}",
    "/{signature}/{options}%3F/800x800/{key}",
    "/{signature}/{options}%23/{key}",
    "/{signature}/{options};/{key}",
    "/{signature}/{options}\\{key}",
    "/{signature}/{options}%5c{key}",
    "/{signature}/{options}:format(gif)/{key}",
    "/{signature}/{options}:quality(1)/{key}",
    "/{signature}/meta/{options}/{key}",
    "/{signature}/debug/{options}/{key}",
    "/{signature}/unsafe/{options}/{key}",
    "/unsafe/{options}/{key}",
    "/unsafe/{signature}/{options}/{key}",
    "/%75nsafe/{options}/{key}",
    "/UNSAFE/{options}/{key}",
    "//{options}/{key}",
    "/%20/{options}/{key}",
    # Letters that look alike, in UTF-8, longer than they need be, and in full width.
    "/{signature}/fit-in%EF%BC%8F400x400/filters:quality(90)/{key}",
    "/{signature}/fit-in%C0%AF400x400/filters:quality(90)/{key}",
    "/{signature}/fit-in%E0%80%AF400x400/filters:quality(90)/{key}",
    "/{signature}/fit-in%E2%88%95400x400/filters:quality(90)/{key}",
    "/{signature}/fit-in/%EF%BC%94%EF%BC%90%EF%BC%90x400/filters:quality(90)/{key}",
    "/{signature}/fit-in/400%C3%97400/filters:quality(90)/{key}",
    "/{signature}/fit-in/400x400/filters:quality(%D9%A9%D9%A0)/{key}",
    "/{signature}/fit-in/400x400/filters:qual%C4%B1ty(90)/{key}",
    # Another picture behind the same signature.
    "/{signature}/{options}/{secret}",
    "/{signature}/{options}/{key}/{secret}",
    "/{signature}/{options}/{key}%2F..%2F..%2F..%2F..%2F{secret}",
    "/{signature}/{options}/{secret}%00/{key}",
    "/{signature}/{options}/{secret}%3F/{key}",
    "/{signature}/{options}/{secret}%23/{key}",
    "/{signature}/{options}/{key}%2F..%2F..%2F..%2F..%2Fincoming/demo/a/b.jpg",
    "/{signature}/{options}/http://192.0.2.1/{key}",
    "/{signature}/{options}/http:%2F%2F192.0.2.1%2F{key}",
    "/{signature}/{options}/192.0.2.1/{key}",
    "/{signature}/{options}/file:///etc/passwd",
    "/{signature}/{options}/s3://thumbstack-pictures/{key}",
    "/{signature}/{options}/thumbstack-pictures/{key}",
]
RESIZED = [
    "/m/{key}/200x200-fill-80-upscale-{made}.jpg",
    "/m/{key}/100x100-fit-80-upscale-{made}.jpg",
    "/m/{key}/100x100-fill-81-upscale-{made}.jpg",
    "/m/{key}/100x100-fill-80-noupscale-{made}.jpg",
    "/m/{key}/100x100-fill-80-upscale-{made}.png",
    "/m/{key}/100x100-fill-80-upscale-{made}.jpeg",
    "/m/{key}/100x100-fill-80-upscale-{made}.jpg.png",
    "/m/{key}/100x100-fill-80-upscale-{made}",
    "/m/{key}/100x100-fill-80-upscale.jpg",
    "/m/{key}/100x100-fill-80-upscale-.jpg",
    "/m/{key}/100x100-fill-80-upscale-00000000000000000000000000000000.jpg",
    "/m/{key}/100x100-fill-80-upscale-{made}0.jpg",
    "/m/{key}/0100x100-fill-80-upscale-{made}.jpg",
    "/m/{key}/100x100-fill-080-upscale-{made}.jpg",
    "/m/{key}/9999x9999-fill-80-upscale-{made}.jpg",
    "/m/{key}/{nines}x1-fill-80-upscale-{made}.jpg",
    "/m/{key}/100X100-FILL-80-UPSCALE-{made}.JPG",
    "/m/{key}/100x100-fill-80-upscale-{MADE}.jpg",
    "/m/{key}/100x100-fill-80-upscale-{made}.jpg%00",
    "/m/{key}/100x100-fill-80-upscale-{made}.jpg%0a",
    "/m/{key}/100x100-fill-80-upscale-{made}%2ejpg%2f",
    "/m/{key}/%EF%BC%91100x100-fill-80-upscale-{made}.jpg",
    "/m/{key}/x/100x100-fill-80-upscale-{made}.jpg",
    "/m/{secret}/100x100-fill-80-upscale-{made}.jpg",
    "/m/{secret}/..%2f..%2f..%2f..%2f{key}/100x100-fill-80-upscale-{made}.jpg",
    "/m/{key}/..%2f..%2f..%2f..%2f..%2f{secret}/100x100-fill-80-upscale-{made}.jpg",
    "/m/incoming/demo/a/100x100-fill-80-upscale-{made}.jpg",
    "/m/{key}",
    "/m/",
    "/m/{options}/{key}",
    "/m/{signature}/{options}/{key}",
    "/{signature}/m/{key}/100x100-fill-80-upscale-{made}.jpg",
    "/website/{key}",
    "/website/o/demo/",
    "/website/",
    "/website/m/",
    "/website/m/{key}/",
    "/website/m/{secret}/100x100-fill-80-upscale-{made}.jpg",
    "/website/m/..%2f..%2fthumbstack-pictures%2f{key}",
    "/website/../_website/thumbstack-pictures/{key}",
    "/_website/thumbstack-pictures/{key}",
    "/_website/thumbstack-website/m/{key}/100x100-fill-80-upscale-{made}.jpg",
    "/_variant/m/{key}/100x100-fill-80-upscale-{made}.jpg",
    "/_part/{signature}/800x800/{key}",
    "/_part/unsafe/800x800/{key}",
]
NAMES_AS_PATHS = [
    "/MI/{key}",
    "/{signature}/MI/{key}",
    "/t/MI/{key}",
    "/t/u/{key}",
    "/t//u/{key}",
    "/t/MI/u/u/{key}",
    "/t/MI/card/u/{key}",
    "/t/card/800x800/u/{key}",
    "/t/800x800/card/u/{key}",
    "/t/mi/u/{key}",
    "/t/MI%00/u/{key}",
    "/t/MI%20/u/{key}",
    "/t/%20MI/u/{key}",
    "/t/MI%0a/u/{key}",
    "/t/MI%2F800x800/u/{key}",
    "/t/MI:quality(1)/u/{key}",
    "/t/nobody/u/{key}",
    "/t/presets.toml/u/{key}",
    "/t/..%2f..%2fthumbstack%2fpresets.toml/u/{key}",
    "/t/__class__/u/{key}",
    "/t/%D0%9C%D0%86/u/{key}",
    "/t/%EF%BC%AD%EF%BC%A9/u/{key}",
    "/t/M%C4%B0/u/{key}",
    "/t/MI/u/{key}/u/{secret}",
    "/t/800x800/u/{secret}/u/{key}",
    "/t/MI/u/http://192.0.2.1/{key}",
    "/t/MI/u/http:%2F%2F192.0.2.1%2F{key}",
    "/t/MI/u/file:///etc/passwd",
    "/t/MI/u/incoming/demo/a/b.jpg",
    "/t/MI/u/o/demo/%2e%2e/%2e%2e/etc/passwd",
    "/t/MI/u/o/demo/..%2f..%2f..%2fetc%2fpasswd",
    "/t/MI/u/O/DEMO/A/B.JPG",
    "/t/MI/u/o/demo/a/%2e",
    "/t/{signature}/{options}/u/{key}",
    "/t/_thumbor/u/{key}",
]
INSIDE = [
    "/_thumbor/{signature}/{options}/{key}",
    "/_thumbor/unsafe/800x800/{key}",
    "/%5fthumbor/unsafe/800x800/{key}",
    "/x/../_thumbor/unsafe/800x800/{key}",
    "/_s3/thumbstack-pictures/{key}",
    "/%5Fs3/thumbstack-pictures/{key}",
    "//_s3//thumbstack-pictures/{key}",
    "/o/../_s3/thumbstack-pictures/{key}",
    "/_s3/thumbstack-pictures/{key}?X-Amz-Signature=0",
    "/_link",
    "/_link?link={key}",
    "/_error",
    "/_no_such_picture",
    "/_expired",
    "/healthcheck",
    "/metrics",
    "/thumbstack-pictures/{key}",
    "/thumbstack-pictures/",
    "/.git/config",
    "/../../../../etc/passwd",
    "/..%2f..%2f..%2fetc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/static/../../secrets.env",
    "/o/demo/victim/",
    "/o/demo/",
    "/o/",
    "/incoming/demo/a/b.jpg",
]


def filled(victim: Victim, template: str) -> str:
    """The target that a template stands for."""
    made = victim.resized.rpartition("-")[2].removesuffix(".jpg")
    return template.format(
        signature=victim.signature,
        options=_OPTIONS,
        key=victim.picture.key,
        secret=victim.secret.key,
        made=made,
        MADE=made.upper(),
        nines="9" * 40,
    )


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    "templates", [SMUGGLED, RESIZED, NAMES_AS_PATHS, INSIDE], ids=["smuggled", "resized", "names", "inside"]
)
def test_no_spelling_gets_anything_else(stack: Stack, victim: Victim, templates: Sequence[str]) -> None:
    for template in templates:
        answer = ask(stack, filled(victim, template))

        try:
            assert_harmless(stack, victim, answer)
        except AssertionError as problem:
            raise AssertionError(template) from problem


@pytest.mark.usefixtures("untouched")
def test_a_valid_address_in_another_spelling_is_the_same_picture(stack: Stack, victim: Victim) -> None:
    """Else the lists above would prove nothing."""
    spellings = [
        "/{signature}/fit-in%2F400x400/filters%3Aquality%2890%29/{key}",
        "/x/../{signature}/./{options}//{key}",
        "/t/fit-in/400x400/filters%3aquality%2890%29/u/{key}",
        "/t/%4D%49/u/{key}",
    ]
    for spelling in spellings:
        answer = ask(stack, filled(victim, spelling))

        assert (answer.status, answer.body in victim.bodies) == (200, True), spelling


@pytest.mark.usefixtures("untouched")
def test_a_signature_is_for_one_address_and_has_one_spelling(stack: Stack, victim: Victim) -> None:
    right = victim.signature
    assert len(right) == 28
    # Of the last letter but one only four bits count when it is decoded: seven others mean the same bytes.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    at = alphabet.index(right[-2]) // 4 * 4
    same_bytes = [right[:-2] + letter + "=" for letter in alphabet[at : at + 4] if letter != right[-2]]
    assert {base64.urlsafe_b64decode(each) for each in same_bytes} == {base64.urlsafe_b64decode(right)}
    wrong = [
        *same_bytes,
        right[:-1],
        right + "=",
        right[:27] + "%00=",
        right.swapcase(),
        right[1:] + right[0],
        "=" * 28,
        "A" * 27 + "=",
        right * 2,
        right[0],
        "%20" + right,
        right + "%20",
        victim.secret.urls["MI"].removeprefix(stack.url).split("/")[1],
        victim.picture.urls["card"].removeprefix(stack.url).split("/")[1],
    ]
    for signature in wrong:
        assert_refused(stack, ask(stack, f"/{signature}/{_OPTIONS}/{victim.picture.key}"))


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


@pytest.mark.usefixtures("untouched")
def test_a_link_that_has_ended_is_not_replayed(stack: Stack, victim: Victim) -> None:
    fields = {"key": victim.picture.key, "options": _OPTIONS, "expires": 4}
    link = requests.post(f"{stack.url}/sign", json=fields, timeout=60).json()["url"].removeprefix(stack.url)
    first = ask(stack, link)
    assert first.status == 200
    assert stack.eventually(lambda: ask(stack, link).status == 410)
    _, _, ends, key_id, signature, rest = link.split("/", 5)
    lasting = victim.targets["link"].split("/")

    for header in (
        "Range: bytes=0-9",
        f"If-None-Match: {first.headers['etag']}",
        "If-Modified-Since: Thu, 01 Jan 2037 00:00:00 GMT",
        "Cache-Control: only-if-cached, max-stale=99999",
        "Accept: image/webp",
        "Date: Thu, 01 Jan 1970 00:00:00 GMT",
    ):
        answer = ask(stack, link, headers=[header])
        assert (answer.status, answer.json["code"]) == (410, "expired")
    for again in (
        f"{link}?v=1",
        link.replace("fit-in/", "fit-in//"),
        link.replace(":", "%3A"),
        link.replace(f"/{ends}/", f"//{ends}/./"),
        f"/e/{int(ends) + 3600}/{key_id}/{signature}/{rest}",
        f"/e/{lasting[2]}/{key_id}/{signature}/{rest}",
        f"/e/{ends}/{key_id}/{lasting[4]}/{rest}",
        f"/e/0{ends}/{key_id}/{signature}/{rest}",
        f"/e/+{ends}/{key_id}/{signature}/{rest}",
        f"/e/-{ends}/{key_id}/{signature}/{rest}",
        f"/e/{ends}0/{key_id}/{signature}/{rest}",
        f"/e/{ends}.0/{key_id}/{signature}/{rest}",
        f"/e/{'9' * 400}/{key_id}/{signature}/{rest}",
        f"/e/%EF%BC%99{ends[1:]}/{key_id}/{signature}/{rest}",
        f"/e/{ends}/{key_id.upper()}0/{signature}/{rest}",
        f"/e/{ends}/00000000/{signature}/{rest}",
        f"/e/{ends}/{key_id}/{signature}=/{rest}",
        f"/e/{ends}/{key_id}/{signature[:-1]}/{rest}",
        f"/E/{ends}/{key_id}/{signature}/{rest}",
        f"/{signature}/{rest}",
        f"/{key_id}/{signature}/{rest}",
        f"/e/{victim.signature}/{rest}",
        f"/e/{ends}/{key_id}/{victim.signature}/{rest}",
    ):
        assert_refused(stack, ask(stack, again))


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("length", [2_000, 5_000, 8_500, 40_000, 1_000_000])
def test_no_length_is_too_much(stack: Stack, victim: Victim, length: int) -> None:
    key, signature = victim.picture.key, victim.signature
    for target in (
        "/" + "a" * length,
        "/" * length + key,
        f"/{'a' * length}/{key}",
        f"/{signature}/{'1' * length}x1/{key}",
        f"/{signature}/filters:{'quality(90):' * (length // 12)}quality(90)/{key}",
        f"/{signature}/{'fit-in/' * (length // 7)}{key}",
        f"/t/{'MI/' * (length // 3)}u/{key}",
        f"/e/{'1' * length}/{key}",
        f"/e/1/00000000/{'A' * length}/{key}",
        f"/{signature}/{'../' * (length // 3)}{key}",
        f"/{signature}/{'%2e%2e%2f' * (length // 9)}{key}",
        f"/o/demo/{'a' * length}/{key.rpartition('/')[2]}",
        f"/m/{key}/{'1' * length}x100-fill-80-upscale-00000000000000000000000000000000.jpg",
        f"/website/m/{key}/{'a' * length}.jpg",
        f"/pictures?after={'a' * length}",
    ):
        assert_harmless(stack, victim, ask(stack, target))


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


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("shown", [SHOP["private_key"], SHOP["public_key"], "nobodys-key-0123456789"])
def test_one_app_reaches_nothing_of_another(stack: Stack, victim: Victim, shown: str) -> None:
    key, file = victim.picture.key, victim.picture.key.rpartition("/")[2]
    headers = [f"Authorization: Bearer {shown}", "Content-Type: application/json"]
    for method, target, fields in (
        ("POST", "/sign", {"key": key, "options": "300x200"}),
        ("POST", "/sign", {"key": key, "options": "300x200", "private_api_key": SHOP["private_key"]}),
        ("POST", "/sign", {"key": f"o/shop/../demo/victim/{file}", "options": "300x200"}),
        ("POST", "/sign", {"key": f"o/shop/x/{file}", "options": "300x200/" + key + "?"}),
        ("POST", "/publish", {"key": key}),
        ("POST", "/publish", {"filename": file}),
        ("POST", "/publish", {"key": f"incoming/shop/../../{key}"}),
        ("POST", "/rotate", {"key": key}),
        ("GET", f"/pictures/{key}", {}),
        ("DELETE", f"/pictures/{key}", {}),
        ("DELETE", f"/pictures/o/shop/..%2fdemo/victim/{file}", {}),
        ("DELETE", f"/pictures/o/shop/%2e%2e/demo/victim/{file}", {}),
        ("GET", "/", {"name": "victim"}),
        ("GET", "/", {"name": "../demo/victim"}),
        ("DELETE", "/", {"name": "victim"}),
        ("DELETE", "/", {"name": "..\\demo\\victim"}),
        ("GET", "/pictures", {"after": key}),
    ):
        assert_refused(stack, ask(stack, target, method, headers, json.dumps(fields).encode()))
    several = json.dumps({"filenames": [key, file, f"../../{key}"]}).encode()
    answer = ask(stack, "/delete", "POST", headers, several)
    assert answer.status == 403 or {each["status"] for each in answer.json["filenames"]} == {404}


# What an address is changed by, one or more times.
_PIECES = [
    *(
        "%2f",
        "%2F",
        "%252f",
        "..",
        "../",
        "/..",
        "//",
        "/./",
        "%2e%2e%2f",
        "%00",
        "%0a",
        "%0d%0a",
        "\\",
        "%5c",
        ";",
        "?",
    ),
    *("#", "%23", "%3f", "%ff", "%c0%af", "%ef%bc%8f", "%e2%80%ae", "%e0%80%af", "%u2215", "%25", "%", "%20", " ", "+"),
    *("=", "'", '"', "(", ")", ":", ",", "@", "|", "{", "<", "\t", "\0", "\x7f", "é", "４", "-", "0", "9999", "x", "A"),
    *("unsafe/", "meta/", "debug/", "smart/", "trim/", "fit-in/", "full-", "filters:", "format(gif)", "http://", "u/"),
    *("t/", "e/", "o/", "m/", "_s3/", "_thumbor/", "incoming/"),
]
_KINDS = ["insert", "replace", "drop", "cut", "encode", "encode twice", "case", "swap", "repeat", "leave out"]
_PLACE = st.floats(0, 1, exclude_max=True)
_CHANGES = st.lists(
    st.tuples(st.sampled_from(_KINDS), _PLACE, _PLACE, st.sampled_from(_PIECES)), min_size=1, max_size=4
)


def changed(target: bytes, kind: str, where: float, other: float, piece: bytes) -> bytes:
    """The target with one change, as far into it as `where` says."""
    at = 1 + int(where * (len(target) - 1))
    before, letter, after = target[:at], target[at : at + 1], target[at + 1 :]
    _, *segments = target.split(b"/")
    first, second = (int(place * len(segments)) for place in (where, other))
    match kind:
        case "insert":
            return before + piece + letter + after
        case "replace":
            return before + piece + after
        case "drop":
            return before + after
        case "cut":
            return before
        case "encode":
            return before + (b"%%%02x" % letter[0] if letter else b"") + after
        case "encode twice":
            return before + (b"%%25%02x" % letter[0] if letter else b"") + after
        case "case":
            return before + letter.swapcase() + after
        case "swap":
            segments[first], segments[second] = segments[second], segments[first]
        case "repeat":
            segments.insert(first, segments[second])
        case "leave out":
            del segments[first]
    return b"/" + b"/".join(segments)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("kind", ["signed", "preset", "options", "link", "original", "website", "resized"])
@seed(_SEED)
@settings(
    max_examples=_ATTACKS,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    # `untouched` looks once, behind all of them.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(changes=_CHANGES)
def test_a_changed_address_is_the_same_picture_or_none(
    stack: Stack, victim: Victim, kind: str, changes: list[tuple[str, float, float, str]]
) -> None:
    target = (victim.resized if kind == "resized" else victim.targets[kind]).encode()
    for each, where, other, piece in changes:
        target = changed(target, each, where, other, piece.encode())

    assert_harmless(stack, victim, ask(stack, target))


def as_shop(shown: str = SHOP["public_key"]) -> list[str]:
    """The headers of the other app."""
    return [f"Authorization: Bearer {shown}"]


def posted(stack: Stack, fields: Sequence[tuple[str, str]], body: bytes, name: str, target: str = "/direct") -> Answer:
    """A form with a file behind its fields, as they stand."""
    parts = [f'--x\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n' for key, value in fields]
    head = "".join(parts) + f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    form = head.encode() + body + b"\r\n--x--\r\n"
    return ask(stack, target, "POST", ["Content-Type: multipart/form-data; boundary=x"], form)


def ticket(stack: Stack, **wish: str) -> dict[str, str]:
    """The fields of a ticket of the other app."""
    answer = requests.post(
        f"{stack.url}/generate_policy", json=wish, headers={"Authorization": f"Bearer {SHOP['public_key']}"}, timeout=60
    )
    return {name.replace("_", "-"): value for name, value in answer.json()["data"].items()}


@pytest.fixture
def shop(stack: Stack, untouched: None) -> Iterator[str]:
    """The prefix of the other app, that may write there; at the end all of it is gone."""
    prefix = f"o/{SHOP['app']}/"
    yield prefix
    headers = {"Authorization": f"Bearer {SHOP['private_key']}"}
    assert requests.delete(f"{stack.url}/delete-all-pictures", headers=headers, timeout=60).status_code == 200
    assert stack.originals(prefix) == []


def test_a_ticket_is_for_nothing_else(stack: Stack, victim: Victim, cat: bytes, shop: str) -> None:
    given = ticket(stack, filename="a.png")
    policy = json.loads(base64.b64decode(given["policy"]))
    policy["conditions"] = [["starts-with", "$key", ""]]
    wide = base64.b64encode(json.dumps(policy).encode()).decode()
    changes: list[dict[str, str | None]] = [
        {"key": given["key"].replace("/shop/", "/demo/")},
        {"key": victim.picture.key},
        {"key": f"o/shop/../demo/victim/{given['key'].rpartition('/')[2]}"},
        {"key": given["key"] + "/../../../demo/x.png"},
        {"key": f"/{given['key']}"},
        {"key": given["key"].replace("/", "%2F")},
        {"key": given["key"] + "\0"},
        {"key": given["key"].replace("o/", "incoming/", 1)},
        {"key": "${filename}"},
        {"key": "notices/9999999999999-00000000"},
        {"policy": wide},
        {"policy": wide, "key": victim.picture.key},
        {"policy": given["policy"] + "="},
        {"policy": None},
        {"policy": None, "x-amz-signature": None},
        {"x-amz-signature": None},
        {"x-amz-signature": "0" * 64},
        {"x-amz-signature": given["x-amz-signature"].upper()},
        {"x-amz-algorithm": "none"},
        {"x-amz-credential": given["x-amz-credential"].replace("/s3/", "/iam/")},
        {"x-amz-date": "20000101T000000Z"},
        {"content-type": "text/html"},
        {"x-amz-meta-sha256": "0" * 64},
        {"x-amz-meta-ticket": "9999999999"},
    ]
    for change in changes:
        fields = [(name, value) for name, value in {**given, **change}.items() if value is not None]
        answer = posted(stack, fields, cat, "a.png")
        assert answer.status in (400, 403), (change, answer)
        assert_refused(stack, answer)
    assert stack.originals(shop) == []

    # AWS refuses what no ticket names; the embedded S3 lets some of it pass, and must not mind it.
    for name, value in (
        ("bucket", stack.results_bucket),
        ("acl", "public-read"),
        ("success_action_redirect", "http://192.0.2.1/"),
        ("success_action_status", "200"),
        ("x-amz-website-redirect-location", "http://192.0.2.1/"),
        ("x-amz-security-token", "x"),
        ("tagging", "<Tagging/>"),
        ("key", victim.picture.key),
    ):
        for fields in ([(name, value), *given.items()], [*given.items(), (name, value)]):
            answer = posted(stack, fields, cat, "a.png")
            if answer.status in (200, 204):
                assert (answer.body, "location" in answer.headers) == (b"", False)
            else:
                assert_refused(stack, answer)
            assert set(stack.originals(shop)) <= {given["key"]}
    straight = requests.get(f"{stack.s3_endpoint}/{stack.pictures_bucket}/{given['key']}", timeout=60)
    assert straight.status_code in (403, 404)


@pytest.mark.usefixtures("untouched")
def test_the_way_of_a_ticket_leads_nowhere_else(stack: Stack, victim: Victim, cat: bytes) -> None:
    given = list(ticket(stack, filename="a.png").items())
    for target in (
        "/direct/",
        f"/direct/{victim.picture.key}",
        "/direct/../o/demo/",
        "/direct%2f..%2fthumbstack-results",
        "/direct//",
        "/Direct",
        f"/{stack.pictures_bucket}",
        f"/_s3/{stack.pictures_bucket}",
    ):
        assert_refused(stack, posted(stack, given, cat, "a.png", target))
    for query in ("delete", "acl", "policy", "uploads", "versioning", "X-Amz-Signature=0", "cors", "list-type=2"):
        for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "POST"):
            if method != "HEAD":
                assert_refused(stack, ask(stack, f"/direct?{query}", method, ["Content-Type: text/xml"], b"<Delete/>"))
            forms = ["Content-Type: multipart/form-data; boundary=x", "x-amz-copy-source: /thumbstack-pictures/x"]
            if method != "POST":
                assert 400 <= ask(stack, f"/direct?{query}", method, forms).status < 500
    assert_refused(stack, ask(stack, "/direct", "POST", ["Content-Type: multipart/form-data; boundary=x"], b"--x--"))


def test_a_file_that_names_itself_stays_in_its_folder(stack: Stack, victim: Victim, cat: bytes, shop: str) -> None:
    given = ticket(stack)
    folder = given["key"].removesuffix("${filename}")
    file = victim.picture.key.rpartition("/")[2]
    for name in (
        f"../../demo/victim/{file}",
        f"..%2f..%2fdemo%2fvictim%2f{file}",
        f"..\\..\\demo\\victim\\{file}",
        f"/o/demo/victim/{file}",
        f"a/../../../demo/victim/{file}",
        "../../../incoming/demo/x.png",
        "..",
        ".",
        "",
        "${filename}",
        "a\0b.png",
        "a" * 300,
        "ä\u202egnp.exe",
        "index.html",
    ):
        answer = posted(stack, list(given.items()), cat, name)

        assert answer.status == 204 or 400 <= answer.status < 500, (name, answer)
    kept = stack.originals(shop)
    assert len(kept) >= 3
    # What was never completed is nothing that a browser would open.
    for key in kept:
        assert key.startswith(folder)
        shown = ask(stack, "/" + quote(key))
        if shown.status == 200:
            assert shown.headers["content-type"] in ("application/octet-stream", "image/png", "image/jpeg"), key
            assert shown.headers["x-content-type-options"] == "nosniff"
            assert "default-src 'none'" in shown.headers["content-security-policy"]
        else:
            assert_refused(stack, shown)


@pytest.mark.usefixtures("untouched")
def test_nothing_of_another_app_is_completed_listed_or_deleted(stack: Stack, victim: Victim) -> None:
    key, file = victim.picture.key, victim.picture.key.rpartition("/")[2]
    for shown in (SHOP["private_key"], SHOP["public_key"]):
        for asked in (
            key,
            victim.secret.key,
            f"incoming/{key.removeprefix('o/')}",
            f"o/shop/../demo/victim/{file}",
            f"o/shop/x/../../demo/victim/{file}",
            f"o/shop%2F..%2Fdemo/victim/{file}",
            f"o//demo/victim/{file}",
            "o/shop/nobody/x.png",
            "o/shop/",
            "o/",
            "",
            "notices/9999999999999-00000000",
            "a" * 5000,
        ):
            body = json.dumps({"key": asked}).encode()
            headers = [*as_shop(shown), "Content-Type: application/json"]
            assert_refused(stack, ask(stack, "/complete", "POST", headers, body))
    for asked in (key, f"../demo/victim/{file}", f"..%2fdemo/victim/{file}", f"/../../o/demo/victim/{file}", "..", ""):
        for shown in (SHOP["private_key"], SHOP["public_key"], "nobodys-key-0123456789"):
            target = f"/delete_file?private_api_key={shown}&api_key={SHOP['public_key']}&file_path={asked}"
            answer = ask(stack, target, "DELETE")
            # What is not there is as good as deleted.
            assert answer.status == 204 or 400 <= answer.status < 500, answer
    listed = ask(
        stack, f"/list_files?api_key={SHOP['public_key']}&private_api_key={SHOP['private_key']}&prefix=o/demo/"
    )
    assert (listed.status, listed.json) == (200, [])
    for keys in ("", f"api_key={SHOP['public_key']}", f"api_key=x&private_api_key={SHOP['private_key']}"):
        if keys:
            assert_refused(stack, ask(stack, f"/list_files?{keys}"))
