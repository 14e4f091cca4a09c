"""Presets are rendered right after an upload, and nothing waits for it or fails with it."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from thumbstack.picture_key import PictureKey
from thumbstack.signing import signed_path
from uploader.warming import Warming

PICTURE = PictureKey("demo", "cat", "1763600000_0123456789abcdef.jpg")


class Asked:
    """A server in Thumbor's place, whose room has its own tests: it remembers what it was asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.enough = threading.Semaphore(0)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.seen.append((self.path, self.headers["Accept"]))
                self.send_response(200)
                self.end_headers()
                outer.enough.release()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def thumbor() -> Iterator[Asked]:
    """The server, and its end."""
    asked = Asked()
    yield asked
    asked.server.shutdown()
    asked.server.server_close()


def test_each_warm_preset_is_asked_in_each_format(thumbor: Asked) -> None:
    Warming([thumbor.address], ["200x200", "fit-in/400x400"], "key").warm(PICTURE)

    for _ in range(6):
        assert thumbor.enough.acquire(timeout=30)
    expected = {
        (signed_path(PICTURE, options, "key"), accept)
        for options in ("200x200", "fit-in/400x400")
        for accept in ("image/avif", "image/webp", "image/jpeg")
    }
    assert set(thumbor.seen) == expected
    assert len(thumbor.seen) == 6


@pytest.mark.parametrize(("servers", "options"), [([], ["200x200"]), (["127.0.0.1:1"], [])])
def test_nothing_is_warmed_where_nothing_is_to_be(servers: list[str], options: list[str]) -> None:
    before = threading.active_count()

    Warming(servers, options, "key").warm(PICTURE)

    assert threading.active_count() == before


def test_a_thumbor_that_is_away_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    warming = Warming(["127.0.0.1:1"], ["200x200"], "key")

    for _ in range(3):
        warming.warm(PICTURE)
    warming.wait()

    assert caplog.text.count("not warmed") == 3
