"""An uploader on a real S3 server, without nginx before it."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from thumbstack.apps import AppKeys
from thumbstack.buckets import Buckets, s3_client
from uploader import create_app
from uploader.config import Config

ROOT = Path(__file__).parents[2]
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "uploader-tests", "AWS_SECRET_ACCESS_KEY": "uploader-tests-secret"}
PICTURES, RESULTS = "uploader-pictures", "uploader-results"


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
    environment = {**os.environ, **CREDENTIALS, "PICTURES_BUCKET": PICTURES, "RESULTS_BUCKET": RESULTS}
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
        buckets = Buckets(s3_client(endpoint, "us-east-1"), PICTURES, RESULTS)
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
    """Both buckets, to look at and to put things into behind the uploader's back."""
    return Buckets(s3_client(config.s3_endpoint, config.aws_region), PICTURES, RESULTS)
