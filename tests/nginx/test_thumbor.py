"""The Thumbor processes: who gets a request, and what becomes of it when a process dies."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.nginx.house import Answer, House, Seen


@pytest.mark.parametrize("encoded", [False, True], ids=["plain", "encoded"])
def test_a_readable_address_is_rendered_by_its_signed_path(house: House, picture: str, encoded: bool) -> None:
    options = "fit-in/400x400/filters:quality(90)"
    sent = options.replace("(", "%28").replace(")", "%29") if encoded else options
    house.signer.answer = lambda seen: Answer(200, {"X-Accel-Redirect": f"/_thumbor/c2ln-_=/{sent}/{picture}?v=1"})

    answer = house.ask(f"/t/MI/u/{picture}?v=1", headers={"Accept": "image/webp"})

    assert answer.body.startswith(b"thumbor")
    assert [seen.path for seen in house.signer.seen] == [f"/t/MI/u/{picture}?v=1"]
    (seen,) = house.rendered
    assert (seen.path, seen.headers["Accept"]) == (f"/c2ln-_=/{options}/{picture}?v=1", "image/webp")
    assert not any(name.lower().startswith("x-accel") for name in answer.headers)
    assert house.ask(f"/t/MI/u/{picture}?v=1", headers={"Accept": "image/webp"}).headers["X-Cache"] == "HIT"


@pytest.mark.parametrize("path", ["/sig/{}", "/t/MI/u/{}"])
@pytest.mark.parametrize("status", [400, 403, 404, 413, 415, 429, 500, 502, 503, 504])
def test_an_empty_error_gets_a_sentence(house: House, picture: str, path: str, status: int) -> None:
    house.signer.answer = lambda seen: Answer(200, {"X-Accel-Redirect": f"/_thumbor/sig/{picture}"})
    house.render_with(lambda seen: Answer(status, {"Content-Type": "text/html"}))

    answer = house.ask(path.format(picture))

    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/json"
    assert all(answer.json[name] for name in ("error", "code"))
    assert (answer.json["code"] == "no_such_picture") is (status == 404)
    assert ("Retry-After" in answer.headers) is (status in (429, 502, 503, 504))


def test_a_refusal_by_the_signer_is_passed_on(house: House, picture: str) -> None:
    refusal = {"error": "Not public.", "code": "forbidden"}
    house.signer.answer = lambda seen: Answer(403, {"Content-Type": "application/json"}, json.dumps(refusal).encode())

    answer = house.ask(f"/t/9999x9999/u/{picture}")

    assert (answer.status, answer.json) == (403, refusal)


def test_a_render_goes_to_the_process_with_less_to_do(house: House, picture: str) -> None:
    first, release = threading.Event(), threading.Event()

    def stuck(seen: Seen) -> Answer:
        if "slow" in seen.path:
            first.set()
            release.wait(20)
        return Answer(200, {}, b"")

    house.render_with(stuck)
    with ThreadPoolExecutor(1) as client:
        slow = client.submit(house.ask, f"/slow/{picture}")
        first.wait(20)
        for number in range(6):
            house.ask(f"/{number}/{picture}")
        counts = sorted(len(thumbor.seen) for thumbor in house.thumbors)
        release.set()
        slow.result()

    # Between the other two a tie is broken by what nginx has not yet counted as ended: 2 and 4 happen.
    assert (counts[0], sum(counts)) == (1, 7)
    assert counts[1] > 1


def test_a_process_killed_in_the_middle_costs_no_request(house: House, picture: str) -> None:
    def killed_once(seen: Seen) -> Answer | None:
        return None if len(house.rendered) == 1 else Answer(200, {}, b"made by the other")

    house.render_with(killed_once)

    answer = house.ask(f"/sig/{picture}")

    assert (answer.status, answer.body) == (200, b"made by the other")
    assert len({seen.room for seen in house.rendered}) == 2


@pytest.mark.parametrize("dead", [0, 1, 2])
def test_a_process_that_is_gone_costs_no_request(house: House, picture: str, dead: int) -> None:
    for number in range(4):
        house.ask(f"/warm-{number}/{picture}")
    house.thumbors[dead].die()
    dead_name = house.thumbors[dead].name

    answers = [house.ask(f"/{number}/{picture}") for number in range(20)]

    assert {answer.status for answer in answers} == {200}
    assert {answer.body.decode() for answer in answers} <= {room.name for room in house.thumbors} - {dead_name}


def test_a_picture_that_kills_processes_is_tried_twice_and_no_more(house: House, picture: str) -> None:
    for number in range(6):
        house.ask(f"/warm-{number}/{picture}")  # nginx does not count a try that fails on a kept connection
    house.reset()
    house.render_with(lambda seen: None)

    answer = house.ask(f"/sig/{picture}")

    assert (answer.status, answer.json["code"]) == (502, "bad_gateway")
    assert len(house.rendered) == 2


def test_connections_to_the_rooms_are_kept(house: House, picture: str) -> None:
    before = house.signer.accepted

    for number in range(20):
        house.ask(f"/t/{number}/u/{picture}")

    # Each worker of nginx may have opened its own.
    assert len(house.signer.seen) == 20
    assert house.signer.accepted - before < 20
