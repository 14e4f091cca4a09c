"""Variants for the website: stored once, taken back where their picture is gone, and what is told where none is made.

The edge, which renders, is a stub: a real one cannot be told to fail, nor to wait until a picture is deleted.
"""

import io
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from flask.testing import FlaskClient
from PIL import Image

from thumbstack.buckets import Buckets
from thumbstack.picture_key import PictureKey
from thumbstack.resize_url import read_resize, resize_path
from thumbstack.signing import signed_path
from uploader import create_app
from uploader.config import Config

KEY = "security-key-of-the-tests-0123456789"
Answer = tuple[int, Mapping[str, str], bytes]


class Edge:
    """Answers as it is told, by default with a picture of what is accepted."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.answer: Callable[[str], Answer] = lambda accept: (200, {"Content-Type": accept}, b"rendered")
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.path, self.headers["Accept"]))
                status, headers, body = outer.answer(self.headers["Accept"])
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"127.0.0.1:{self.server.server_port}"


@pytest.fixture
def edge() -> Iterator[Edge]:
    """The stub, and its end."""
    edge = Edge()
    yield edge
    edge.server.shutdown()
    edge.server.server_close()


@pytest.fixture
def client(config: Config, edge: Edge) -> Iterator[FlaskClient]:
    """The uploader before that edge."""
    client = create_app(config.model_copy(update={"edge_server": edge.address})).test_client()
    yield client
    client.delete("/delete-all-pictures")


@pytest.fixture
def picture(client: FlaskClient, coffee: bytes) -> PictureKey:
    """A picture of 600x400."""
    answer = client.post("/", data={"file": (io.BytesIO(coffee), "a.jpg"), "again": "1"})
    assert answer.json is not None
    found = PictureKey.parse(answer.json["pictures"][0]["key"])
    assert found is not None
    return found


def path(picture: PictureKey, asked: str = "300x200-fill-80-upscale.jpg") -> str:
    return resize_path(picture, read_resize(asked, picture), KEY)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_variant_is_made_once_and_then_pointed_to(
    client: FlaskClient, buckets: Buckets, edge: Edge, picture: PictureKey, method: str
) -> None:
    answers = [client.open(f"/_variant{path(picture)}", method=method) for _ in range(3)]

    for answer in answers:
        assert (answer.status_code, answer.headers["Cache-Control"]) == (302, "no-store")
        assert answer.headers["Location"] == f"https://pictures.example/website{path(picture)}"
    assert edge.asked == [(signed_path(picture, "300x200/filters:quality(80)", KEY), "image/jpeg")]
    (key,) = buckets.variant_keys(f"{picture}/")
    assert f"/{key}" == path(picture)
    stored = buckets.client.get_object(Bucket="uploader-website", Key=key)
    assert (stored["ContentType"], stored["CacheControl"]) == ("image/jpeg", "public, max-age=31536000, immutable")
    assert stored["Body"].read() == b"rendered"


def test_the_way_back_is_to_where_the_world_sees_the_website(config: Config, edge: Edge, picture: PictureKey) -> None:
    update = {"edge_server": edge.address, "website_url": "https://img.example/"}

    answer = create_app(config.model_copy(update=update)).test_client().get(f"/_variant{path(picture)}")

    assert answer.headers["Location"] == f"https://img.example{path(picture)}"


def test_what_another_node_has_stored_meanwhile_stays(
    client: FlaskClient, buckets: Buckets, edge: Edge, picture: PictureKey
) -> None:
    def meanwhile(accept: str) -> Answer:
        buckets.put_variant(path(picture).removeprefix("/"), b"another node's", accept)
        return 200, {"Content-Type": accept}, b"rendered"

    edge.answer = meanwhile

    assert client.get(f"/_variant{path(picture)}").status_code == 302
    stored = buckets.client.get_object(Bucket="uploader-website", Key=path(picture).removeprefix("/"))
    assert stored["Body"].read() == b"another node's"


def test_a_picture_that_is_deleted_during_the_render_leaves_no_variant(
    client: FlaskClient, buckets: Buckets, edge: Edge, picture: PictureKey
) -> None:
    def meanwhile(accept: str) -> Answer:
        assert client.application.test_client().delete(f"/pictures/{picture}").status_code == 200
        return 200, {"Content-Type": accept}, b"rendered"

    edge.answer = meanwhile

    answer = client.get(f"/_variant{path(picture)}")

    assert (answer.status_code, answer.json and answer.json["code"]) == (404, "no_such_picture")
    assert list(buckets.variant_keys(f"{picture}/")) == []


@pytest.mark.parametrize("status", [400, 410, 429, 503, 504])
def test_what_a_render_fails_with_is_handed_on(
    client: FlaskClient, buckets: Buckets, edge: Edge, picture: PictureKey, status: int
) -> None:
    headers = {"Content-Type": "application/json", "Retry-After": "7", "X-Cache": "MISS"}
    edge.answer = lambda accept: (status, headers, b'{"error": "No.", "code": "no"}')

    answer = client.get(f"/_variant{path(picture)}")

    assert (answer.status_code, answer.json) == (status, {"error": "No.", "code": "no"})
    assert (answer.headers["Retry-After"], "X-Cache" in answer.headers) == ("7", False)
    assert list(buckets.variant_keys(f"{picture}/")) == []


def test_an_edge_that_is_not_there_is_told(config: Config, buckets: Buckets, picture: PictureKey) -> None:
    answer = create_app(config).test_client().get(f"/_variant{path(picture)}")

    assert answer.json is not None
    assert (answer.status_code, answer.json["code"], answer.headers["Retry-After"]) == (503, "unavailable", "5")
    assert list(buckets.variant_keys(f"{picture}/")) == []


def test_what_is_not_of_the_format_is_not_stored_under_its_name(
    client: FlaskClient, buckets: Buckets, edge: Edge, picture: PictureKey
) -> None:
    edge.answer = lambda accept: (200, {"Content-Type": "image/png"}, b"rendered")

    answer = client.get(f"/_variant{path(picture)}")

    assert (answer.status_code, answer.json and answer.json["code"]) == (415, "unsupported_type")
    assert list(buckets.variant_keys(f"{picture}/")) == []


def test_a_picture_that_is_not_there_is_404_and_nothing_is_rendered(
    client: FlaskClient, edge: Edge, picture: PictureKey
) -> None:
    nobody = PictureKey("demo", "a", "1763600000_0123456789abcdef.jpg")

    answer = client.get(f"/_variant{path(nobody)}")

    assert (answer.status_code, answer.json and answer.json["code"], edge.asked) == (404, "no_such_picture", [])


def test_a_picture_that_nobody_has_inspected_is_measured(
    client: FlaskClient, buckets: Buckets, edge: Edge, coffee: bytes
) -> None:
    body = io.BytesIO()
    Image.open(io.BytesIO(coffee)).resize((100, 50)).save(body, "PNG")
    direct = PictureKey("demo", "direct", "photo.jpg")
    buckets.client.put_object(Bucket=buckets.pictures, Key=str(direct), Body=body.getvalue())

    assert client.get(f"/_variant{path(direct, '70x70-fit-80-noupscale.jpg')}").status_code == 302

    ((asked, _),) = edge.asked
    assert asked == signed_path(direct, "fit-in/70x70/filters:quality(80):format(jpg)", KEY)


def test_a_file_that_is_too_large_to_be_looked_at_is_not_read(
    client: FlaskClient, buckets: Buckets, edge: Edge, config: Config
) -> None:
    direct = PictureKey("demo", "direct", "large.jpg")
    buckets.client.put_object(Bucket=buckets.pictures, Key=str(direct), Body=bytes(config.max_upload_bytes + 1))

    answer = client.get(f"/_variant{path(direct)}")

    assert (answer.status_code, answer.json and answer.json["code"], edge.asked) == (413, "too_large", [])


@pytest.mark.parametrize("width", ["0", "x", "", "-5"])
def test_a_size_that_is_none_is_not_believed(
    client: FlaskClient, buckets: Buckets, edge: Edge, coffee: bytes, width: str
) -> None:
    direct = PictureKey("demo", "direct", f"by-another-{width}.jpg")
    buckets.client.put_object(
        Bucket=buckets.pictures,
        Key=str(direct),
        Body=coffee,
        ContentType="image/jpeg",
        Metadata={"width": width, "height": "400"},
    )

    assert client.get(f"/_variant{path(direct, '70x70-fit-80-noupscale.jpg')}").status_code == 302
    # Of 600x400; Thumbor would make it 47 high.
    assert [asked for asked, _ in edge.asked] == [signed_path(direct, "70x46/filters:quality(80)", KEY)]


def test_a_file_that_has_no_sizes_is_refused(client: FlaskClient, buckets: Buckets, edge: Edge) -> None:
    for key, body, code in (
        ("o/demo/direct/a.pdf", b"%PDF-1.4\n%%EOF", "undecodable"),
        ("o/demo/direct/a.jpg", b"no picture", "unsupported_type"),
    ):
        buckets.client.put_object(Bucket=buckets.pictures, Key=key, Body=body)
        picture = PictureKey.parse(key)
        assert picture is not None

        answer = client.get(f"/_variant{path(picture, '70x70-fit-80-noupscale.jpg')}")

        assert answer.json is not None
        assert (answer.status_code // 100, answer.json["code"]) == (4, code)
    assert edge.asked == []


def test_without_a_website_bucket_there_is_no_variant(config: Config, edge: Edge, picture: PictureKey) -> None:
    client = create_app(config.model_copy(update={"website_bucket": None, "edge_server": edge.address})).test_client()

    assert client.get(f"/_variant{path(picture)}").status_code == 404
    assert client.delete(f"/pictures/{picture}").status_code == 200
    assert edge.asked == []


@pytest.mark.parametrize("name", ["x.jpg", "10x10-fit-80-upscale.jpg", f"9999x1-fit-80-upscale-{'0' * 32}.jpg"])
def test_what_is_no_variant_is_404(client: FlaskClient, picture: PictureKey, name: str) -> None:
    assert client.get(f"/_variant/m/{picture}/{name}").status_code == 404
