"""Upload tickets: a policy that says all, and a signature that S3 makes the same way."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from thumbstack.apps import Rules
from thumbstack.picture_key import PictureKey, folder_for
from thumbstack.picture_type import JPEG, PNG
from thumbstack.refusal import Missing, NotAPicture, Refused, TooLarge, TypeNotAllowed
from thumbstack.ticket import Terms, Ticket, Wish, encoded, issue, signature

NOW = datetime(2026, 11, 20, 5, 0, 0, 123456, tzinfo=UTC)
# The key pair of AWS's own examples.
KEYS = ReadOnlyCredentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None)
TERMS = Terms("demo-bucket", "eu-central-1", max_bytes=1000, seconds=3600)


def ticket(rules: Rules = Rules(), keys: ReadOnlyCredentials = KEYS, **wish: Any) -> Ticket:  # noqa: B008 - frozen
    return issue(TERMS, keys, "shop", rules, Wish(**wish), NOW)


def policy(issued: Ticket) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(base64.b64decode(issued.data["policy"]))
    return decoded


def test_the_signature_is_the_one_of_the_original_service() -> None:
    prefix = "o/foobar-develop/qstu/0011/2233/4455/6677/8899/aabb/ccdd/eeff/"
    conditions = [
        {"bucket": "demo-bucket"},
        {"acl": "public-read"},
        ["starts-with", "$key", prefix],
        ["starts-with", "$utf8", "✓"],
        {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20261120/eu-central-1/s3/aws4_request"},
        {"x-amz-algorithm": "AWS4-HMAC-SHA256"},
        {"x-amz-date": "20261120T050000Z"},
        {"x-amz-expires": "28800"},
    ]

    text = encoded(datetime(2026, 11, 20, 13, tzinfo=UTC), conditions)

    expected = "c3ecd17b218d998d75e5bfb5866f09adffa002ce3a59c0f6bdd12e6a2aee8541"
    assert signature(text, KEYS, "eu-central-1", NOW) == expected


def test_a_ticket_for_a_named_file_fixes_everything() -> None:
    issued = ticket(name="My_Tiger Ä1.JPG", size=500, sha256=bytes(32))

    picture = PictureKey.parse(issued.data["key"])
    assert picture
    assert (picture.app, picture.folder, picture.extension) == ("shop", folder_for("My_Tiger Ä1"), "jpg")
    assert issued.folder == picture.folder
    assert policy(issued) == {
        "expiration": "2026-11-20T06:00:00Z",
        "conditions": [
            {"bucket": "demo-bucket"},
            {"key": issued.data["key"]},
            ["content-length-range", 500, 500],
            {"content-type": "image/jpeg"},
            {"x-amz-meta-ticket": "1795154400"},
            {"x-amz-algorithm": "AWS4-HMAC-SHA256"},
            {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20261120/eu-central-1/s3/aws4_request"},
            {"x-amz-date": "20261120T050000Z"},
            {"x-amz-meta-name": "My_Tiger %C3%841.JPG"},
            {"x-amz-checksum-sha256": base64.b64encode(bytes(32)).decode()},
        ],
    }


def test_a_ticket_without_a_name_is_for_files_into_one_folder() -> None:
    issued = ticket()

    assert issued.data["key"] == f"o/shop/{issued.folder}/${{filename}}"
    assert ["starts-with", "$key", f"o/shop/{issued.folder}/"] in policy(issued)["conditions"]
    assert ["content-length-range", 1, 1000] in policy(issued)["conditions"]
    assert {"content-type": "application/octet-stream"} in policy(issued)["conditions"]


@pytest.mark.parametrize("wish", [{}, {"name": "cat.png"}], ids=["folder", "file"])
@pytest.mark.parametrize("token", [None, "session-token"])
def test_every_field_of_the_form_has_its_condition(wish: dict[str, Any], token: str | None) -> None:
    # S3 refuses a form that holds a field which the policy does not name, and one that lacks a field that it names.
    issued = ticket(keys=KEYS._replace(token=token), **wish)

    fields = {name.replace("_", "-"): value for name, value in issued.data.items()}
    outside = {name: fields.pop(name) for name in ("key", "policy", "x-amz-signature")}
    named = {
        name: value for one in policy(issued)["conditions"] if isinstance(one, dict) for name, value in one.items()
    }
    named.pop("key", None)
    assert named == {"bucket": "demo-bucket", **fields}
    assert fields.get("x-amz-security-token") == token
    assert all(outside.values())


def test_an_app_may_have_its_uploads_wait() -> None:
    hold = Rules(hold=True)

    named, folder = ticket(hold, name="cat.png"), ticket(hold)

    picture = PictureKey.parse_incoming(named.data["key"])
    assert picture
    assert picture.folder == "cat"
    assert folder.data["key"] == f"incoming/shop/{folder.folder}/${{filename}}"
    assert ["starts-with", "$key", f"incoming/shop/{folder.folder}/"] in policy(folder)["conditions"]


@pytest.mark.parametrize("wish", [{}, {"name": "cat.png"}], ids=["folder", "file"])
def test_no_two_tickets_let_files_meet_and_none_can_be_guessed(wish: dict[str, Any]) -> None:
    keys = [ticket(**wish).data["key"] for _ in range(100)]

    assert len(set(keys)) == 100
    own = [key.removeprefix("o/shop/").removeprefix("cat/1795150800_1f9a") for key in keys]
    # After app, and after the time where there is one: no two begin alike for long.
    assert len({text[:8] for text in own}) == 100


def test_what_is_said_of_the_type_goes_before_the_name() -> None:
    issued = ticket(name="cat.png", content_type="image/jpeg")

    assert issued.data["key"].endswith(".jpg")
    assert issued.data["content_type"] == "image/jpeg"
    assert ticket(content_type="image/webp").data["content_type"] == "image/webp"


@pytest.mark.parametrize(
    ("rules", "wish", "refusal"),
    [
        (Rules(), {"name": "cat"}, Missing),
        (Rules(), {"name": "cat.exe"}, Missing),
        (Rules(), {"name": ".png"}, Missing),
        (Rules(), {"name": "a/", "content_type": "image/png"}, Missing),
        (Rules(), {"name": "cat.png", "content_type": "text/html"}, NotAPicture),
        (Rules(), {"content_type": "image/png; charset=x"}, NotAPicture),
        (Rules(), {"name": "cat.png", "size": 1001}, TooLarge),
        (Rules(types=frozenset((JPEG,))), {"name": "cat.png"}, TypeNotAllowed),
        (Rules(types=frozenset((JPEG, PNG))), {"content_type": "image/gif"}, TypeNotAllowed),
    ],
)
def test_what_would_not_be_taken_in_gets_no_ticket(rules: Rules, wish: dict[str, Any], refusal: type[Refused]) -> None:
    with pytest.raises(refusal):
        ticket(rules, **wish)


@given(st.text(), st.sampled_from(["", "image/png"]))
def test_any_name_makes_a_picture_key_or_a_refusal(name: str, content_type: str) -> None:
    try:
        issued = ticket(name=name, content_type=content_type)
    except Refused:
        return
    if name:
        picture = PictureKey.parse(issued.data["key"])
        assert picture
        assert picture.app == "shop"
    assert all(value.isascii() and value.isprintable() for value in issued.data.values())
