"""Presets are rendered right after an upload, and nothing waits for it or fails with it."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from thumbstack.picture_key import PictureKey
from thumbstack.signing import signed_path
from uploader.warming import Warming

ROOT = Path(__file__).parents[2]
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


def test_of_a_picture_that_was_cropped_its_part_is_asked(thumbor: Asked) -> None:
    warming = Warming([thumbor.address], ["200x200"], "key")

    warming.warm(PICTURE, "100x50+10+20")
    warming.wait()

    assert {path for path, _ in thumbor.seen} == {signed_path(PICTURE, "10x20:110x70/200x200", "key")}


@pytest.mark.parametrize(("extension", "asked"), [("gif", ["image/jpeg"]), ("svg", ["image/jpeg"]), ("pdf", [])])
def test_only_what_a_visitor_can_get_is_asked(thumbor: Asked, extension: str, asked: list[str]) -> None:
    warming = Warming([thumbor.address], ["200x200"], "key")

    warming.warm(PictureKey("demo", "cat", f"1763600000_0123456789abcdef.{extension}"))
    warming.wait()

    assert [accept for _, accept in thumbor.seen] == asked


def test_a_stop_waits_for_nothing_that_is_being_warmed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        script = f"""
from thumbstack.picture_key import PictureKey
from uploader.warming import Warming
warming = Warming(["127.0.0.1:{silent.getsockname()[1]}"], ["200x200"], "key")
for number in range(20):
    warming.warm(PictureKey("demo", "cat", f"{{number}}.jpg"))
input()
"""
        process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, text=True)
        silent.settimeout(60)
        connection, _ = silent.accept()

        # Each would be waited for for a minute.
        process.communicate("\n", timeout=30)
        assert process.returncode == 0
        connection.close()


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
