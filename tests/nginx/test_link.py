"""Links that end: who is asked, what is kept for how long, and what a client is told."""

import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate

import pytest

from tests.nginx.house import Answer, House, Seen

PLAIN = "/c2lnbmF0dXJl/300x200/filters:quality(90)/"
LINK = "/e/{}/0123abcd/c2lnbmF0dXJl/300x200/filters:quality(90)/"


def yes(picture: str, ends: int) -> Answer:
    """What the signer answers of a link that holds."""
    headers = {
        "X-Link-Path": PLAIN + picture,
        "X-Link-Ends": formatdate(ends, usegmt=True),
        "X-Accel-Expires": f"@{ends - 1}",
    }
    return Answer(200, headers)


@pytest.fixture
def ends(house: House, picture: str) -> int:
    """When the links end that the signer says yes to; long after the test."""
    moment = int(time.time()) + 1000
    house.signer.answer = lambda seen: yes(picture, moment)
    return moment


def test_a_link_shows_the_picture_of_a_signed_address(house: House, picture: str, ends: int) -> None:
    link = LINK.format(ends) + picture

    answer = house.ask(link)

    assert (answer.status, answer.body[:7]) == (200, b"thumbor")
    assert [(seen.room, seen.path) for seen in house.seen if seen.room == "signer"] == [("signer", link)]
    assert [seen.path for seen in house.rendered] == [PLAIN + picture]


def test_a_hit_of_a_link_reaches_no_room(house: House, picture: str, ends: int) -> None:
    link = LINK.format(ends) + picture

    answers = [house.ask(link) for _ in range(3)]

    assert [answer.headers["X-Cache"] for answer in answers] == ["MISS", "HIT", "HIT"]
    assert len(house.seen) == 2


def test_a_link_and_the_signed_address_are_one_entry(house: House, picture: str, ends: int) -> None:
    house.ask(PLAIN + picture)

    answer = house.ask(LINK.format(ends) + picture)

    assert answer.headers["X-Cache"] == "HIT"
    assert len(house.rendered) == 1
    assert house.ask(PLAIN + picture).headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_browsers_keep_it_until_its_end(house: House, picture: str, ends: int) -> None:
    link = LINK.format(ends) + picture
    etag = house.ask(link).headers["ETag"]

    answers = [
        house.ask(link),
        house.ask(link, "HEAD"),
        house.ask(link, headers={"If-None-Match": etag}),
        house.ask(link, headers={"Range": "bytes=0-1"}),
    ]

    assert [answer.status for answer in answers] == [200, 200, 304, 206]
    for answer in answers:
        assert answer.headers["Expires"] == formatdate(ends, usegmt=True)
        assert answer.headers["Cache-Control"] == "public"
    assert len(house.seen) == 2


def test_a_part_that_a_linked_picture_has_not(house: House, picture: str, ends: int) -> None:
    answer = house.ask(LINK.format(ends) + picture, headers={"Range": "bytes=99-"})

    assert (answer.status, answer.json["code"]) == (416, "range_not_satisfiable")
    assert (answer.headers["Content-Range"], answer.headers["Cache-Control"]) == ("bytes */9", "no-store")
    assert "Expires" not in answer.headers


def test_accept_is_folded_as_everywhere(house: House, picture: str, ends: int) -> None:
    link = LINK.format(ends) + picture

    for accept in ("image/avif,image/webp,*/*", "image/avif", "image/webp,*/*", "*/*", "image/jpeg"):
        assert house.ask(link, headers={"Accept": accept}).headers["Vary"] == "Accept"

    asked = [seen.headers["Accept"].partition(",")[0] for seen in house.rendered]
    assert sorted(asked) == ["image/avif", "image/jpeg", "image/webp"]
    assert len(house.seen) == 4


def test_when_it_ends_a_kept_yes_ends_too(house: House, picture: str) -> None:
    moment = int(time.time()) + 4
    link = LINK.format(moment) + picture
    house.signer.answer = lambda seen: yes(picture, moment)
    warm = [house.ask(link).status for _ in range(2)]
    house.signer.answer = lambda seen: Answer(401)
    while time.time() < moment:
        time.sleep(0.01)

    answers = [house.ask(link) for _ in range(2)]

    assert warm == [200, 200]
    assert [(answer.status, answer.json["code"]) for answer in answers] == [(410, "expired")] * 2
    assert [answer.headers.get("Expires") for answer in answers] == [None, None]
    assert [seen.room for seen in house.seen].count("signer") == 3


@pytest.mark.parametrize(("said", "status", "code"), [(403, 403, "bad_signature"), (401, 410, "expired")])
def test_a_no_is_told_and_not_kept(house: House, picture: str, ends: int, said: int, status: int, code: str) -> None:
    link = LINK.format(ends) + picture
    house.ask(PLAIN + picture)
    house.signer.answer = lambda seen: Answer(said)
    refused = house.ask(link)
    house.signer.answer = lambda seen: yes(picture, ends)

    assert (refused.status, refused.json["code"]) == (status, code)
    assert "X-Cache" not in refused.headers
    assert house.ask(link).status == 200


@pytest.mark.parametrize("trouble", [500, 503, 404, None])
def test_where_the_signer_fails_nothing_is_shown_and_nothing_kept(
    house: House, picture: str, ends: int, trouble: int | None
) -> None:
    link = LINK.format(ends) + picture
    house.ask(PLAIN + picture)
    house.signer.answer = lambda seen: Answer(trouble) if trouble else None
    failed = house.ask(link)
    house.signer.answer = lambda seen: yes(picture, ends)

    assert (failed.status, failed.json["code"]) == (502, "bad_gateway")
    assert int(failed.headers["Retry-After"]) > 0
    assert house.ask(link).status == 200


@pytest.mark.parametrize("trouble", [400, 500, 502, 504])
def test_a_picture_that_fails_leaves_the_kept_yes_alone(house: House, picture: str, ends: int, trouble: int) -> None:
    link = LINK.format(ends) + picture
    house.render_with(lambda seen: Answer(trouble))

    failed = house.ask(link)
    house.render_with(lambda seen: Answer(200, {"Content-Type": "image/jpeg"}, b"thumbor"))

    assert failed.status == trouble
    assert "Expires" not in failed.headers
    assert house.ask(link).body == b"thumbor"
    assert [seen.room for seen in house.seen].count("signer") == 1


def test_each_link_is_asked_for_itself(house: House, picture: str, ends: int) -> None:
    def one_only(seen: Seen) -> Answer:
        return yes(picture, ends) if seen.path == LINK.format(ends) + picture else Answer(403)

    house.signer.answer = one_only
    link = LINK.format(ends) + picture

    assert [house.ask(link).status for _ in range(2)] == [200, 200]
    for other in (
        LINK.format(ends + 1) + picture,
        link.replace("0123abcd", "0123abce"),
        link.replace("c2ln", "c2lo"),
        link.replace("300x200", "301x200"),
        link.replace(".jpg", "x.jpg"),
        link.replace("/e/", "/e/e/"),
    ):
        assert (house.ask(other).status, house.ask(other).json["code"]) == (403, "bad_signature")


@pytest.mark.parametrize(
    ("spelling", "told"),
    [
        ("filters:quality%2890%29/", "filters:quality(90)/"),
        ("filters%3Aquality(90)%2F", "filters:quality(90)/"),
        ("a%3Fb%23c%25d%0D%0aX-Evil:%201/", None),
        ("a%3Fb%23c%25d%0DX-Evil:%201/", "a%3Fb%23c%25d%0DX-Evil:%201/"),
        ("x//y/./z/../", "x/y/"),
    ],
)
def test_the_signer_is_asked_in_one_spelling(
    house: House, picture: str, ends: int, spelling: str, told: str | None
) -> None:
    start = f"/e/{ends}/0123abcd/c2lnbmF0dXJl/"

    house.ask(f"{start}{spelling}{picture}?callback=x&v=1")

    asked = [seen for seen in house.seen if seen.room == "signer"]
    assert [seen.path for seen in asked] == ([f"{start}{told}{picture}"] if told else [])
    assert all("X-Evil" not in seen.headers for seen in house.seen)


def test_nothing_of_the_client_reaches_the_signer(house: House, picture: str, ends: int) -> None:
    house.ask(LINK.format(ends) + picture, headers={"Cookie": "a=b", "Authorization": "Bearer x", "Range": "bytes=0-1"})

    [asked] = [seen for seen in house.seen if seen.room == "signer"]
    assert (asked.method, asked.body) == ("GET", b"")
    assert not {"Cookie", "Authorization", "Range"} & asked.headers.keys()
    assert "X-Request-ID" in asked.headers


def test_a_crowd_is_one_question_and_one_render(house: House, picture: str, ends: int) -> None:
    link = LINK.format(ends) + picture

    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(lambda _: house.ask(link).status, range(20)))

    assert statuses == [200] * 20
    assert len(house.seen) == 2


def test_a_deleted_picture_is_gone_for_a_link_too(house: House, picture: str, ends: int) -> None:
    link = LINK.format(ends) + picture
    house.ask(link)
    house.bury(picture)

    answer = house.ask(link)

    assert (answer.status, answer.json["code"]) == (410, "deleted")
    house.signer.answer = lambda seen: Answer(403)
    assert house.ask(link.replace("300x200", "301x200")).json["code"] == "deleted"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_a_link_can_only_be_read(house: House, picture: str, ends: int, method: str) -> None:
    answer = house.ask(LINK.format(ends) + picture, method)

    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert house.seen == []


def test_the_question_itself_is_nobodys_address(house: House) -> None:
    assert house.ask("/_link").status == 404
    assert house.seen == []
