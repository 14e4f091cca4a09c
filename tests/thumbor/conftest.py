"""The real ``thumbor`` process, over HTTP, on a real S3 and on one that misbehaves as it is told."""

import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from thumbstack.picture_key import PictureKey
from thumbstack.result_key import result_key
from thumbstack.signing import signed_path

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ROOT = Path(__file__).parents[2]
KEY = "a-key-for-tests-that-is-long-enough"
PICTURES, RESULTS = "test-pictures", "test-results"


def wait_until(what: Callable[[], object]) -> None:
    """Ask until the answer is truthy; a minute is the bound, not a measure."""
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


WaitUntil = Callable[[Callable[[], object]], None]


@pytest.fixture(name="wait_until", scope="session")
def _wait_until() -> WaitUntil:
    """Waits for a condition."""
    return wait_until


def free_ports(count: int) -> list[int]:
    """Ports that are free, and their gRPC twins 10000 above too (SeaweedFS takes both)."""
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            port = random.randrange(12000, 22000)
            try:
                for number in (port, port + 10000):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", number))
            except OSError:
                continue
            found.append(port)
    return found


@dataclass
class S3:
    """Where an S3 is, and a client of it."""

    endpoint: str
    client: "S3Client"

    def environment(self) -> dict[str, str]:
        """What Thumbor is told."""
        return {
            "S3_ENDPOINT": self.endpoint,
            "AWS_ACCESS_KEY_ID": "tester",
            "AWS_SECRET_ACCESS_KEY": "tester-secret",
            "PICTURES_BUCKET": PICTURES,
            "RESULTS_BUCKET": RESULTS,
            "SECURITY_KEYS": f"{KEY},an-older-key-that-is-long-enough-too",
        }

    def put(self, body: bytes, extension: str) -> PictureKey:
        """Store an original under a new key."""
        picture = PictureKey("demo", "cup", f"1_{secrets.token_hex(8)}.{extension}")
        self.client.put_object(Bucket=PICTURES, Key=str(picture), Body=body)
        return picture

    def has_result(self, key: str) -> bool:
        """Say whether there is a result of that key."""
        return bool(self.client.list_objects_v2(Bucket=RESULTS, Prefix=key).get("Contents"))

    def results(self, picture: PictureKey) -> list[str]:
        """The result keys of a picture, without the picture key."""
        page = self.client.list_objects_v2(Bucket=RESULTS, Prefix=f"{picture}/")
        return [item["Key"].removeprefix(f"{picture}/") for item in page.get("Contents", ())]


def client_of(endpoint: str) -> "S3Client":
    """A client that tries once."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="tester",
        aws_secret_access_key="tester-secret",
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A real S3 (SeaweedFS) with both buckets."""
    folder = tmp_path_factory.mktemp("s3")
    ports = dict(zip(("master", "volume", "filer", "s3"), free_ports(4), strict=True))
    command = [str(Path(sys.executable).with_name("weed")), "mini", f"-dir={folder}", "-ip=127.0.0.1"]
    command += ["-ip.bind=127.0.0.1", "-master.telemetry=false", "-admin.ui=false", "-webdav=false"]
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
    command += [f"-{name}.port={port}" for name, port in ports.items()]
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "tester-secret"}
    endpoint = f"http://127.0.0.1:{ports['s3']}"
    client = client_of(endpoint)
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
    try:

        def made() -> bool:
            assert process.poll() is None, (folder / "weed.log").read_text()[-2000:]
            try:
                for bucket in (PICTURES, RESULTS):
                    client.create_bucket(Bucket=bucket)
            except client.exceptions.BucketAlreadyOwnedByYou:
                return True
            except (BotoCoreError, ClientError):
                return False
            return True

        wait_until(made)
        yield S3(endpoint, client)
    finally:
        process.terminate()
        process.wait(20)


class ScriptedS3(ThreadingHTTPServer):
    """A stub, because a real S3 cannot be told to hang, to break off, or to answer 503 just once.

    It keeps what is put, checks no signature, and does to (bucket, method) what `faults` says:
    a status, ``hang``, ``truncate``, or ``drip`` (a byte now and then, for ever).
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _ScriptedAnswer)
        self.faults: dict[tuple[str, str], str] = {}
        self.calls: list[str] = []
        # Whose signature each call bore.
        self.signers: list[str] = []
        self.objects: dict[str, bytes] = {}
        self.released = threading.Event()

    def put(self, body: bytes) -> PictureKey:
        """Store an original under a new key."""
        picture = PictureKey("demo", "cup", f"1_{secrets.token_hex(8)}.jpg")
        self.objects[f"/{PICTURES}/{picture}"] = body
        return picture

    def handle_error(self, *_: Any) -> None:
        """Clients that gave up are what the tests are about."""


_CODES = {"403": "AccessDenied", "404": "NoSuchKey", "500": "InternalError", "503": "SlowDown"}


class _ScriptedAnswer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ScriptedS3

    def _answer(self) -> None:
        path = self.path.split("?")[0]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.calls.append(f"{self.command} {path}")
        signer = self.headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0]
        self.server.signers.append(f"{signer} {self.headers.get('X-Amz-Security-Token', '')}".strip())
        fault = self.server.faults.get((path.split("/")[1], self.command), "")
        if fault == "hang":
            self.server.released.wait()
            self.close_connection = True
        elif fault.isdigit():
            self._send(int(fault), f"<Error><Code>{_CODES[fault]}</Code><Message>x</Message></Error>".encode())
        elif self.command == "PUT":
            self.server.objects[path] = body
            self._send(200)
        elif self.command == "DELETE":
            self.server.objects.pop(path, None)
            self._send(204)
        elif path in self.server.objects:
            self._send(200, self.server.objects[path], fault)
        else:
            self._send(404, b"<Error><Code>NoSuchKey</Code></Error>")

    do_GET = do_HEAD = do_PUT = do_DELETE = _answer  # noqa: N815 (http.server's names)

    def _send(self, status: int, body: bytes = b"", fault: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", "Thu, 19 Nov 2026 00:00:00 GMT")
        self.send_header("ETag", '"x"')
        self.end_headers()
        while fault == "drip" and not self.server.released.wait(0.2):
            self.wfile.write(b"x")
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 3] if fault else body)
        self.close_connection = self.close_connection or bool(fault)

    def log_message(self, *_: Any) -> None:
        """Silence."""


@pytest.fixture(scope="session")
def scripted_server() -> Iterator[ScriptedS3]:
    """The stub, for all tests."""
    server = ScriptedS3()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def scripted(scripted_server: ScriptedS3) -> Iterator[ScriptedS3]:
    """The stub, behaving, and with no calls counted."""
    scripted_server.released.set()
    scripted_server.released = threading.Event()
    scripted_server.faults.clear()
    scripted_server.objects.clear()
    scripted_server.calls.clear()
    scripted_server.signers.clear()
    yield scripted_server
    scripted_server.released.set()


@dataclass
class Thumbor:
    """A running ``thumbor`` and how to talk to it."""

    process: "subprocess.Popen[bytes]"
    url: str
    log: Path
    gate: Path
    _seen: int = field(default=0)

    def get(
        self, picture: PictureKey, options: str = "", accept: str = "image/jpeg", request_id: str = "test-request"
    ) -> requests.Response:
        """Ask for a variant with a signed URL."""
        return self.get_path(signed_path(picture, options, KEY), accept, request_id)

    def get_path(self, path: str, accept: str = "image/jpeg", request_id: str = "test-request") -> requests.Response:
        """Ask for any path, byte for byte."""
        headers = {"Accept": accept, "X-Request-ID": request_id}
        with requests.Session() as session:
            request = session.prepare_request(requests.Request("GET", self.url, headers=headers))
            # Set afterwards, or `..` would be resolved here.
            request.url = self.url + path
            return session.send(request, timeout=60)

    def rendered(self, s3: S3, picture: PictureKey, options: str, accept: str = "image/jpeg") -> requests.Response:
        """Ask, and if that was a render wait until its result is stored: Thumbor answers before."""
        answer = self.get(picture, options, accept)
        assert answer.status_code == 200, answer.status_code
        for line in self.lines():
            if line["message"] == "rendered" and line["picture"] == str(picture):
                key = result_key(picture, options, line["format"])
                wait_until(partial(s3.has_result, key))
        return answer

    def lines(self) -> list[dict[str, Any]]:
        """The log lines since they were last asked for. All that belong to an answered request are there."""
        # The event loop writes a request's lines before it takes up the next request.
        requests.get(f"{self.url}/healthcheck", timeout=60)
        lines = self.log.read_text().splitlines()
        fresh, self._seen = lines[self._seen :], len(lines)
        return [json.loads(line) for line in fresh]

    def open_gate(self) -> None:
        """Let held renders go on."""
        (self.gate / "open").touch()

    def close_gate(self) -> None:
        """Hold the renders to come."""
        for name in ("open", "waiting"):
            (self.gate / name).unlink(missing_ok=True)

    def wait_for_a_render(self) -> None:
        """Wait until a render is held."""
        wait_until((self.gate / "waiting").exists)

    def events(self, picture: PictureKey, count: int) -> list[str]:
        """Wait for so many lines about a picture, and say what they are about; also what follows an answer."""
        found: list[str] = []

        def enough() -> bool:
            found.extend(
                line["message"].partition(":")[0] for line in self.lines() if line.get("picture") == str(picture)
            )
            return len(found) >= count

        wait_until(enough)
        return found

    def counted(self) -> list[str]:
        """A word for each render and each result hit since lines were last asked for."""
        return [line["message"] for line in self.lines() if line["message"] in ("rendered", "result hit")]


class Thumbors:
    """Starts ``thumbor`` processes as the stack does, and ends them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, environment: dict[str, str], more_conf: str = "") -> Thumbor:
        """Start one and wait until it answers."""
        number = len(self._processes)
        [port] = free_ports(1)
        log, gate, conf = (self._folder / f"{name}{number}" for name in ("log", "gate", "conf"))
        gate.mkdir()
        conf.write_text((ROOT / "thumbor" / "thumbor.conf").read_text() + more_conf)
        paths = os.pathsep.join(map(str, (ROOT, ROOT / "thumbor", Path(__file__).parent)))
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "thumbor.server", "--ip", "127.0.0.1", "--port", str(port), "--conf", str(conf)],
                env={"PYTHONPATH": paths, "GATE": str(gate), **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
            )
        self._processes.append(process)
        started = Thumbor(process, f"http://127.0.0.1:{port}", log, gate)

        def answers() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                return requests.get(f"{started.url}/healthcheck", timeout=5).text == "WORKING"
            except requests.ConnectionError:
                return False

        wait_until(answers)
        return started

    def end(self) -> None:
        """End whatever still runs, at once: the clean stop has its own test."""
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()


@pytest.fixture(scope="session")
def thumbors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Thumbors]:
    """The starter; everything it started ends with the session."""
    starter = Thumbors(tmp_path_factory.mktemp("thumbor"))
    yield starter
    starter.end()


@pytest.fixture(scope="session")
def thumbor(thumbors: Thumbors, s3: S3) -> Thumbor:
    """One on the real S3."""
    return thumbors.start(s3.environment())


@pytest.fixture(scope="session")
def held_thumbor(thumbors: Thumbors, s3: S3) -> Thumbor:
    """One on the real S3 whose renders wait for their gate."""
    return thumbors.start(s3.environment(), '\nENGINE = "held_engine"\n')


@pytest.fixture(scope="session")
def on_scripted(thumbors: Thumbors, s3: S3, scripted_server: ScriptedS3) -> Thumbor:
    """One on the S3 that misbehaves."""
    return thumbors.start({**s3.environment(), "S3_ENDPOINT": f"http://127.0.0.1:{scripted_server.server_port}"})
