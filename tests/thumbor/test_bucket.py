"""How S3 is asked: where a bucket is, who signs, what is asked again."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from bucket import Bucket

if TYPE_CHECKING:
    from tests.thumbor.conftest import S3, ScriptedS3, Thumbor, Thumbors


@pytest.mark.parametrize(
    ("name", "region", "endpoint", "address"),
    [
        ("pictures", "us-east-1", "http://127.0.0.1:8333/", "http://127.0.0.1:8333/pictures"),
        ("pictures", "eu-central-1", None, "https://pictures.s3.eu-central-1.amazonaws.com"),
        ("my.pictures", "eu-central-1", None, "https://s3.eu-central-1.amazonaws.com/my.pictures"),
        ("pictures", "cn-north-1", None, "https://pictures.s3.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_a_bucket_is_where_its_region_says(name: str, region: str, endpoint: str | None, address: str) -> None:
    assert Bucket(name, region, endpoint).address == address


class _Role(BaseHTTPRequestHandler):
    """A stub of what hands a role's keys out, because there is no AWS here: new ones each time it is asked."""

    server: "RoleServer"

    def do_GET(self) -> None:
        self.server.asked += 1
        ends = datetime.now(UTC) + timedelta(minutes=5)
        keys = {"AccessKeyId": f"key-{self.server.asked}", "SecretAccessKey": "secret", "Token": "session"}
        self._send(json.dumps({"Expiration": f"{ends:%Y-%m-%dT%H:%M:%SZ}", **keys}))

    def _send(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        """Silence."""


class RoleServer(ThreadingHTTPServer):
    """Counts how often it was asked for keys."""

    daemon_threads = True
    asked = 0


@pytest.fixture
def role() -> Iterator[RoleServer]:
    """Where the keys come from."""
    server = RoleServer(("127.0.0.1", 0), _Role)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_an_instances_role_signs_and_its_keys_are_renewed(
    thumbors: "Thumbors", s3: "S3", scripted: "ScriptedS3", role: RoleServer, coffee: bytes
) -> None:
    environment = {
        **s3.environment(),
        "S3_ENDPOINT": f"http://127.0.0.1:{scripted.server_port}",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{role.server_port}/keys",
    }
    del environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]
    thumbor = thumbors.start(environment)
    picture = scripted.put(coffee)

    for size in ("60x40", "30x20"):
        assert thumbor.get(picture, size).status_code == 200

    assert set(scripted.signers) <= {f"key-{number} session" for number in range(1, role.asked + 1)}
    # Keys with less than ten minutes to live are renewed before they are used.
    assert len(set(scripted.signers)) > 1


@pytest.mark.parametrize(("fault", "tries"), [("503", 2), ("500", 2), ("403", 1), ("404", 1), ("hang", 1)])
def test_only_a_hiccup_is_asked_again(
    on_scripted: "Thumbor", scripted: "ScriptedS3", coffee: bytes, fault: str, tries: int
) -> None:
    picture = scripted.put(coffee)
    scripted.faults["test-pictures", "GET"] = fault

    on_scripted.get(picture, "60x40")

    assert scripted.calls.count(f"GET /test-pictures/{picture}") == tries
