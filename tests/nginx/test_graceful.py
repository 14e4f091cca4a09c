"""nginx is told to read its configuration again, or to stop, while it works: nobody's request is lost."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.nginx.conftest import furnished
from tests.nginx.house import Answer, House, Seen


@pytest.fixture
def house(binary: Path, common: dict[str, str], tmp_path: Path) -> Iterator[House]:
    """A house of its own, whose nginx may end."""
    with furnished(binary, common, tmp_path) as house:
        yield house


def _workers(house: House) -> set[int]:
    listing = Path(f"/proc/{house.nginx.pid}/task/{house.nginx.pid}/children")
    return set(map(int, listing.read_text().split()))


def test_reading_the_configuration_again_costs_no_request(house: House, picture: str) -> None:
    end = threading.Event()
    statuses: list[int] = []

    def reader(number: int) -> None:
        while not end.is_set():
            statuses.append(house.ask(f"/hit/{picture}").status)
            statuses.append(house.ask(f"/{number}-{len(statuses)}/{picture}").status)

    before = _workers(house)
    with ThreadPoolExecutor(8) as pool:
        readers = [pool.submit(reader, number) for number in range(8)]
        for _ in range(5):
            enough = len(statuses) + 200
            os.kill(house.nginx.pid, signal.SIGHUP)
            while len(statuses) < enough:
                time.sleep(0.01)
                assert not any(each.done() for each in readers)
        end.set()
        for each in readers:
            each.result()

    assert set(statuses) == {200}
    # They end a moment after their last answer.
    while before & _workers(house):
        time.sleep(0.01)
    assert house.ask(f"/hit/{picture}").headers["X-Cache"] == "HIT"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT])
def test_a_render_under_way_is_answered(house: House, picture: str, number: signal.Signals) -> None:
    rendering, go_on = threading.Event(), threading.Event()

    def slowly(seen: Seen) -> Answer:
        rendering.set()
        go_on.wait(20)
        return Answer(200, {}, b"rendered")

    house.render_with(slowly)
    before = _workers(house)
    with ThreadPoolExecutor(1) as client:
        asked = client.submit(house.ask, f"/sig/{picture}")
        rendering.wait(20)
        os.kill(house.nginx.pid, number)
        if number == signal.SIGHUP:
            while not _workers(house) - before:
                time.sleep(0.01)
            assert house.ask("/ping").status == 200
        go_on.set()

        assert asked.result().body == b"rendered"
    if number == signal.SIGQUIT:
        assert house.nginx.wait(60) == 0


def test_a_disk_that_was_filled_before_the_start_is_served_at_once(
    house: House, picture: str, binary: Path, common: dict[str, str]
) -> None:
    house.ask(f"/sig/{picture}")
    os.kill(house.nginx.pid, signal.SIGQUIT)
    assert house.nginx.wait(60) == 0
    (house.directory / "again").mkdir()

    same_disk = common | {"EDGE_CACHE": str(house.directory / "cache")}
    with furnished(binary, same_disk, house.directory / "again") as again:
        answer = again.ask(f"/sig/{picture}")

        assert (answer.status, answer.headers["X-Cache"]) == (200, "HIT")
        assert again.seen == []
