"""S3, or this node's disk, in trouble: a clear refusal, nothing half there.

A real S3 server cannot be made to answer 503 or to hang on demand, so a scripted one stands in here.
"""

import io
import tempfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from flask.testing import FlaskClient

from thumbstack.buckets import Buckets
from uploader import create_app
from uploader.config import Config

Script = Callable[[str], tuple[int, str] | None]


class ScriptedS3:
    """Answers each method as it is told; None: says nothing until the test ends."""

    def __init__(self) -> None:
        self.script: Script = lambda method: (500, "InternalError")
        self.asked: list[str] = []
        self.over = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.asked.append(self.command)
                answer = outer.script(self.command)
                if answer is None:
                    outer.over.wait(60)
                    self.close_connection = True
                    return
                status, code = answer
                body = f"<Error><Code>{code}</Code><Message>secret-bucket</Message></Error>".encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def scripted() -> Iterator[ScriptedS3]:
    """The server, and its end."""
    s3 = ScriptedS3()
    yield s3
    s3.over.set()
    s3.server.shutdown()
    s3.server.server_close()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((500, "InternalError"), id="500"),
        pytest.param((503, "SlowDown"), id="SlowDown"),
        pytest.param((403, "AccessDenied"), id="AccessDenied"),
        pytest.param((404, "NoSuchBucket"), id="NoSuchBucket"),
        pytest.param((507, "InsufficientStorage"), id="disk full"),
        pytest.param(None, id="silence"),
    ],
)
def test_a_storage_in_trouble_is_told_in_seconds_and_names_nothing(
    config: Config, scripted: ScriptedS3, coffee: bytes, answer: tuple[int, str] | None
) -> None:
    scripted.script = lambda method: answer
    endpoint = f"http://127.0.0.1:{scripted.server.server_port}"
    client = create_app(config.model_copy(update={"s3_endpoint": endpoint, "s3_patience_seconds": 1})).test_client()

    answers = [
        client.post("/", data={"file": (io.BytesIO(coffee), "a.jpg")}),
        client.post("/upload", data={"file": (io.BytesIO(coffee), "a.jpg")}),
        client.get("/?name=a"),
        client.get("/pictures"),
        client.delete("/?name=a"),
        client.post("/complete", data={"key": "o/demo/a/1763600000_0123456789abcdef.jpg"}),
        client.get("/list_files"),
        client.delete("/delete_file?file_path=a/1763600000_0123456789abcdef.jpg"),
        client.delete("/delete_file?file_path=a/My Cat.JPG"),
        client.post("/publish", data={"filename": "1763600000_0123456789abcdef.jpg"}),
        client.get(f"/_variant/m/o/demo/a/1_a.jpg/10x10-fit-80-upscale-{'0' * 32}.jpg"),
    ]

    for told in answers:
        assert told.status_code == 503
        assert int(told.headers["Retry-After"]) > 0
        assert told.json is not None
        assert told.json["code"] == "storage_unavailable"
        for secret in ("secret-bucket", config.pictures_bucket, endpoint, "Traceback"):
            assert secret not in told.text


def test_a_silence_is_waited_for_once_and_a_refusal_is_tried_again(
    config: Config, scripted: ScriptedS3, coffee: bytes
) -> None:
    endpoint = f"http://127.0.0.1:{scripted.server.server_port}"
    client = create_app(config.model_copy(update={"s3_endpoint": endpoint, "s3_patience_seconds": 1})).test_client()

    scripted.script = lambda method: None
    assert client.post("/", data={"file": (io.BytesIO(coffee), "a.jpg"), "again": "1"}).status_code == 503
    assert scripted.asked == ["PUT"]

    scripted.script = lambda method: (503, "SlowDown")
    assert client.post("/", data={"file": (io.BytesIO(coffee), "a.jpg"), "again": "1"}).status_code == 503
    assert scripted.asked == ["PUT"] * 3


# werkzeug leaves a part that it could not write for the garbage collector to close, who then complains.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_full_disk_is_told(client: FlaskClient, buckets: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
    body = head + bytes(2_000_000) + b"\r\n--x--\r\n"

    # The kernel's own full disk, where werkzeug would spool a large body to.
    with open("/dev/full", "rb+", buffering=0) as full:
        monkeypatch.setattr(tempfile, "TemporaryFile", lambda *args, **kwargs: full)
        answer = client.post("/", data=body, content_type="multipart/form-data; boundary=x")

    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["code"] == "no_room"
    assert list(buckets.originals("o/demo/")) == []
