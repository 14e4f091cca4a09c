"""Whether the node says truly that it can work."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from flask import Flask

from thumbstack.buckets import Buckets
from uploader import create_app
from uploader.config import Config
from uploader.readiness import routes


@pytest.fixture
def nobody() -> Iterator[str]:
    """host:port where nothing listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


def test_a_node_with_its_storage_is_ready(config: Config) -> None:
    answer = create_app(config).test_client().get("/readyz")

    assert answer.status_code == 200
    assert answer.json == {"ready": True, "reasons": {}}


def test_what_does_not_answer_is_named(config: Config, nobody: str) -> None:
    broken = config.model_copy(
        update={"s3_endpoint": f"http://{nobody}", "thumbor_servers": (nobody,), "signer_server": nobody}
    )
    client = create_app(broken).test_client()

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json is not None
    assert set(answer.json["reasons"]) == {"s3", "thumbor", "signer"}
    assert client.get("/healthz").status_code == 200


class Nowhere(Buckets):
    """Buckets at a name that takes ages not to be found. It stands for one: without a network there is none."""

    found = threading.Event()

    def check(self) -> None:
        self.found.wait(60)


def test_a_storage_that_is_looked_for_in_vain_is_named_before_the_edge_gives_up() -> None:
    app = Flask(__name__)
    app.register_blueprint(
        routes(Nowhere(boto3.client("s3", region_name="us-east-1"), "pictures", "results"), (), None)
    )

    answer = app.test_client().get("/readyz")
    Nowhere.found.set()

    assert (answer.status_code, answer.json) == (
        503,
        {"ready": False, "reasons": {"s3": "The storage does not answer."}},
    )


@pytest.fixture
def alive() -> Iterator[str]:
    """host:port of a server that answers every GET with 200. It stands for Thumbor, whose room has its own tests."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_one_thumbor_of_two_is_enough(config: Config, nobody: str, alive: str) -> None:
    client = create_app(config.model_copy(update={"thumbor_servers": (nobody, alive)})).test_client()

    assert client.get("/readyz").status_code == 200
