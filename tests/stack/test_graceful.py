"""Rooms that are replaced under load, one after another: no request fails, and nothing is lost."""

import itertools
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest
import requests

from tests.stack.stacks import Picture, Stack

pytestmark = pytest.mark.stack
CLIENTS = 4


@contextmanager
def asking(ask: Callable[[int], int]) -> Iterator[list[int]]:
    """Clients that call `ask` with a number of its own each time, until the end; the statuses that they got."""
    numbers, statuses, over = itertools.count(), [], threading.Event()

    def go() -> None:
        while not over.is_set():
            try:
                statuses.append(ask(next(numbers)))
            except requests.RequestException:
                statuses.append(0)

    clients = [threading.Thread(target=go) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield statuses
    finally:
        over.set()
        for client in clients:
            client.join(120)


def more(stack: Stack, statuses: list[int], count: int = 10) -> None:
    """Let so many more requests be answered."""
    enough = len(statuses) + count
    assert stack.eventually(lambda: len(statuses) >= enough)


def test_thumbors_that_restart_in_turn_fail_no_picture(stack: Stack, photo: Picture) -> None:
    def sign(width: int) -> str:
        fields = {"key": photo.key, "options": f"{width}x{width}"}
        url: str = requests.post(f"{stack.url}/sign", json=fields, timeout=60).json()["url"]
        return url

    def replaced(pid: int) -> bool:
        return pid not in stack.processes("thumbor") and stack.well("thumbor", len(processes))

    # Enough that each is asked once: the edge's hits are no load.
    urls = [sign(width) for width in range(20, 1000)]

    with asking(lambda number: requests.get(urls[number % len(urls)], timeout=60).status_code) as statuses:
        processes = stack.processes("thumbor")
        for pid in processes:
            more(stack, statuses)
            stack.signal(pid, signal.SIGTERM)
            assert stack.eventually(partial(replaced, pid))
        more(stack, statuses)

    assert set(statuses) == {200}


def test_an_uploader_that_is_reloaded_fails_no_upload(stack: Stack, coffee: bytes) -> None:
    def upload(number: int) -> int:
        file = (f"reloaded-{number}.jpg", coffee)
        return requests.post(f"{stack.url}/", files={"file": file}, timeout=60).status_code

    master, *workers = stack.processes("uploader")
    with asking(upload) as statuses:
        more(stack, statuses)
        stack.signal(master, signal.SIGHUP)
        assert stack.eventually(lambda: not set(workers) & set(stack.processes("uploader")))
        more(stack, statuses)

    assert set(statuses) == {201}
    assert stack.processes("uploader")[0] == master
    stored = {key.split("/")[2] for key in stack.originals("o/demo/reloaded-")}
    assert stored == {f"reloaded-{number}" for number in range(len(statuses))}


def test_a_signer_that_is_reloaded_fails_no_signature(stack: Stack, photo: Picture) -> None:
    fields = {"key": photo.key, "options": "30x20"}

    master, *workers = stack.processes("signer")
    with asking(lambda _: requests.post(f"{stack.url}/sign", json=fields, timeout=60).status_code) as statuses:
        more(stack, statuses, 50)
        stack.signal(master, signal.SIGHUP)
        assert stack.eventually(lambda: not set(workers) & set(stack.processes("signer")))
        more(stack, statuses, 50)

    assert set(statuses) == {200}
