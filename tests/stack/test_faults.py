"""What goes wrong and is survived: killed processes, S3 away, a crash of everything."""

import signal
import socket
import threading
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
import requests

from tests.stack.stacks import Picture, Stack

pytestmark = pytest.mark.stack


def test_a_node_says_that_it_is_alive_and_ready(stack: Stack) -> None:
    assert requests.get(f"{stack.url}/ping", timeout=10).text.strip() == "Pong!"
    assert requests.get(f"{stack.url}/healthz", timeout=10).status_code == 200
    assert requests.get(f"{stack.url}/readyz", timeout=10).json() == {"ready": True, "reasons": {}}
    assert requests.get(f"{stack.url}/version", timeout=10).json()["commit"]


def test_without_s3_cached_pictures_are_served_and_uploads_may_come_again(
    stack: Stack, photo: Picture, coffee: bytes
) -> None:
    cached = requests.get(photo.urls["MI"], timeout=30)
    assert cached.status_code == 200

    with stack.without_s3():
        hit = requests.get(photo.urls["MI"], timeout=30)
        upload = requests.post(f"{stack.url}/", files={"file": ("away.jpg", coffee)}, timeout=120)
        miss = requests.get(photo.urls["SI"], timeout=120)
        alive = requests.get(f"{stack.url}/healthz", timeout=10)
        ready = requests.get(f"{stack.url}/readyz", timeout=120)

    assert (hit.status_code, hit.headers["X-Cache"], hit.content) == (200, "HIT", cached.content)
    assert (upload.status_code, upload.json()["code"]) == (503, "storage_unavailable")
    assert int(upload.headers["Retry-After"]) > 0
    assert miss.status_code in (502, 503, 504)
    assert alive.status_code == 200
    assert ready.status_code == 503
    assert "s3" in ready.json()["reasons"]
    # A storage that hung may still have taken what it was sent: then whole, like any other.
    for key in stack.originals("o/demo/away/"):
        assert requests.get(f"{stack.url}/{key}", timeout=30).content == coffee
    assert requests.get(photo.urls["SI"], timeout=30).status_code == 200


@pytest.mark.parametrize("room", ["thumbor", "signer", "uploader"])
def test_a_room_that_hangs_is_named_and_the_node_is_alive(stack: Stack, room: str) -> None:
    stopped = stack.processes(room)
    for pid in stopped:
        stack.signal(pid, signal.SIGSTOP)
    try:
        alive = requests.get(f"{stack.url}/healthz", timeout=60)
        ready = requests.get(f"{stack.url}/readyz", timeout=60)
    finally:
        for pid in reversed(stopped):
            stack.signal(pid, signal.SIGCONT)

    assert alive.status_code == 200
    assert (ready.status_code, set(ready.json()["reasons"])) == (503, {room})
    assert stack.eventually(stack.ready)


class SlowUpload:
    """An upload whose body arrives in two halves, with something in between."""

    def __init__(self, stack: Stack, body: bytes, name: str) -> None:
        boundary = "half"
        self._body = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
            + body
            + f"\r\n--{boundary}--\r\n".encode()
        )
        address = urlsplit(stack.url)
        self._connection = socket.create_connection((address.hostname, address.port), timeout=60)
        self._connection.sendall(
            f"POST / HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: multipart/form-data; boundary={boundary}\r\n"
            f"Content-Length: {len(self._body)}\r\nConnection: close\r\n\r\n".encode()
        )
        self._connection.sendall(self._body[: len(self._body) // 2])
        begun = "\nthumbstack_requests_in_flight 1.0\n"
        assert stack.eventually(lambda: any(begun in text for text in stack.numbers("uploader")))

    def end(self) -> int | None:
        """Send the rest; the status, or None where the connection was cut."""
        with self._connection, self._connection.makefile("rb") as answer:
            try:
                self._connection.sendall(self._body[len(self._body) // 2 :])
                line = answer.readline()
            except OSError:
                return None
        return int(line.split()[1]) if line else None


def test_an_upload_whose_uploader_is_killed_leaves_nothing(stack: Stack, large_photo: bytes) -> None:
    upload = SlowUpload(stack, large_photo, "killed.jpg")
    killed = stack.processes("uploader")
    for pid in killed:
        # A container's first process takes the others along.
        with suppress(ProcessLookupError):
            stack.signal(pid, signal.SIGKILL)

    assert upload.end() in (None, 502, 503, 504)
    assert stack.eventually(lambda: stack.processes("uploader")[:1] != killed[:1] and stack.ready())
    assert stack.originals("o/demo/killed/") == []
    assert stack.upload(large_photo, "killed.jpg").urls


def test_an_uploader_that_is_stopped_ends_what_is_under_way(stack: Stack, large_photo: bytes) -> None:
    upload = SlowUpload(stack, large_photo, "stopped.jpg")
    master = stack.processes("uploader")[0]
    stack.signal(master, signal.SIGTERM)

    assert upload.end() == 201
    assert len(stack.originals("o/demo/stopped/")) == 1
    assert stack.eventually(lambda: master not in stack.processes("uploader") and stack.ready())


@pytest.mark.parametrize(("number", "lost"), [(signal.SIGKILL, 2), (signal.SIGTERM, 0)])
def test_a_thumbor_that_ends_costs_no_more_than_it_must(
    stack: Stack, photo: Picture, number: signal.Signals, lost: int
) -> None:
    def sign(options: str) -> str:
        answer = requests.post(f"{stack.url}/sign", json={"key": photo.key, "options": options}, timeout=30)
        url: str = answer.json()["url"]
        return url

    urls = [sign(f"{width}x{width}") for width in range(50, 170)]
    statuses: list[int] = []

    def ask(part: list[str]) -> None:
        statuses.extend(requests.get(url, timeout=60).status_code for url in part)

    readers = [threading.Thread(target=ask, args=(urls[first::4],)) for first in range(4)]
    before = stack.processes("thumbor")
    for reader in readers:
        reader.start()
    assert stack.eventually(lambda: len(statuses) > 20)
    stack.signal(max(before), number)
    for reader in readers:
        reader.join(120)

    assert len(statuses) == len(urls)
    # Four clients over two processes: two requests at most were in the one that was killed.
    assert sum(status != 200 for status in statuses) <= lost
    assert stack.eventually(lambda: len(stack.processes("thumbor")) == len(before))
    assert stack.eventually(lambda: max(before) not in stack.processes("thumbor"))
    assert requests.get(sign("49x49"), timeout=30).status_code == 200


def test_an_acknowledged_picture_survives_a_crash_of_everything(
    stack: Stack, large_photo: bytes, coffee: bytes
) -> None:
    pictures = [stack.upload(coffee, f"crash-{number}.jpg") for number in range(5)]
    last = stack.upload(large_photo, "crash.jpg")

    stack.crash()

    assert requests.get(last.url, timeout=60).content == large_photo
    for picture in pictures:
        assert requests.get(f"{stack.url}/", params={"name": picture.name}, timeout=30).content == coffee
        assert requests.get(picture.urls["MI"], timeout=30).status_code == 200


def test_formats_stay_apart_over_a_restart_with_an_empty_edge(stack: Stack, photo: Picture) -> None:
    accepts = ("image/avif", "image/webp", "image/jpeg")
    first = {
        accept: requests.get(photo.urls["MI"], headers={"Accept": accept}, timeout=30).content for accept in accepts
    }
    assert stack.eventually(lambda: stack.lines("thumbor", "rendered", photo.key) == 3)

    stack.restart()
    stack.empty_edge()

    for accept in reversed(accepts):
        answer = requests.get(photo.urls["MI"], headers={"Accept": accept}, timeout=30)
        assert answer.headers["Content-Type"] == accept
        assert answer.content == first[accept]
    assert stack.lines("thumbor", "rendered", photo.key) == 3
