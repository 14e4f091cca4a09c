"""What Thumbor says when it has too much to do, played by a stub: the real one cannot be told to be busy."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from curator.renders import Renders
from thumbstack.picture_key import PictureKey
from thumbstack.refusal import NoSuchPicture, Refused, Unavailable, Undecodable
from thumbstack.signing import signed_path

PICTURE = PictureKey("demo", "cat", "1763600000_0123456789abcdef.jpg")


class Stub(ThreadingHTTPServer):
    """Answers what it is told, one after the other, and then 200."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.asked: list[tuple[str, str | None, str | None]] = []


class _Answer(BaseHTTPRequestHandler):
    server: Stub

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["Accept"], self.headers["Cache-Control"]))
        status, headers = self.server.answers.pop(0) if self.server.answers else (200, {})
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def stub() -> Iterator[Stub]:
    """In Thumbor's place."""
    server = Stub()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def renders(stub: Stub) -> Renders:
    """Who asks it."""
    return Renders([f"127.0.0.1:{stub.server_port}"], "key")


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it would have waited each time, in whole seconds; it does not."""
    waited: list[float] = []
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds
        if seconds:
            waited.append(round(seconds))

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return waited


def test_it_asks_for_no_result_that_is_there(renders: Renders, stub: Stub) -> None:
    renders.anew(PICTURE, "200x200", "image/webp")

    assert stub.asked == [(signed_path(PICTURE, "200x200", "key"), "image/webp", "no-cache")]


def test_it_waits_as_long_as_it_is_told(renders: Renders, stub: Stub, waits: list[float]) -> None:
    stub.answers = [(429, {"Retry-After": "7"}), (503, {"Retry-After": "3600"}), (502, {}), (504, {})]

    renders.anew(PICTURE, "200x200", "image/webp")

    assert waits == [7, 30, 8, 16]
    assert len(stub.asked) == 5


def test_what_stays_busy_is_given_up(renders: Renders, stub: Stub, waits: list[float]) -> None:
    stub.answers = [(503, {})] * 9

    with pytest.raises(Unavailable):
        renders.anew(PICTURE, "200x200", "image/webp")
    assert len(stub.asked) == 5


def test_who_is_away_is_asked_again(waits: list[float]) -> None:
    with pytest.raises(Unavailable):
        Renders(["127.0.0.1:1"], "key").anew(PICTURE, "200x200", "image/webp")
    assert len(waits) == 4


@pytest.mark.parametrize(("status", "kind"), [(404, NoSuchPicture), (422, Undecodable), (400, Refused)])
def test_what_would_be_the_same_again_is_not_asked_again(
    renders: Renders, stub: Stub, status: int, kind: type[Refused]
) -> None:
    stub.answers = [(status, {})]

    with pytest.raises(kind):
        renders.anew(PICTURE, "200x200", "image/webp")
    assert len(stub.asked) == 1


def test_without_a_thumbor_it_is_told() -> None:
    with pytest.raises(Refused, match="THUMBOR_SERVERS"):
        Renders([], "key")
