"""`make smoke`, and what it says of a service that does not do its work: a scripted one, as the real one cannot be told
to show the wrong picture. With the real one it goes through in tests/stack/test_smoke.py and tests/jenkins.
"""

import http.server
import io
import json
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
from PIL import Image

from deploy import smoke
from deploy.smoke import FailedError, Service

ROOT = Path(__file__).parents[2]
COMMIT = "a" * 40
KEY = "o/shop/smoke/1795184232_39e542715aed6d8f0ab0.jpg"


def jpeg(width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height)).save(out, "JPEG")
    return out.getvalue()


class Scripted(http.server.ThreadingHTTPServer):
    """A service that does what it is told: `wrong` has other answers by step."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.wrong: dict[str, tuple[int, bytes]] = {}
        self.kept = False
        self.asked: list[str] = []
        self.held: str | None = None
        """A step that is answered when the server is closed."""
        self.closed = threading.Event()

    def answer(self, step: str) -> tuple[int, bytes]:
        self.asked.append(step)
        if step == self.held:
            self.closed.wait()
        picture = {
            "name": "smoke.jpg", "key": KEY, "url": f"{self.url}/{KEY}", "content_type": "image/jpeg", "width": 640,
            "height": 480, "frames": 1, "bytes": 1, "sha256": "", "altered": False, "uploaded": "2026-11-20T12:00:00Z",
            "dominant_color": None, "placeholder": None, "urls": {},
        }  # fmt: skip
        right = {
            "ready": (200, b'{"ready": true}'),
            "commit": (200, json.dumps({"commit": COMMIT}).encode()),
            "upload": (201, json.dumps({"status": "Uploaded", "pictures": [picture]}).encode()),
            "sign": (200, json.dumps({"url": f"{self.url}/thumbnail"}).encode()),
            "thumbnail": (200, jpeg(100, 75)),
            "delete": (
                200,
                json.dumps({"status": "gone", "originals": 1, "results": 1, "edge": 1, "keys": []}).encode(),
            ),
            "gone": (200 if self.kept else 410, b"{}"),
        }
        if step == "upload":
            self.kept = True
        answer = self.wrong.get(step, right[step])
        if step == "delete" and answer[0] == 200:
            self.kept = False
        return answer


class Handler(http.server.BaseHTTPRequestHandler):
    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        paths = {
            "/readyz": "ready",
            "/version": "commit",
            "/sign": "sign",
            "/thumbnail": "thumbnail",
            f"/{KEY}": "gone",
        }
        step = {"DELETE": "delete", "POST": "upload"}.get(self.command, "")
        server = self.server
        assert isinstance(server, Scripted)
        status, body = server.answer(paths.get(self.path, step))
        self.send_response(status)
        if status == 301:
            self.send_header("Location", body.decode())
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - http.server's own names

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    server = Scripted()
    threading.Thread(target=server.serve_forever).start()
    yield server
    server.closed.set()
    server.shutdown()
    server.server_close()


def test_all_steps_are_told(scripted: Scripted, capsys: pytest.CaptureFixture[str]) -> None:
    smoke.smoke(Service(scripted.url, None), COMMIT, wait=0)

    told = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert told == ["ready", "commit", "upload", "thumbnail", "delete", "gone"]


REFUSED = b'{"error": "Not today.", "code": "storage_error"}'


@pytest.mark.parametrize(
    ("step", "answer", "complaint"),
    [
        ("ready", (503, b'{"ready": false, "reasons": {"s3": "away"}}'), '/readyz after 0 s: 503 {"ready": false'),
        ("ready", (200, b"<html>"), "/readyz, but not from Thumbstack: is the URL right?"),
        ("ready", (200, b"[1]"), "/readyz, but not from Thumbstack: is the URL right?"),
        ("ready", (301, b"https://other.example/"), "It sends on to https://other.example/: is that the URL?"),
        ("commit", (200, b'{"commit": "b"}'), f"b answers, not {COMMIT}."),
        ("commit", (404, b""), "something unknown answers"),
        ("commit", (200, b"[1]"), "something unknown answers"),
        ("upload", (500, REFUSED), "Not today."),
        ("thumbnail", (502, REFUSED), "502"),
        ("thumbnail", (200, b"<html>"), "is no picture"),
        ("thumbnail", (200, jpeg(640, 480)), "640x480, and 100x75 was asked for."),
        ("delete", (400, REFUSED), "Not today."),
        ("gone", (200, b""), "still answers 200 after 0 s."),
    ],
    ids=[
        *("not-ready", "no-json", "other-json", "moved", "other-commit", "no-version", "odd-version"),
        *("upload", "thumbnail", "no-picture", "size", "delete", "not-gone"),
    ],
)
def test_the_first_step_that_fails_is_told_and_no_picture_is_left(
    scripted: Scripted,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    step: str,
    answer: tuple[int, bytes],
    complaint: str,
) -> None:
    monkeypatch.setattr(smoke, "_GONE_SECONDS", 0)
    scripted.wrong[step] = answer

    with pytest.raises(FailedError) as failed:
        smoke.smoke(Service(scripted.url, None), COMMIT, wait=0)

    assert complaint in str(failed.value)
    assert f"{step:<10} FAILED: " in capsys.readouterr().out
    if "upload" in scripted.asked and step != "upload":
        assert "delete" in scripted.asked


def test_an_address_where_nobody_is_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("URL", "http://127.0.0.1:1")
    monkeypatch.setattr("sys.argv", ["smoke", "--wait", "0"])

    with pytest.raises(SystemExit, match=r"smoke: http://127.0.0.1:1 does not do its work: .*no answer \(Connection"):
        smoke.main()


def test_a_certificate_that_is_not_to_be_believed_is_not_waited_for(
    scripted: Scripted, openssl: str, tmp_path: Path
) -> None:
    made = ["-nodes", "-keyout", "key.pem", "-out", "certificate.pem", "-subj", "/CN=other.example"]
    subprocess.run([openssl, "req", "-x509", *made], cwd=tmp_path, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    scripted.socket = context.wrap_socket(scripted.socket, server_side=True)

    with pytest.raises(FailedError, match="Its certificate is not to be believed: "):
        Service(scripted.url.replace("http:", "https:"), None).ready(3600)


def test_who_is_terminated_deletes_the_picture_first(scripted: Scripted) -> None:
    scripted.held = "thumbnail"
    environment = {"PATH": os.environ["PATH"], "URL": scripted.url}
    command = [sys.executable, "-m", "deploy.smoke"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=PIPE, stderr=PIPE, text=True) as smoking:
        deadline = time.monotonic() + 60
        while "thumbnail" not in scripted.asked:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        smoking.terminate()
        out, complaint = smoking.communicate(timeout=60)

    assert smoking.returncode == 1
    assert (scripted.asked[-1], scripted.kept) == ("delete", False)
    assert complaint.strip() == "smoke: stopped", out


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1", "http://"])
def test_what_is_no_address_is_not_waited_for(url: str) -> None:
    with pytest.raises(FailedError, match="is no address: make smoke URL=http://localhost:5000"):
        Service(url, None).ready(3600)
