"""The edge cache: what is kept under which name, who waits, what is served when the rooms are down."""

import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.nginx.house import Answer, House, Seen
from thumbstack.edge import Edge
from thumbstack.picture_key import PictureKey

IMMUTABLE = "public, max-age=31536000, immutable"

KINDS = pytest.mark.parametrize(
    "address", ["/{}", "/t/MI/u/{}", "/sig/300x200/{}"], ids=["original", "readable", "signed"]
)


def age(house: House, key: str, end: int = 1) -> None:
    """Let an entry be out of date: its end stands in the file's head, after the head's version number."""
    with house.entry(key).open("r+b") as entry:
        entry.seek(8)
        entry.write(struct.pack("q", end))


@KINDS
def test_a_picture_is_asked_for_once(house: House, picture: str, address: str) -> None:
    path = address.format(picture)

    first, second = house.ask(path), house.ask(path)

    assert (first.headers["X-Cache"], second.headers["X-Cache"]) == ("MISS", "HIT")
    assert first.body == second.body
    assert len(house.seen) == 1
    for answer in (first, second):
        assert answer.headers["Cache-Control"] == IMMUTABLE
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'"
        assert answer.headers["Content-Type"] == "image/jpeg"


@KINDS
def test_a_304_and_a_head_cost_no_request(house: House, picture: str, address: str) -> None:
    path = address.format(picture)
    etag = house.ask(path).headers["ETag"]

    unchanged = house.ask(path, headers={"If-None-Match": etag})
    head = house.ask(path, "HEAD")

    assert (unchanged.status, unchanged.body) == (304, b"")
    assert unchanged.headers["Cache-Control"] == IMMUTABLE
    assert unchanged.headers["ETag"] == etag
    assert (head.status, head.body, head.headers["X-Cache"]) == (200, b"", "HIT")
    assert len(house.seen) == 1


def test_a_head_fills_the_cache_for_a_get(house: House, picture: str) -> None:
    head = house.ask(f"/{picture}", "HEAD")
    answer = house.ask(f"/{picture}")

    assert head.headers["Content-Length"] == str(len(answer.body))
    assert (answer.body, answer.headers["X-Cache"]) == (b"uploader", "HIT")
    assert [seen.method for seen in house.seen] == ["GET"]


@pytest.mark.parametrize(
    ("asked", "body"),
    [("bytes=2-4", b"loa"), ("bytes=-2", b"er"), ("bytes=0-", b"uploader")],
)
@pytest.mark.parametrize("warm", [True, False], ids=["hit", "miss"])
def test_a_part_of_an_original(house: House, picture: str, asked: str, body: bytes, warm: bool) -> None:
    if warm:
        house.ask(f"/{picture}")

    answer = house.ask(f"/{picture}", headers={"Range": asked})

    assert (answer.status, answer.body) == (206, body)
    assert answer.headers["Content-Range"].endswith("/8")
    assert answer.headers["Cache-Control"] == IMMUTABLE
    assert house.ask(f"/{picture}").body == b"uploader"
    assert len(house.seen) == 1


@pytest.mark.parametrize("warm", [True, False], ids=["hit", "miss"])
def test_a_part_that_an_original_has_not(house: House, picture: str, warm: bool) -> None:
    if warm:
        house.ask(f"/{picture}")

    answer = house.ask(f"/{picture}", headers={"Range": "bytes=99-"})

    assert (answer.status, answer.json["code"]) == (416, "range_not_satisfiable")
    assert answer.headers["Content-Range"] == "bytes */8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert len(house.seen) == 1


@KINDS
@pytest.mark.parametrize(("condition", "status"), [('"etag-of-room"', 206), ('"other"', 200)])
def test_a_part_of_what_it_was_and_else_all_of_it(
    house: House, picture: str, address: str, condition: str, status: int
) -> None:
    path = address.format(picture)
    whole = house.ask(path).body

    answer = house.ask(path, headers={"Range": "bytes=1-3", "If-Range": condition})

    assert (answer.status, answer.body) == (status, whole[1:4] if status == 206 else whole)
    assert answer.headers["X-Cache"] == "HIT"
    assert answer.headers["Vary"] == house.ask(path).headers["Vary"]
    assert len(house.seen) == 1


def test_a_part_of_one_format_is_of_that_format(house: House, picture: str) -> None:
    house.render_with(lambda seen: Answer(200, {}, seen.headers["Accept"].encode()))

    for accept in ("image/webp", "image/avif"):
        part = house.ask(f"/sig/{picture}", headers={"Accept": accept, "Range": "bytes=6-9"})
        assert (part.status, part.body) == (206, accept[6:].encode())
        assert house.ask(f"/sig/{picture}", headers={"Accept": accept}).headers["X-Cache"] == "HIT"
    assert house.ask(f"/t/MI/u/{picture}?v=1", headers={"Range": "bytes=0-1"}).status == 206
    assert house.ask(f"/t/MI/u/{picture}?v=1").headers["X-Cache"] == "HIT"


def test_a_part_of_a_deleted_picture_is_gone(house: House, picture: str) -> None:
    house.ask(f"/{picture}")
    house.bury(picture)

    assert house.ask(f"/{picture}", headers={"Range": "bytes=0-1"}).status == 410


def test_the_way_to_parts_is_no_address(house: House, picture: str) -> None:
    for path in (f"/_part/{picture}", f"/_part/_part/sig/{picture}", f"//_part/{picture}", f"/%5Fpart/{picture}"):
        assert house.ask(path).status == 404
        assert house.ask(path, headers={"Range": "bytes=0-1"}).status == 404
    assert house.seen == []


@pytest.mark.parametrize(
    ("path", "accept", "key"),
    [
        ("/o/demo/cat/key.jpg", "image/avif,image/webp", "|/o/demo/cat/key.jpg|"),
        ("/sig/300x200/o/demo/cat/key.jpg", "image/avif", "avif|/sig/300x200/o/demo/cat/key.jpg|"),
        ("/sig/300x200/o/demo/cat/key.jpg", "image/webp", "webp|/sig/300x200/o/demo/cat/key.jpg|"),
        ("/sig/300x200/o/demo/cat/key.jpg?v=1", "*/*", "|/sig/300x200/o/demo/cat/key.jpg|"),
        ("/sig/filters:quality%2890%29/o/demo/cat/key.jpg", "*/*", "|/sig/filters:quality(90)/o/demo/cat/key.jpg|"),
        ("/sig/300x200/o/demo/cat/key.gif", "image/webp", "|/sig/300x200/o/demo/cat/key.gif|"),
        ("/sig/300x200/o/demo/cat/key.svg", "image/avif", "|/sig/300x200/o/demo/cat/key.svg|"),
        ("/t/MI/u/o/demo/cat/key.jpg?v=1", "image/webp", "webp|/t/MI/u/o/demo/cat/key.jpg|1"),
        ("/t/MI/u/o/demo/cat/key.jpg?x=2&v=a.B_c-9", "*/*", "|/t/MI/u/o/demo/cat/key.jpg|a.B_c-9"),
        ("/t/MI/u/o/demo/cat/key.jpg?v=%20", "*/*", "|/t/MI/u/o/demo/cat/key.jpg|"),
        (f"/t/MI/u/o/demo/cat/key.jpg?v={'1' * 33}", "*/*", "|/t/MI/u/o/demo/cat/key.jpg|"),
    ],
)
def test_the_cache_key_is_what_the_uploader_expects(house: House, path: str, accept: str, key: str) -> None:
    house.entry(key).unlink(missing_ok=True)

    first = house.ask(path, headers={"Accept": accept})

    assert first.headers["X-Cache"] == "MISS"
    assert f"\nKEY: {key}\n".encode() in house.entry(key).read_bytes()


@KINDS
def test_an_unlinked_entry_is_a_miss(house: House, picture: str, address: str) -> None:
    path = address.format(picture)
    house.ask(path)

    house.entry(f"|{path}|").unlink()

    assert [house.ask(path).headers["X-Cache"] for _ in range(2)] == ["MISS", "HIT"]
    assert len(house.seen) == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("filters:quality(90)", "filters:quality%2890%29"),
        ("filters:quality(90)", "filters%3Aquality(90)"),
        ("fit-in/10x10", "fit-in%2f10x10"),
    ],
)
@pytest.mark.parametrize("kind", ["/sig/{}/", "/t/{}/u/"])
def test_two_spellings_are_one_entry(house: House, picture: str, kind: str, one: str, other: str) -> None:
    first = house.ask(kind.format(one) + picture)
    second = house.ask(kind.format(other) + picture)

    assert (first.headers["X-Cache"], second.headers["X-Cache"]) == ("MISS", "HIT")
    assert [seen.path for seen in house.seen] == [kind.format(one) + picture]


def test_only_a_readable_address_has_a_version(house: House, picture: str) -> None:
    for query in ("", "?v=1", "?v=2", "?v=2&x=3", "?v=no%20word"):
        house.ask(f"/t/MI/u/{picture}{query}")

    assert [seen.path for seen in house.seen] == [f"/t/MI/u/{picture}{query}" for query in ("", "?v=1", "?v=2")]


@pytest.mark.parametrize("status", [404, 410])
def test_what_is_not_there_is_remembered_for_seconds(house: House, picture: str, status: int) -> None:
    house.uploader.answer = lambda seen: Answer(status, {"Content-Type": "application/json"}, b'{"code": "x"}')

    first, second = house.ask(f"/{picture}"), house.ask(f"/{picture}")

    assert (first.status, second.status, second.json) == (status, status, {"code": "x"})
    assert second.headers["Cache-Control"] == "public, max-age=5"
    assert second.headers["X-Cache"] == "HIT"
    # When it ends and when it was made both stand in the file's head: five seconds, not the picture's month.
    ends, made = struct.unpack_from("q24xq", house.entry(f"|/{picture}|").read_bytes(), 8)
    assert 0 < ends - made <= 6


@pytest.mark.parametrize("status", [415, 422])
def test_a_broken_original_is_remembered_for_a_minute(house: House, picture: str, status: int) -> None:
    house.render_with(lambda seen: Answer(status))

    first, second = (house.ask(f"/sig/{picture}") for _ in range(2))

    assert (first.status, second.status, second.headers["X-Cache"]) == (status, status, "HIT")
    assert second.headers["Cache-Control"] == "public, max-age=60"
    assert second.json["code"]
    assert len(house.rendered) == 1
    ends, made = struct.unpack_from("q24xq", house.entry(f"|/sig/{picture}|").read_bytes(), 8)
    assert 0 < ends - made <= 61


def test_a_strangers_large_body_is_not_lent_to_everybody(house: House, picture: str) -> None:
    answer = house.ask(f"/{picture}", body=b"x" * 1_100_000)

    assert (answer.status, answer.headers["Cache-Control"]) == (413, "no-store")
    assert house.ask(f"/{picture}").status == 200


@pytest.mark.parametrize("status", [301, 302, 400, 401, 403, 429, 500, 502, 503, 504])
def test_nothing_else_is_kept(house: House, picture: str, status: int) -> None:
    headers = {
        "Cache-Control": "public, max-age=999",
        "Expires": "Thu, 31 Dec 2099 00:00:00 GMT",
        "X-Accel-Expires": "99",
    }
    house.uploader.answer = lambda seen: Answer(status, headers)

    answers = [house.ask(f"/{picture}") for _ in range(2)]

    assert [answer.status for answer in answers] == [status] * 2
    assert [answer.headers["Cache-Control"] for answer in answers] == ["no-store"] * 2
    assert [answer.headers["X-Cache"] for answer in answers] == ["MISS"] * 2
    assert len(house.seen) == 2


def test_a_rooms_words_about_caching_stay_inside(house: House, picture: str) -> None:
    house.uploader.answer = lambda seen: Answer(
        200,
        {"Cache-Control": "private, no-store", "Set-Cookie": "a=b", "Vary": "*", "Expires": "0", "X-Request-ID": "x"},
    )

    answers = [house.ask(f"/{picture}", headers={"User-Agent": agent}) for agent in ("one", "two")]

    assert [answer.headers["X-Cache"] for answer in answers] == ["MISS", "HIT"]
    for answer in answers:
        assert answer.headers["Cache-Control"] == IMMUTABLE
        assert not {"Set-Cookie", "Vary", "Expires"} & set(answer.headers)


def test_nothing_of_a_client_reaches_a_picture_that_is_not_in_its_key(house: House, picture: str) -> None:
    private = {"Cookie": "a=b", "Authorization": "Bearer x", "Accept-Encoding": "gzip", "X-Any": "1", "Referer": "r"}

    house.ask(f"/sig/{picture}", headers=private | {"Range": "bytes=0-1", "If-None-Match": '"x"'}, body=b"body")

    seen = house.rendered[0]
    assert not (private.keys() | {"Range", "If-None-Match"}) & seen.headers.keys()
    assert seen.body == b""


def test_a_hundred_at_once_are_one_request(house: House, picture: str) -> None:
    everybody_asked, answer_now = threading.Barrier(101), threading.Event()

    def slowly(seen: Seen) -> Answer:
        answer_now.wait(20)
        return Answer(200, {"Content-Type": "image/jpeg"}, b"rendered")

    def ask() -> bytes:
        connection = house.connect()
        connection.request("GET", f"/sig/{picture}")
        everybody_asked.wait(20)
        body = connection.getresponse().read()
        connection.close()
        return body

    house.render_with(slowly)
    with ThreadPoolExecutor(100) as clients:
        asked = [clients.submit(ask) for _ in range(100)]
        everybody_asked.wait(20)
        answer_now.set()
        bodies = {future.result() for future in asked}

    assert bodies == {b"rendered"}
    assert len(house.rendered) == 1


@KINDS
@pytest.mark.parametrize("trouble", [500, 502, 503, 504, "down"])
def test_an_old_picture_is_better_than_none(house: House, picture: str, address: str, trouble: int | str) -> None:
    path = address.format(picture)
    body = house.ask(path).body
    age(house, f"|{path}|")
    for room in house.rooms:
        if isinstance(trouble, int):
            room.answer = lambda seen: Answer(trouble)
        else:
            room.die()

    answers = [house.ask(path) for _ in range(3)]

    assert [(answer.status, answer.body) for answer in answers] == [(200, body)] * 3
    assert {answer.headers["X-Cache"] for answer in answers} <= {"STALE", "UPDATING"}
    assert {answer.headers["Cache-Control"] for answer in answers} == {IMMUTABLE}


def test_an_old_picture_is_renewed(house: House, picture: str) -> None:
    house.ask(f"/{picture}")
    age(house, f"|/{picture}|")
    house.uploader.answer = lambda seen: Answer(200, {}, b"new")

    while (answer := house.ask(f"/{picture}")).headers["X-Cache"] != "HIT":
        assert answer.status == 200

    assert answer.body == b"new"


def test_an_old_picture_is_shown_while_it_is_renewed(house: House, picture: str) -> None:
    asked, answer_now = threading.Event(), threading.Event()

    def slowly(seen: Seen) -> Answer:
        asked.set()
        answer_now.wait(20)
        return Answer(200, {}, b"new")

    body = house.ask(f"/{picture}").body
    age(house, f"|/{picture}|", int(time.time()) - 60)
    house.uploader.answer = slowly
    try:
        first = house.ask(f"/{picture}")
        asked.wait(20)
        second = house.ask(f"/{picture}")
    finally:
        answer_now.set()

    assert [(first.body, first.headers["X-Cache"]), (second.body, second.headers["X-Cache"])] == [
        (body, "STALE"),
        (body, "UPDATING"),
    ]


@pytest.mark.parametrize("status", [404, 422])
@KINDS
def test_what_was_not_there_is_looked_for_again(house: House, picture: str, address: str, status: int) -> None:
    path = address.format(picture)
    for room in house.rooms:
        room.answer = lambda seen: Answer(status, {"Cache-Control": "max-age=999, stale-while-revalidate=999"})
    assert house.ask(path).status == status
    age(house, f"|{path}|", int(time.time()) - 60)

    house.reset()

    assert house.ask(path).status == 200


@KINDS
def test_a_tombstone_stands_before_the_cache(house: House, picture: str, address: str) -> None:
    path = address.format(picture)
    house.ask(path)

    house.bury(picture)

    for spelling in (path, path + "?v=7", path.replace("cat", "%63at"), path.replace("/o/", "//o/")):
        for method in ("GET", "HEAD"):
            answer = house.ask(spelling, method)
            assert answer.status == 410
            assert answer.headers["Cache-Control"] == "public, max-age=5"
    assert house.ask(path).json["code"] == "deleted"
    assert len(house.seen) == 1


def test_a_tombstone_is_only_for_its_own_picture(house: House, picture: str) -> None:
    house.bury(picture)

    assert house.ask(f"/{picture}x").status == 200
    assert house.ask(f"/{picture.removesuffix('.jpg')}.png").status == 200


def test_a_render_that_ends_after_the_delete_does_not_bring_the_picture_back(house: House, picture: str) -> None:
    path, rendering, deleted = f"/sig/{picture}", threading.Event(), threading.Event()

    def slowly(seen: Seen) -> Answer:
        rendering.set()
        deleted.wait(20)
        return Answer(200, {}, b"late")

    house.render_with(slowly)
    with ThreadPoolExecutor(1) as client:
        before = client.submit(house.ask, path)
        rendering.wait(20)
        house.bury(picture)
        deleted.set()
        # Who asked before the delete may be answered as before it.
        assert before.result().status in (200, 410)

    assert house.entry(f"|{path}|").exists()
    assert house.ask(path).status == 410
    assert len(house.rendered) == 1


@KINDS
def test_a_sweep_reads_what_nginx_has_written(house: House, picture: str, address: str) -> None:
    path = address.format(picture)
    house.ask(f"{path}?v=7")
    other = f"/other/{picture}x"
    house.ask(other)
    edge = Edge(house.directory / "cache", house.directory / "tombstones", (), {})
    key = PictureKey.parse(picture)
    assert key
    version = "7" if "/t/" in path else ""

    edge.bury([key])
    edge.sweep(every_seconds=0)

    assert not house.entry(f"|{path}|{version}").exists()
    assert house.entry(f"|{other}|").exists()


def test_a_picture_that_nobody_waits_for_any_more_is_kept_all_the_same(house: House, picture: str) -> None:
    rendering, gone = threading.Event(), threading.Event()

    def slowly(seen: Seen) -> Answer:
        rendering.set()
        gone.wait(20)
        return Answer(200, {}, b"rendered")

    house.render_with(slowly)
    impatient = house.connect()
    impatient.request("GET", f"/sig/{picture}")
    rendering.wait(20)
    impatient.close()
    gone.set()

    assert house.ask(f"/sig/{picture}").body == b"rendered"
    assert len(house.rendered) == 1
