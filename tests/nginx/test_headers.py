"""What stands above every answer: who may keep it, what may run in it, where the time went."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nginx.conftest import furnished
from tests.nginx.house import Answer, House

EVERYWHERE = [
    "/ping",
    "/healthz",
    "/version",
    "/readyz",
    "/",
    "/sign",
    "/pictures",
    "/nothing",
    "/_error",
    "/_part/{picture}",
    "/{picture}",
    "/t/MI/u/{picture}",
    "/sig/{picture}",
]


@pytest.mark.parametrize("path", EVERYWHERE)
@pytest.mark.parametrize("status", [200, 400, 404, 500, "down"])
def test_every_answer_says_who_may_keep_it_and_that_nothing_runs_in_it(
    house: House, picture: str, path: str, status: int | str
) -> None:
    for room in house.rooms:
        if status == "down":
            room.die()
        else:
            room.answer = lambda seen: Answer(int(status), {"Content-Type": "application/json"}, b"{}")

    answer = house.ask(path.format(picture=picture))

    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Server"] == "nginx"
    kept = answer.headers["Cache-Control"]
    if answer.status == 404:
        assert kept in ("public, max-age=5", "no-store")
    elif answer.status != 200 or "X-Cache" not in answer.headers:
        assert kept == "no-store"


def test_a_room_may_have_a_page_of_its_own(house: House) -> None:
    headers = {"Cache-Control": "max-age=60", "Content-Security-Policy": "default-src 'self'", "X-Powered-By": "x"}
    house.uploader.answer = lambda seen: Answer(200, headers, b"<html>")

    answer = house.ask("/")

    assert answer.headers["Cache-Control"] == "max-age=60"
    assert answer.headers["Content-Security-Policy"] == "default-src 'self'"


@pytest.mark.parametrize("path", ["/ping", "/healthz", "/version"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_what_nginx_says_itself_can_only_be_read(house: House, path: str, method: str) -> None:
    answer = house.ask(path, method)

    assert (answer.status, answer.json["code"]) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, HEAD"
    assert house.ask(path, "HEAD").status == 200


@pytest.mark.parametrize("path", ["/", "/ping", "/{picture}"])
def test_a_trace_is_told_what_is_allowed(house: House, picture: str, path: str) -> None:
    answer = house.ask(path.format(picture=picture), "TRACE")

    assert (answer.status, answer.json["code"]) == (405, "method_not_allowed")
    assert "GET" in answer.headers["Allow"]
    assert house.seen == []


@pytest.mark.parametrize("path", ["/{picture}", "/?name=bob"])
def test_a_drawing_runs_nothing_and_keeps_its_looks(house: House, picture: str, path: str) -> None:
    house.uploader.answer = lambda seen: Answer(200, {"X-Accel-Redirect": "/_s3/bucket/o/a/b/c.svg?X-Amz-Signature=1"})
    house.s3.answer = lambda seen: Answer(200, {"Content-Type": "image/svg+xml"}, b"<svg/>")

    answer = house.ask(path.format(picture=picture.replace(".jpg", ".svg")))

    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; style-src 'unsafe-inline'; sandbox"


def test_a_download_by_name_is_its_readers_alone(house: House) -> None:
    house.uploader.answer = lambda seen: Answer(200, {"X-Accel-Redirect": "/_s3/bucket/o/a/b/c.jpg?X-Amz-Signature=1"})
    house.s3.answer = lambda seen: Answer(200, {"Content-Type": "image/jpeg"}, b"bytes")

    answer = house.ask("/?name=bob")

    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'"


# https://www.w3.org/TR/server-timing/#the-server-timing-header-field
METRIC = re.compile(r"[a-z]+(?:;desc=[A-Z]+)?(?:;dur=(?:0|[1-9]\d*))?")


@pytest.mark.parametrize("path", ["/{picture}", "/t/MI/u/{picture}", "/sig/{picture}"])
def test_where_the_time_went_is_told_in_milliseconds(house: House, picture: str, path: str) -> None:
    for headers in ({}, {}, {"Range": "bytes=0-1"}):
        answer = house.ask(path.format(picture=picture), headers=headers)

        timing = answer.headers["Server-Timing"]
        assert all(METRIC.fullmatch(metric) for metric in timing.split(", ")), timing
        assert timing.startswith(f"cache;desc={answer.headers['X-Cache']}")
        assert ("edge;dur=" in timing) is ("upstream;dur=" in timing) is (answer.headers["X-Cache"] == "MISS")


def test_a_second_of_work_is_a_thousand_milliseconds(house: House, picture: str) -> None:
    import time

    def slowly(seen: object) -> Answer:
        time.sleep(1.2)
        return Answer(200, {"Server-Timing": "total;dur=1"}, b"x")

    house.render_with(slowly)

    timing = house.ask(f"/sig/{picture}").headers["Server-Timing"]

    match = re.fullmatch(r"cache;desc=MISS, edge;dur=(\d+), upstream;dur=(\d+)", timing)
    assert match, timing
    assert all(1000 <= int(figure) < 100_000 for figure in match.groups())


@pytest.fixture(scope="module")
def hourly(binary: Path, common: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house whose originals may be kept for an hour."""
    hour = {"CACHE_CONTROL": "public, max-age=3600"}
    with furnished(binary, common | hour, tmp_path_factory.mktemp("hourly")) as house:
        yield house


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-1"}, {"If-None-Match": '"etag-of-room"'}])
def test_the_installation_says_how_long_originals_may_be_kept(
    hourly: House, picture: str, headers: dict[str, str]
) -> None:
    for _ in range(2):
        assert hourly.ask(f"/{picture}", headers=headers).headers["Cache-Control"] == "public, max-age=3600"
    assert "immutable" in hourly.ask(f"/sig/{picture}", headers=headers).headers["Cache-Control"]


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-1"}, {"If-None-Match": '"etag-of-room"'}])
def test_a_cdn_may_not_show_what_was_perhaps_deleted_while_nobody_answers_it(
    house: House, picture: str, headers: dict[str, str]
) -> None:
    cdn = {"X-Origin-Key": "key", **headers}
    for path in (f"/{picture}", f"/sig/300x200/{picture}"):
        for _ in range(2):
            kept = house.ask(path, headers=cdn).headers["Cache-Control"]
            assert kept == "public, max-age=31536000, immutable, stale-if-error=0"
        assert "stale" not in house.ask(path, headers=headers).headers["Cache-Control"]


def test_no_room_is_told_the_cdns_key(house: House, picture: str) -> None:
    house.ask("/pictures", headers={"X-Origin-Key": "key"})
    house.ask(f"/{picture}", headers={"X-Origin-Key": "key"})

    assert len(house.seen) == 2
    assert all("x-origin-key" not in {name.lower() for name in seen.headers} for seen in house.seen)
