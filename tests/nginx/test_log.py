"""The access log: one JSON line a request and server, and no secret in it."""

import secrets
import socket

from tests.nginx.house import Answer, House


def test_a_hit_is_one_line(house: House, picture: str) -> None:
    house.ask(f"/sig/{picture}")
    request_id = secrets.token_hex(8)

    house.ask(
        f"/sig/{picture}?secret=1",
        headers={"X-Request-ID": request_id, "User-Agent": 'a "b" \\ c', "Host": "pictures.example"},
    )

    (line,) = house.log(request_id)
    assert line.pop("time")
    assert line.pop("request_time") >= 0
    assert line == {
        "room": "nginx",
        "server": "edge",
        "request_id": request_id,
        "method": "GET",
        "path": f"/sig/{picture}",
        "status": 200,
        "bytes": 9,
        "upstream_time": "",
        "cache": "HIT",
        "upstream": "",
        "host": "pictures.example",
        "user_agent": 'a "b" \\ c',
    }


def test_a_miss_is_seen_by_the_edge_and_by_the_routes(house: House, picture: str) -> None:
    request_id = secrets.token_hex(8)

    house.ask(f"/sig/{picture}", headers={"X-Request-ID": request_id})

    routes, edge = house.log(request_id, 2)
    assert (edge["server"], edge["cache"]) == ("edge", "MISS")
    assert routes["server"] == "routes"
    assert routes["upstream"] in [thumbor.address for thumbor in house.thumbors]
    assert float(edge["upstream_time"]) >= 0


def test_a_part_of_a_picture_is_a_hit_like_the_whole(house: House, picture: str) -> None:
    house.ask(f"/sig/{picture}")
    request_id = secrets.token_hex(8)

    house.ask(f"/sig/{picture}", headers={"X-Request-ID": request_id, "Range": "bytes=0-1"})

    _, edge = house.log(request_id, 2)
    assert (edge["server"], edge["status"], edge["cache"]) == ("edge", 206, "HIT")


def test_no_key_and_no_signature_is_written_down(house: House) -> None:
    house.uploader.answer = lambda seen: Answer(
        200, {"X-Accel-Redirect": "/_s3/bucket/o/a/b/c.jpg?X-Amz-Signature=presigned-word"}
    )
    house.s3.die()
    request_id = secrets.token_hex(8)

    house.ask("/?name=bob&private_api_key=private-word", headers={"X-Request-ID": request_id})

    (line,) = house.log(request_id)
    assert (line["path"], line["status"]) == ("/", 503)
    for name in ("stdout", "stderr"):
        text = (house.directory / name).read_text()
        assert "presigned-word" not in text
        assert "private-word" not in text


def test_a_refusal_is_written_down_with_the_method_that_was_asked(house: House, picture: str) -> None:
    house.uploader.die()
    asked = [("DELETE", "/delete_file"), ("PUT", "/direct"), ("HEAD", f"/{picture}"), ("POST", "/nowhere")]

    for method, path in asked:
        request_id = secrets.token_hex(8)
        assert house.ask(path, method, headers={"X-Request-ID": request_id}).status >= 400
        edge = next(line for line in house.log(request_id) if line["server"] == "edge")
        assert (edge["method"], edge["path"]) == (method, path)


def test_a_line_fits_into_one_write(house: House, picture: str) -> None:
    request_id = secrets.token_hex(32)
    long = "%01" * 1500

    house.ask(f"/{long}/{picture}", headers={"X-Request-ID": request_id, "User-Agent": "\x01" * 3000})

    assert len(house.log(request_id, 2)) == 2
    lines = (house.directory / "stdout").read_bytes().splitlines()
    assert max(map(len, lines)) < 4096


def test_every_line_is_json_whatever_a_client_writes(house: House) -> None:
    request_id = secrets.token_hex(8)
    # The host last, as nginx reads in order: newer ones refuse such a host, older ones take what is left of it.
    head = b"GET /cats/\xff\xfe?x HTTP/1.1\r\nUser-Agent: curl \xff\r\nConnection: close\r\nX-Request-ID: "
    with socket.create_connection(("127.0.0.1", house.port), timeout=20) as client:
        client.sendall(head + request_id.encode() + b"\r\nHost: a\xff\r\n\r\n")
        assert client.recv(1000).split()[1] in (b"404", b"400")

    (line,) = house.log(request_id)
    assert (line["path"], line["host"], line["user_agent"]) == ("/cats/", "a", "curl ")
