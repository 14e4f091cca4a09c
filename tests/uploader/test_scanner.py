"""The virus scan with real scanners: clamd itself, a web server, programs. Nothing passes that was not looked at."""

import io
import os
import shutil
import signal
import socket
import socketserver
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
from PIL import Image

from thumbstack.buckets import Buckets
from thumbstack.refusal import Infected, Refused, ScannerUnavailable, TooLarge
from thumbstack.scanner import read_scanner
from uploader import create_app
from uploader.config import Config

# What the one signature of our clamd finds.
MARKER = b"thumbstack-marker-of-a-test"
# A scanner that says nothing for so long is given up.
PATIENCE_SECONDS = 1
STREAM_MAX = 200_000
CLAMD = shutil.which("clamd", path=os.environ.get("PATH", "") + ":/usr/sbin")
needs_clamd = pytest.mark.skipif(CLAMD is None, reason="clamd (Debian: clamav-daemon) is not installed: not scanned")


def verdict(address: str, body: bytes) -> type[Refused] | None:
    """How a scanner refuses a file; None where it lets it through."""
    try:
        read_scanner(address, PATIENCE_SECONDS).check(io.BytesIO(body))
    except Refused as refusal:
        return type(refusal)
    return None


@dataclass
class Clamd:
    """A running clamd."""

    process: "subprocess.Popen[bytes]"
    port: int
    socket: str

    @property
    def addresses(self) -> list[str]:
        """Both ways to reach it."""
        return [f"clamd://127.0.0.1:{self.port}", f"clamd://{self.socket}"]


@pytest.fixture
def clamd(tmp_path: Path) -> Iterator[Clamd]:
    """A clamd with a database of one signature, on a free port and a socket."""
    assert CLAMD is not None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    # A socket's path has 107 bytes at most.
    with tempfile.TemporaryDirectory() as short:
        database = tmp_path / "database"
        database.mkdir()
        (database / "test.ndb").write_text(f"Thumbstack.Test:0:*:{MARKER.hex()}\n")
        configuration, log = tmp_path / "clamd.conf", tmp_path / "clamd.log"
        configuration.write_text(
            f"Foreground yes\nDatabaseDirectory {database}\nTemporaryDirectory {tmp_path}\n"
            f"LocalSocket {short}/clamd\nTCPAddr 127.0.0.1\nTCPSocket {port}\nStreamMaxLength {STREAM_MAX}\n"
        )
        with log.open("wb") as output:
            process = subprocess.Popen([CLAMD, "-c", str(configuration)], stdout=output, stderr=output)
        try:
            started = Clamd(process, port, f"{short}/clamd")
            deadline = time.monotonic() + 60
            while not answers(started):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.02)
            yield started
        finally:
            process.kill()
            process.wait()


def answers(clamd: Clamd) -> bool:
    """By hand: the library's client leaves a socket open where nobody listens."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(clamd.socket)
            probe.sendall(b"nPING\n")
            return probe.recv(10) == b"PONG\n"
        except OSError:
            return False


def photograph(comment: bytes = b"", side: int = 40) -> bytes:
    """A JPEG with a comment."""
    out = io.BytesIO()
    Image.effect_noise((side, side), 90).convert("RGB").save(out, "JPEG", comment=comment, quality=95)
    return out.getvalue()


@needs_clamd
def test_clamd_finds_what_it_knows_and_lets_the_rest_through(clamd: Clamd) -> None:
    for address in clamd.addresses:
        assert verdict(address, b"harmless" * 1000) is None
        assert verdict(address, b"x" * 100_000 + MARKER) is Infected


@needs_clamd
def test_many_scans_at_once_do_not_mix_their_verdicts(clamd: Clamd) -> None:
    for address in clamd.addresses:
        scanner = read_scanner(address, 60)

        def infected(number: int, scanner=scanner) -> bool:  # type: ignore[no-untyped-def]
            try:
                scanner.check(io.BytesIO(b"x" * (number * 1000) + (MARKER if number % 2 else b"")))
            except Infected:
                return True
            return False

        with ThreadPoolExecutor(16) as threads:
            assert list(threads.map(infected, range(100))) == [bool(number % 2) for number in range(100)]


@needs_clamd
def test_what_is_too_large_for_clamd_does_not_pass(clamd: Clamd) -> None:
    for address in clamd.addresses:
        for size in (STREAM_MAX + 1, 20 * STREAM_MAX):
            assert verdict(address, bytes(size)) is TooLarge


@needs_clamd
def test_nothing_passes_a_clamd_that_hangs_or_is_gone(clamd: Clamd) -> None:
    clamd.process.send_signal(signal.SIGSTOP)
    assert [verdict(address, b"harmless") for address in clamd.addresses] == [ScannerUnavailable] * 2

    clamd.process.kill()
    clamd.process.wait()
    assert [verdict(address, b"harmless") for address in clamd.addresses] == [ScannerUnavailable] * 2


@needs_clamd
def test_an_infected_picture_is_refused_and_not_stored(clamd: Clamd, config: Config, buckets: Buckets) -> None:
    client = create_app(config.model_copy(update={"scanner": clamd.addresses[0]})).test_client()

    def sent(path: str, body: bytes) -> tuple[int, str | None, str | None]:
        answer = client.post(path, data={"file": (io.BytesIO(body), "a.jpg")})
        assert answer.json is not None
        return answer.status_code, answer.json.get("code"), answer.headers.get("Retry-After")

    for path in ("/", "/upload"):
        assert sent(path, photograph(MARKER)) == (422, "infected", None)
        assert sent(path, photograph(side=520)) == (413, "too_large", None)
    clamd.process.kill()
    clamd.process.wait()
    for path in ("/", "/upload"):
        assert sent(path, photograph()) == (503, "scanner_unavailable", "30")
    assert list(buckets.originals("o/demo/")) == list(buckets.incoming("o/demo/")) == []


@needs_clamd
def test_a_clean_picture_is_stored_whole(clamd: Clamd, config: Config, buckets: Buckets) -> None:
    client = create_app(config.model_copy(update={"scanner": clamd.addresses[1]})).test_client()
    body = photograph()

    answer = client.post("/", data={"file": [(io.BytesIO(body), "a.jpg"), (io.BytesIO(photograph(MARKER)), "b.jpg")]})

    assert answer.status_code == 207
    (picture,) = buckets.originals("o/demo/")
    assert buckets.read(str(picture)) == body
    client.delete("/delete-all-pictures")


def test_a_clamd_that_could_not_look_lets_nothing_through() -> None:
    class InTrouble(socketserver.StreamRequestHandler):
        # In place of a clamd that is out of memory or of disk, which none can be made to be.
        def handle(self) -> None:
            while self.connection.recv(1 << 16)[-4:] != bytes(4):
                pass
            self.wfile.write(b"stream: Can't allocate memory ERROR\n")

    with socketserver.TCPServer(("127.0.0.1", 0), InTrouble) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        address = f"clamd://127.0.0.1:{server.server_address[1]}"

        assert verdict(address, b"a picture") is ScannerUnavailable


def test_clamd_is_asked_at_its_usual_port(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    def connect(host: str, port: int, _patience: float) -> None:
        # That port may be somebody's on this machine.
        asked.append((host, port))
        raise OSError("asked")

    monkeypatch.setattr("thumbstack.scanner.ClamdNetworkSocket", connect)
    for address in ("clamd://scanner", "clamd://scanner:3311"):
        with pytest.raises(OSError, match="asked"):
            read_scanner(address).check(io.BytesIO())

    assert asked == [("scanner", 3310), ("scanner", 3311)]


class Hook(ThreadingHTTPServer):
    """A web server that answers what it is told, and remembers what it was sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.status = 204
        self.seen: list[bytes] = []
        self.released = threading.Event()
        self.address = f"http://127.0.0.1:{self.server_port}/scan"

    def handle_error(self, *_: object) -> None:
        """Clients that gave up are what a test is about."""


class _Answer(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        self.server.seen.append(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.status == 0:
            self.server.released.wait()
            return
        self.send_response(self.server.status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        """Who follows a redirect is told that all is well."""
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Silence."""


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A running one."""
    with Hook() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param(200, None, id="200"),
        pytest.param(204, None, id="204"),
        pytest.param(422, Infected, id="422"),
        pytest.param(403, Infected, id="403"),
        pytest.param(413, TooLarge, id="too large for it"),
        pytest.param(404, ScannerUnavailable, id="not there"),
        pytest.param(401, ScannerUnavailable, id="we may not ask"),
        pytest.param(429, ScannerUnavailable, id="too busy"),
        pytest.param(302, ScannerUnavailable, id="elsewhere"),
        pytest.param(500, ScannerUnavailable, id="500"),
        pytest.param(503, ScannerUnavailable, id="503"),
        pytest.param(0, ScannerUnavailable, id="hangs"),
    ],
)
def test_a_hook_is_believed_only_when_it_is_clear(hook: Hook, status: int, expected: type[Refused] | None) -> None:
    hook.status = status

    assert verdict(hook.address, b"a picture") is expected
    assert hook.seen == [b"a picture"]


def test_a_hook_that_is_down_lets_nothing_through(hook: Hook) -> None:
    hook.shutdown()
    hook.server_close()

    assert verdict(hook.address, b"a picture") is ScannerUnavailable


@pytest.mark.parametrize("size", [2000, 900_000], ids=["in memory", "in a file"])
def test_a_hook_sees_the_whole_upload(hook: Hook, config: Config, size: int) -> None:
    app = create_app(config.model_copy(update={"scanner": hook.address, "max_upload_bytes": 1_000_000}))
    body = photograph(bytes(60_000) if size > 2000 else b"", side=900 if size > 2000 else 20)
    hook.status = 422

    # Encoded here: the test client would leave its own spooled file open.
    form = requests.Request("POST", "http://uploader/", files={"file": ("a.jpg", body)}).prepare()
    answer = app.test_client().post("/", data=form.body, content_type=form.headers["Content-Type"])

    assert answer.status_code == 422
    assert hook.seen == [body]


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], str]:
    """Makes a shell script; its path."""

    def make(script: str) -> str:
        path = tmp_path / "scan"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return str(path)

    return make


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param("cat >/dev/null; exit 0", None, id="0"),
        pytest.param("exit 0", None, id="0, and reads nothing"),
        pytest.param("exit 1", Infected, id="1"),
        pytest.param("exit 2", ScannerUnavailable, id="2"),
        pytest.param("kill -9 $$", ScannerUnavailable, id="killed"),
        pytest.param("sleep 600", ScannerUnavailable, id="hangs"),
        pytest.param("sleep 600 | cat; exit 0", ScannerUnavailable, id="waits for one that hangs"),
        pytest.param("yes; exit 0", ScannerUnavailable, id="talks for ever"),
        pytest.param('test -z "$SECURITY_KEYS" || exit 1', None, id="gets no secrets"),
    ],
)
def test_a_command_is_believed_only_when_it_is_clear(
    program: Callable[[str], str],
    script: str,
    expected: type[Refused] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SECURITY_KEYS", "secret")

    assert verdict(program(script), b"a picture" * 100_000) is expected


def test_a_command_reads_the_file(program: Callable[[str], str]) -> None:
    find = program(f"if grep -q {MARKER.decode()}; then exit 1; fi")

    assert verdict(find, b"x" * 1_000_000) is None
    assert verdict(find, b"x" * 1_000_000 + MARKER) is Infected


def test_a_command_leaves_nothing_behind_when_it_hangs(program: Callable[[str], str], tmp_path: Path) -> None:
    pid = tmp_path / "pid"

    assert verdict(program(f"sleep 600 & echo $! >{pid}; wait"), b"a picture") is ScannerUnavailable

    def runs() -> bool:
        try:
            state = Path(f"/proc/{int(pid.read_text())}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return False
        return state != "Z"

    deadline = time.monotonic() + 60
    while runs():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_command_that_cannot_run_lets_nothing_through(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("exit 0")

    for path in (plain, tmp_path / "missing", tmp_path):
        assert verdict(str(path), b"a picture") is ScannerUnavailable


@pytest.mark.parametrize("address", ["clamd:", "ftp://host/", "scan", "http://", "clamd://"])
def test_an_address_that_means_nothing_stops_the_start(address: str) -> None:
    with pytest.raises(ValueError, match="must be clamd"):
        read_scanner(address)
