"""What a client may cost: misses are metered by client, hits never are."""

import http.client
import itertools
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.nginx.conftest import furnished
from tests.nginx.house import Answer, House, Seen

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def narrow(binary: Path, common: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house that lets a client have four new pictures, then one a second, and is behind a balancer on loopback."""
    few = {"MISSES_PER_SECOND": "1", "MISSES_AT_ONCE": "4", "MISSES_BURST": "4", "RENDERS_AT_ONCE": "6"}
    with furnished(
        binary, {**common, **few, "TRUSTED_PROXIES": "127.0.0.1"}, tmp_path_factory.mktemp("narrow")
    ) as house:
        yield house


@pytest.fixture
def house(narrow: House) -> House:
    narrow.reset()
    return narrow


@pytest.fixture
def client() -> dict[str, str]:
    """The header by which the balancer tells of a client that no other test has."""
    return {"X-Forwarded-For": f"198.51.100.{next(_numbers)}"}


@pytest.mark.parametrize(
    "address",
    ["/{}", "/t/{}/u/{}", "/sig/{}/{}", "/website/m/{1}/{0}.jpg"],
    ids=["original", "readable", "signed", "website"],
)
def test_a_flood_of_misses_is_told_to_come_again_and_a_hit_never_is(
    house: House, picture: str, client: dict[str, str], address: str
) -> None:
    def path(number: int) -> str:
        return f"/{picture}{number}" if address == "/{}" else address.format(number, picture)

    answers = [house.ask(path(number), headers=client) for number in range(15)]

    assert [answer.status for answer in answers[:4]] == [200] * 4
    refused = [answer for answer in answers if answer.status != 200]
    assert refused
    for answer in refused:
        assert (answer.status, answer.json["code"]) == (429, "too_many_requests")
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Content-Type"] == "application/json"
    hits = [house.ask(path(0), headers=client) for _ in range(50)]
    assert {(answer.status, answer.headers["X-Cache"]) for answer in hits} == {(200, "HIT")}
    assert house.ask(path(99), headers={"X-Forwarded-For": "203.0.113.1"}).status == 200


def test_a_redirect_of_a_room_is_the_same_request(house: House, picture: str, client: dict[str, str]) -> None:
    house.signer.answer = lambda seen: Answer(200, {"X-Accel-Redirect": f"/_thumbor/sig{seen.path}"})

    answers = [house.ask(f"/t/{number}/u/{picture}", headers=client) for number in range(4)]

    assert [answer.status for answer in answers] == [200] * 4


def test_who_waits_for_the_same_miss_is_not_counted(house: House, picture: str, client: dict[str, str]) -> None:
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: house.ask(f"/sig/{picture}", headers=client).status, range(50)))

    assert answers == [200] * 50
    assert len([seen for seen in house.rendered if picture in seen.path]) == 1


def test_an_old_copy_is_better_than_to_come_again(house: House, picture: str, client: dict[str, str]) -> None:
    house.ask(f"/sig/{picture}", headers=client)
    with house.entry(f"|/sig/{picture}|").open("r+b") as entry:
        entry.seek(8)
        entry.write(struct.pack("q", 1))
    while house.ask(f"/{next(_numbers)}/{picture}", headers=client).status == 200:
        pass
    house.reset()

    answers = [house.ask(f"/sig/{picture}", headers=client) for _ in range(3)]

    assert {answer.status for answer in answers} == {200}
    assert {answer.headers["X-Cache"] for answer in answers} <= {"STALE", "UPDATING", "HIT"}


@pytest.mark.parametrize(
    "fake",
    [
        {"X-Forwarded-For": "10.0.0.{}, {client}"},
        {"X-Forwarded-For": "{client}", "X-Real-IP": "10.0.0.{}"},
        {"X-Forwarded-For": "{client}", "Forwarded": "for=10.0.0.{}"},
    ],
)
def test_a_client_cannot_say_that_it_is_another(
    house: House, picture: str, client: dict[str, str], fake: dict[str, str]
) -> None:
    """The balancer appends the address that it sees to what the client sent."""
    statuses = [
        house.ask(
            f"/{number}/{picture}",
            headers={name: value.format(number, client=client["X-Forwarded-For"]) for name, value in fake.items()},
        ).status
        for number in range(15)
    ]

    assert 429 in statuses


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:{n}:2::1", "2001:db8:{n}:2:ffff::5", True),
        ("2001:db8:{n}::1", "2001:db8:{n}::2", True),
        ("2001:db8:{n}:2::1", "2001:db8:{n}:3::1", False),
    ],
)
def test_a_subscribers_ipv6_network_is_one_client(house: House, picture: str, one: str, other: str, same: bool) -> None:
    number = f"{next(_numbers):x}"
    for times in range(15):
        house.ask(f"/one-{times}/{picture}", headers={"X-Forwarded-For": one.format(n=number)})

    answers = [
        house.ask(f"/two-{times}/{picture}", headers={"X-Forwarded-For": other.format(n=number)}).status
        for times in range(4)
    ]

    assert (429 in answers) is same


def test_renders_beyond_the_slots_are_refused_and_a_hit_is_not(house: House, picture: str) -> None:
    release = threading.Event()

    def stuck(seen: Seen) -> Answer:
        release.wait(20)
        return Answer(200, {}, b"rendered")

    house.ask(f"/hit/{picture}", headers={"X-Forwarded-For": "192.0.2.99"})
    house.render_with(stuck)
    with ThreadPoolExecutor(6) as pool:
        waiting = [
            pool.submit(house.ask, f"/{number}/{picture}", headers={"X-Forwarded-For": f"192.0.2.{number}"})
            for number in range(6)
        ]
        # Not those that another test has left behind.
        while len({seen.path for seen in house.rendered if picture in seen.path}) < 6:
            time.sleep(0.01)
        refused = house.ask(f"/more/{picture}", headers={"X-Forwarded-For": "192.0.2.100"})
        hit = house.ask(f"/hit/{picture}", headers={"X-Forwarded-For": "192.0.2.100"})
        alive = house.ask("/healthz")
        release.set()
        rendered = [each.result().status for each in waiting]

    assert (refused.status, refused.json["code"]) == (503, "unavailable")
    assert int(refused.headers["Retry-After"]) > 0
    assert (hit.status, alive.status) == (200, 200)
    assert rendered == [200] * 6


def test_a_client_with_slow_renders_leaves_room_for_others(
    binary: Path, common: dict[str, str], tmp_path: Path, picture: str
) -> None:
    few = {"MISSES_AT_ONCE": "4", "RENDERS_AT_ONCE": "6", "TRUSTED_PROXIES": "127.0.0.1"}
    release = threading.Event()

    def stuck(seen: Seen) -> Answer:
        if "slow" in seen.path:
            release.wait(20)
        return Answer(200, {}, b"rendered")

    with furnished(binary, common | few, tmp_path) as narrow, ThreadPoolExecutor(6) as pool:
        narrow.render_with(stuck)
        greedy = [
            pool.submit(narrow.ask, f"/slow-{number}/{picture}", headers={"X-Forwarded-For": "192.0.2.1"})
            for number in range(6)
        ]
        try:
            # Those that are let in, and the answers to the others.
            while len(narrow.rendered) + sum(each.done() for each in greedy) < 6:
                time.sleep(0.01)
            other = narrow.ask(f"/quick/{picture}", headers={"X-Forwarded-For": "192.0.2.2"})
        finally:
            release.set()

    assert sorted(each.result().status for each in greedy) == [200] * 4 + [503] * 2
    assert other.status == 200


def test_nobody_is_believed_where_no_balancer_is_named(
    binary: Path, common: dict[str, str], tmp_path: Path, picture: str
) -> None:
    few = {"MISSES_PER_SECOND": "1", "MISSES_AT_ONCE": "4", "MISSES_BURST": "4"}
    with furnished(binary, common | few, tmp_path) as house:
        statuses = []
        for number in range(15):
            # Not from where the rooms are.
            stranger = http.client.HTTPConnection("127.0.0.1", house.port, 30, source_address=("127.0.0.2", 0))
            stranger.request("GET", f"/{number}/{picture}", headers={"X-Forwarded-For": f"198.51.100.{number}"})
            statuses.append(stranger.getresponse().status)
            stranger.close()
        told = house.rendered[0].headers

    assert 429 in statuses
    assert told["X-Real-IP"] == "127.0.0.2"


def test_the_client_behind_the_balancer_is_told_to_the_rooms(house: House) -> None:
    house.ask("/", headers={"X-Forwarded-For": "10.9.9.9, 203.0.113.7"})

    told = house.uploader.seen[0].headers
    assert told["X-Real-IP"] == "203.0.113.7"
    assert told["X-Forwarded-For"] == "10.9.9.9, 203.0.113.7, 127.0.0.1"


def test_a_page_full_of_new_pictures_is_let_through_by_the_defaults(
    binary: Path, common: dict[str, str], tmp_path: Path, picture: str
) -> None:
    from deploy.rooms import Settings

    limits = {
        name.upper(): str(Settings.model_fields[name].default)
        for name in ("misses_per_second", "misses_at_once", "misses_burst", "renders_at_once")
    }
    with furnished(binary, common | limits, tmp_path) as house, ThreadPoolExecutor(60) as pool:
        statuses = list(pool.map(lambda number: house.ask(f"/{number}/{picture}").status, range(60)))

    assert statuses == [200] * 60
