"""What an attacker asks for: no spelling of an address gets a picture that he may not see, a write, or a 5xx."""

import base64
import os
from collections.abc import Sequence

import pytest
import requests
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.stack.raw import ask
from tests.stack.stacks import Stack
from tests.stack.victim import OPTIONS, Victim, assert_harmless, assert_refused

pytestmark = pytest.mark.stack

# ATTACKS=2000 tries longer, ATTACK_SEED=2 elsewhere.
_ATTACKS = int(os.environ.get("ATTACKS", "300"))
_SEED = int(os.environ.get("ATTACK_SEED", "1"))
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
        options=OPTIONS,
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
        assert_refused(stack, ask(stack, f"/{signature}/{OPTIONS}/{victim.picture.key}"))


@pytest.mark.usefixtures("untouched")
def test_a_link_that_has_ended_is_not_replayed(stack: Stack, victim: Victim) -> None:
    fields = {"key": victim.picture.key, "options": OPTIONS, "expires": 4}
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
