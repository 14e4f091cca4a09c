"""An uploader on a real S3 server, without nginx before it."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from thumbstack.apps import AppKeys
from thumbstack.buckets import Buckets, s3_client
from thumbstack.deletion import delete_pictures
from thumbstack.edge import Edge
from thumbstack.notices import Notices
from uploader import create_app
from uploader.config import Config

ROOT = Path(__file__).parents[2]
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "uploader-tests", "AWS_SECRET_ACCESS_KEY": "uploader-tests-secret"}
PICTURES, RESULTS, WEBSITE = "uploader-pictures", "uploader-results", "uploader-website"


def free_port() -> int:
    """A port below 22768: SeaweedFS uses the port ten thousand above it as well."""
    for port in range(15000 + os.getpid() % 5000, 22768):
        try:
            for candidate in (port, port + 10000):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", candidate))
        except OSError:
            continue
        return port
    raise AssertionError("no free port")


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real S3 server with both buckets."""
    port = free_port()
    environment = {
        **os.environ,
        **CREDENTIALS,
        "PICTURES_BUCKET": PICTURES,
        "RESULTS_BUCKET": RESULTS,
        "WEBSITE_BUCKET": WEBSITE,
    }
    data = tmp_path_factory.mktemp("s3")
    with (data / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "s3/serve.py", "--data", str(data / "data"), "--ip", "127.0.0.1", "--port", str(port)],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            with pytest.MonkeyPatch.context() as patch:
                for name, value in CREDENTIALS.items():
                    patch.setenv(name, value)
                endpoint = f"http://127.0.0.1:{port}"
                _wait_for_buckets(endpoint, server, data / "log")
                yield endpoint
        finally:
            server.terminate()
            server.wait(30)


def _wait_for_buckets(endpoint: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(endpoint, timeout=2)  # noqa: S310 - our own server
        except urllib.error.HTTPError:
            pass  # it answers, if only to say no
        except OSError:
            time.sleep(0.1)
            continue
        buckets = Buckets(s3_client(endpoint, "us-east-1"), PICTURES, RESULTS, website=WEBSITE)
        try:
            buckets.check()
        except Exception:  # the buckets are made a moment after the first answer
            time.sleep(0.1)
            continue
        return
    raise AssertionError(log.read_text())


@pytest.fixture
def config(s3_endpoint: str, tmp_path: Path) -> Config:
    """Two apps with keys, and `demo` that needs none."""
    return Config(
        pictures_bucket=PICTURES,
        results_bucket=RESULTS,
        website_bucket=WEBSITE,
        edge_server="127.0.0.1:1",
        s3_endpoint=s3_endpoint,
        security_keys=("security-key-of-the-tests-0123456789",),
        api_keys=(AppKeys("shop", "shop-public-0123456789", "shop-private-0123456789"),),
        open_app="demo",
        public_url="https://pictures.example",
        edge_cache=tmp_path / "cache",
        tombstones=tmp_path / "tombstones",
        max_upload_bytes=300_000,
    )


@pytest.fixture
def client(config: Config) -> Iterator[FlaskClient]:
    """The uploader; the open app's pictures are gone afterwards."""
    client = create_app(config).test_client()
    yield client
    client.delete("/delete-all-pictures")


@pytest.fixture
def buckets(config: Config) -> Buckets:
    """The buckets, to look at and to put things into behind the uploader's back."""
    return Buckets(s3_client(config.s3_endpoint, config.aws_region), PICTURES, RESULTS, website=WEBSITE)


@dataclass(frozen=True)
class Room:
    """The uploader under gunicorn, as it is run."""

    port: int
    process: "subprocess.Popen[bytes]"
    log: Path

    def answers(self) -> bool:
        """It is up, with both of its workers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=10):
                return len(self.workers()) == 2
        except OSError:
            return False

    def workers(self) -> set[str]:
        """Process ids of the workers."""
        pid = self.process.pid
        return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


@pytest.fixture(scope="session")
def running(s3_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    """The uploader under gunicorn on a real S3; its open app is `fuzz`."""
    with under_gunicorn(s3_endpoint, tmp_path_factory.mktemp("room")) as room:
        yield room


@contextmanager
def under_gunicorn(s3_endpoint: str, folder: Path, **more: str) -> Iterator[Room]:
    """Start the uploader as it is run, with more variables; stop it at the end, and delete what its open app has."""
    port = free_port()
    environment = {
        **os.environ,
        **CREDENTIALS,
        "S3_ENDPOINT": s3_endpoint,
        "PICTURES_BUCKET": PICTURES,
        "RESULTS_BUCKET": RESULTS,
        "SECURITY_KEYS": "security-key-of-the-tests-0123456789",
        "OPEN_APP": "fuzz",
        "MAX_UPLOAD_BYTES": "1000000",
        "MAX_REQUEST_BYTES": "2000000",
        "EDGE_CACHE": str(folder / "cache"),
        "TOMBSTONES": str(folder / "tombstones"),
        "TMPDIR": str(folder),
        **more,
    }
    command = [str(Path(sys.executable).with_name("gunicorn")), "--config", "uploader/gunicorn.conf.py"]
    command += ["--bind", f"127.0.0.1:{port}", "uploader.wsgi:application"]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    started = Room(port, process, log)
    try:
        deadline = time.monotonic() + 60
        while not started.answers():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield started
    finally:
        process.terminate()
        process.wait(60)
        buckets = Buckets(s3_client(s3_endpoint, "us-east-1"), PICTURES, RESULTS)
        edge = Edge(folder / "cache", folder / "tombstones", ("x" * 28,), {})
        delete_pictures(buckets, edge, Notices(buckets, edge), "o/fuzz/")
