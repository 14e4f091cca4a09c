"""A real nginx with the room's own configuration, between a client and stub rooms."""

import os
import secrets
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy import nginx
from tests.nginx.house import MAX_DIRECT_BYTES, MAX_REQUEST_BYTES, House, Room

ROOT = Path(__file__).resolve().parents[2]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def binary() -> Path:
    """The nginx under test: NGINX, or the one that `make run` would take."""
    return Path(os.environ["NGINX"]) if "NGINX" in os.environ else nginx.find()


@pytest.fixture(scope="session")
def common() -> dict[str, str]:
    """Values for the templates, but for servers and directories."""
    return {
        "WEBSITE_BUCKET": "website",
        "RESOLVER": "127.0.0.1",
        "EDGE_CACHE_SIZE": "50m",
        "MAX_REQUEST_BYTES": str(MAX_REQUEST_BYTES),
        "MAX_DIRECT_BYTES": str(MAX_DIRECT_BYTES),
        "PICTURES_BUCKET": "thumbstack-pictures",
        "CORS_ORIGINS": "https://a.example https://b.example:8443",
        "ACCESS_LOG": "/dev/stdout json buffer=4k flush=1s",
        "CACHE_CONTROL": "public, max-age=31536000, immutable",
        "CA_BUNDLE": ssl.get_default_verify_paths().cafile or "",
        "AWS_REGION": "eu-central-1",
        "TRUSTED_PROXIES": "",
        # No test but those of the limits is held up by them.
        "MISSES_PER_SECOND": "100000",
        "MISSES_AT_ONCE": "60000",
        "MISSES_BURST": "60000",
        "RENDERS_AT_ONCE": "60000",
        "EDGE_CACHE_MIN_FREE": "1m",
        "EDGE_CACHE_INDEX": "1m",
        "UPLOAD_URL": "https://uploads.example/",
        "CLIENT_FILES": str(ROOT / "client" / "dist"),
        "GIT_COMMIT": "0123456789abcdef",
    }


@pytest.fixture(scope="session")
def variables(common: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Values for all templates; nobody answers behind them."""
    directory = tmp_path_factory.mktemp("nginx")
    for name in ("cache", "tombstones", "run"):
        (directory / name).mkdir()
    return {
        **common,
        "EDGE_LISTEN": f"127.0.0.1:{_free_port()}",
        "ROUTES_LISTEN": f"127.0.0.1:{_free_port()}",
        "METRICS_LISTEN": f"127.0.0.1:{_free_port()}",
        "UPLOADER_SERVER": "127.0.0.1:1",
        "SIGNER_SERVER": "127.0.0.1:1",
        "THUMBOR_UPSTREAM": "server 127.0.0.1:1;",
        "S3_ENDPOINT": "http://127.0.0.1:1",
        "EDGE_CACHE": str(directory / "cache"),
        "TOMBSTONES": str(directory / "tombstones"),
        "RUN_DIR": str(directory / "run"),
    }


@contextmanager
def furnished(binary: Path, variables: dict[str, str], directory: Path) -> Iterator[House]:
    """nginx and the rooms in a directory of their own, running."""
    for name in ("cache", "tombstones", "run"):
        (directory / name).mkdir()
    rooms = {name: Room(name) for name in ("uploader", "signer", "thumbor-1", "thumbor-2", "thumbor-3", "s3")}
    thumbors = [room for name, room in rooms.items() if name.startswith("thumbor")]
    variables = {
        "UPLOADER_SERVER": rooms["uploader"].address,
        "SIGNER_SERVER": rooms["signer"].address,
        # As README.md advises for processes on one machine: a dead one refuses at once, so nobody needs to remember it.
        "THUMBOR_UPSTREAM": " ".join(f"server {thumbor.address} max_fails=0;" for thumbor in thumbors),
        "S3_ENDPOINT": f"http://{rooms['s3'].address}",
        "EDGE_LISTEN": f"127.0.0.1:{_free_port()}",
        "ROUTES_LISTEN": f"127.0.0.1:{_free_port()}",
        "METRICS_LISTEN": f"127.0.0.1:{_free_port()}",
        "EDGE_CACHE": str(directory / "cache"),
        "TOMBSTONES": str(directory / "tombstones"),
        "RUN_DIR": str(directory / "run"),
        **variables,
    }
    nginx.render(directory / "conf", variables)
    port = int(variables["EDGE_LISTEN"].partition(":")[2])
    with (directory / "stdout").open("ab") as stdout, (directory / "stderr").open("ab") as stderr:
        process = subprocess.Popen(
            [binary, "-c", directory / "conf" / "nginx.conf", "-g", "daemon off;"], stdout=stdout, stderr=stderr
        )
    house = House(
        port,
        directory,
        rooms["uploader"],
        rooms["signer"],
        thumbors,
        rooms["s3"],
        process,
        variables["METRICS_LISTEN"],
    )
    try:
        for _ in range(500):
            try:
                house.ask("/ping")
                break
            except OSError:
                assert process.poll() is None, (directory / "stderr").read_text()
                time.sleep(0.02)
        yield house
    finally:
        process.terminate()
        process.wait(10)
        for room in house.rooms:
            room.die()


@pytest.fixture(scope="session")
def running(binary: Path, common: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """nginx and the rooms, started once."""
    with furnished(binary, common, tmp_path_factory.mktemp("house")) as house:
        yield house


@pytest.fixture
def house(running: House) -> House:
    """nginx and the rooms, all up and with nothing in their memory."""
    running.reset()
    return running


@pytest.fixture
def picture() -> str:
    """A picture key that no other test has."""
    return f"o/demo/cat/{secrets.token_hex(8)}.jpg"
