"""What the edge says itself, whom it asks, and what it tells them."""

import json
import socket
from collections.abc import Iterator

import pytest

from tests.nginx.house import MAX_REQUEST_BYTES, Answer, House


def test_ping_healthz_and_version_ask_nobody(house: House) -> None:
    assert house.ask("/ping").body.strip() == b"Pong!"
    assert house.ask("/healthz").json == {"status": "ok"}
    assert house.ask("/version").json == {"commit": "0123456789abcdef"}

    assert house.seen == []


@pytest.mark.parametrize(
    ("method", "path", "room"),
    [
        ("GET", "/readyz", "uploader"),
        ("POST", "/sign", "signer"),
        ("GET", "/", "uploader"),
        ("POST", "/", "uploader"),
        ("DELETE", "/", "uploader"),
        ("DELETE", "/delete-all-pictures", "uploader"),
        ("GET", "/pictures", "uploader"),
        ("GET", "/pictures/o/demo/cat/x.jpg", "uploader"),
        ("POST", "/upload", "uploader"),
        ("POST", "/publish", "uploader"),
        ("POST", "/delete", "uploader"),
        ("POST", "/complete", "uploader"),
        ("POST", "/rotate", "uploader"),
        ("GET", "/list_files", "uploader"),
        ("DELETE", "/delete_file", "uploader"),
        ("GET", "/openapi.json", "uploader"),
    ],
)
def test_a_room_gets_its_requests_with_their_query(house: House, method: str, path: str, room: str) -> None:
    answer = house.ask(f"{path}?limit=2", method)

    assert answer.body.decode() == room
    assert [(seen.room, seen.method, seen.path) for seen in house.seen] == [(room, method, f"{path}?limit=2")]
    assert "X-Cache" not in answer.headers


@pytest.mark.parametrize(
    ("path", "room"),
    [
        ("/{picture}", "uploader"),
        ("/t/MI/u/{picture}", "signer"),
        ("/t/fit-in/400x400/filters:quality(90)/u/{picture}", "signer"),
        ("/c2lnbmF0dXJl/300x200/smart/{picture}", "thumbor"),
        ("/unsafe/300x200/{picture}", "thumbor"),
    ],
)
def test_a_picture_is_made_by_the_room_that_its_address_names(house: House, picture: str, path: str, room: str) -> None:
    path = path.format(picture=picture)

    answer = house.ask(path)

    assert answer.status == 200
    assert answer.body.decode().startswith(room)
    assert [(seen.method, seen.path) for seen in house.seen] == [("GET", path)]


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/pictures-of-cats",
        "/favicon.ico",
        "/o/demo/cat",
        "/o/demo/cat/",
        "/o/demo/cat/x.jpg/",
        "/o/Demo/cat/x.jpg",
        "/o/demo/cat/x%0A",
        "/o/demo/cat/x.jpg%0a",
        "/o/demo/cat/x y.jpg",
        f"/sig/{'1' * 5000}x1/o/demo/cat/x.jpg",
        f"/o/demo/cat/{'x' * 256}",
        "/demo/cat/x.jpg",
        "/sig/300x200/http://example.com/x.jpg",
        "/sig/300x200/example.com%2Fx.jpg",
        "/sig/300x200/incoming/demo/cat/x.jpg",
        "/sig/300x200/foo/demo/cat/x.jpg",
        "/sig/300x200/o/demo/cat/x.jpg%3Fquery",
        "/sig/300x200/o/demo/cat/..%2Fx.jpg%00",
        "/o/demo/cat/%252e%252e",
        "/o/demo/cat/%2e%2e/x.jpg",
        "/o/demo/../cat/x.jpg",
        "/o/demo/cat/..",
        "/../o/demo/cat/x.jpg",
        "/_s3/bucket/o/demo/cat/x.jpg",
        "/_s3/bucket/secret?X-Amz-Signature=1",
        "/_thumbor/sig/o/demo/cat/x.jpg",
        "/_part/o/demo/cat/x.jpg",
        "/_error",
        "/_no_such_picture",
    ],
)
def test_what_does_not_end_in_a_picture_key_leaves_for_nobody(house: House, path: str) -> None:
    answer = house.ask(path.replace(" ", "%20"))

    assert (answer.status, answer.json.keys()) in [(404, {"error", "code"}), (400, {"error", "code"})]
    assert answer.headers["Content-Type"] == "application/json"
    assert house.seen == []


@pytest.mark.parametrize(
    "spelling",
    [
        "/sig//300x200///{picture}",
        "//sig/300x200/{picture}",
        "/sig/./300x200/{picture}",
        "/other/../sig/300x200/{picture}",
        "/other/%2e%2e/sig/300x200/{picture}",
        "/sig%2F300x200%2F{picture}",
        "/sig/%33%300x200/{picture}",
        "/sig/300x200/{picture}?callback=x&v=2",
    ],
)
def test_a_room_sees_one_spelling_of_a_picture(house: House, picture: str, spelling: str) -> None:
    answer = house.ask(spelling.format(picture=picture))

    assert answer.status == 200
    assert [seen.path for seen in house.seen] == [f"/sig/300x200/{picture}"]


@pytest.mark.parametrize("hostile", ["%0d%0aX-Evil:%201", "%20HTTP/1.1", "%3Fv=1", "%23", "%252e%252e"])
def test_what_was_encoded_on_purpose_stays_so(house: House, picture: str, hostile: str) -> None:
    house.ask(f"/sig/{hostile}/{picture}")

    for seen in house.seen:
        assert seen.path.lower() == f"/sig/{hostile}/{picture}".lower()
        assert "X-Evil" not in seen.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_a_picture_can_only_be_read(house: House, picture: str, method: str) -> None:
    answer = house.ask(f"/{picture}", method)

    assert (answer.status, answer.json["code"]) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, HEAD"
    assert house.seen == []


def test_an_endless_address_is_refused_in_json(house: House, picture: str) -> None:
    answer = house.ask(f"/{'x' * 20_000}/{picture}")

    assert (answer.status, answer.json["code"]) == (414, "address_too_long")


@pytest.mark.parametrize(
    "line",
    [
        b"GET /?name=K\xc3\xa4se&private_api_key=secret HTTP/1.1",
        b"POST /sign?\xff HTTP/1.1",
        b"GET /pictures/\xff HTTP/1.1",
        b"GET /t/M\xef\xbc\xa9/u/o/demo/cat/x.jpg HTTP/1.1",
        b"A /pictures HTTP/1.1",
        b"ABCDEFGHIJKLMNOPQRSTU / HTTP/1.1",
        b"GET /pictures HTTP/3.0",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked",
    ],
)
def test_what_a_room_cannot_read_does_not_get_there(house: House, line: bytes) -> None:
    with socket.create_connection(("127.0.0.1", house.port), timeout=20) as client:
        client.sendall(line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
        head, _, body = client.makefile("rb").read().partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["code"] == "bad_request"
    assert house.seen == []


@pytest.mark.parametrize("path", ["/", "/upload"])
@pytest.mark.parametrize("chunked", [False, True], ids=["sized", "chunked"])
@pytest.mark.parametrize(
    ("size", "status"), [(MAX_REQUEST_BYTES - 1, 200), (MAX_REQUEST_BYTES, 200), (MAX_REQUEST_BYTES + 1, 413)]
)
def test_an_upload_may_be_as_large_as_said(house: House, path: str, size: int, chunked: bool, status: int) -> None:
    def pieces() -> Iterator[bytes]:
        yield from (b"x" * 1000 for _ in range(size // 1000))
        yield b"x" * (size % 1000)

    answer = house.ask(path, "POST", body=pieces() if chunked else b"x" * size)

    assert answer.status == status
    if status == 200:
        assert [len(seen.body) for seen in house.seen] == [size]
    else:
        assert answer.json["code"] == "too_large"


def test_what_is_no_upload_has_no_large_body(house: House) -> None:
    answer = house.ask("/sign", "POST", body=b"x" * 1_100_000)

    assert (answer.status, answer.json["code"]) == (413, "too_large")
    assert house.seen == []


def test_an_upload_reaches_the_uploader_before_it_is_whole(house: House) -> None:
    with socket.create_connection(("127.0.0.1", house.port), timeout=20) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 10\r\n\r\n12345")

        assert house.uploader.beginning.acquire(timeout=20)
        assert house.uploader.seen == []
        client.sendall(b"67890")

        assert client.makefile("rb").read().endswith(b"uploader")
    assert house.uploader.seen[0].body == b"1234567890"


def test_a_room_is_told_about_the_client(house: House) -> None:
    answer = house.ask("/", headers={"Host": "pictures.example:5000", "X-Forwarded-For": "203.0.113.9"})

    told = house.seen[0].headers
    assert told["Host"] == told["X-Forwarded-Host"] == "pictures.example:5000"
    assert told["X-Forwarded-For"] == "203.0.113.9, 127.0.0.1"
    assert told["X-Forwarded-Proto"] == "http"
    assert told["X-Request-ID"] == answer.headers["X-Request-ID"]


@pytest.mark.parametrize(("said", "told"), [("https", "https"), ("http", "http"), ("gopher", "http")])
@pytest.mark.parametrize("path", ["/", "/t/MI/u/{picture}"])
def test_the_load_balancers_scheme_is_kept(house: House, picture: str, path: str, said: str, told: str) -> None:
    house.ask(path.format(picture=picture), headers={"X-Forwarded-Proto": said, "Host": "a.example"})

    assert [seen.headers["X-Forwarded-Proto"] for seen in house.seen] == [told]
    assert [seen.headers["Host"] for seen in house.seen] == ["a.example"]


@pytest.mark.parametrize("path", ["/ping", "/", "/{picture}", "/t/MI/u/{picture}", "/sig/{picture}", "/nothing"])
@pytest.mark.parametrize(
    ("sent", "kept"),
    [("my-request.0001", True), ("short", False), ("x" * 65, False), ("bad words here", False), (None, False)],
)
def test_a_request_has_one_id_everywhere(house: House, picture: str, path: str, sent: str | None, kept: bool) -> None:
    answer = house.ask(path.format(picture=picture), headers={"X-Request-ID": sent} if sent else {})

    request_id = answer.headers["X-Request-ID"]
    assert (request_id == sent) is kept
    assert len(request_id) >= 8
    assert {seen.headers["X-Request-ID"] for seen in house.seen} <= {request_id}


def test_a_rooms_error_is_passed_on_as_it_is(house: House) -> None:
    house.uploader.answer = lambda seen: Answer(415, {"Content-Type": "application/json"}, b'{"code": "odd"}')

    answer = house.ask("/", "POST", body=b"x")

    assert (answer.status, answer.json) == (415, {"code": "odd"})


@pytest.mark.parametrize("path", ["/", "/sign", "/{picture}", "/t/MI/u/{picture}", "/sig/{picture}"])
def test_a_room_that_is_down_is_a_502_that_says_when_to_come_again(house: House, picture: str, path: str) -> None:
    for room in house.rooms:
        room.die()

    answer = house.ask(path.format(picture=picture))

    assert (answer.status, answer.json["code"]) == (502, "bad_gateway")
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/ping", "/", "/sign", "/{picture}", "/sig/{picture}", "/nothing"])
def test_no_answer_names_a_version_and_none_is_sniffed(house: House, picture: str, path: str) -> None:
    answer = house.ask(path.format(picture=picture))

    assert answer.headers["Server"] == "nginx"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_node_without_its_uploader_is_alive_and_not_ready(house: House) -> None:
    house.uploader.die()

    answer = house.ask("/readyz")

    assert (answer.status, answer.headers["Content-Type"]) == (503, "application/json")
    assert answer.json == {"ready": False, "reasons": {"uploader": "The uploader does not answer."}}
    assert house.ask("/healthz").status == 200
