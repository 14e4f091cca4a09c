"""/direct: a form for S3 goes to S3, and nothing of S3 comes back."""

import socket
import threading
import time

import pytest

from tests.nginx.house import MAX_DIRECT_BYTES, Answer, House, Seen

TYPE = "multipart/form-data; boundary=x"
FORM = b'--x\r\nContent-Disposition: form-data; name="key"\r\n\r\no/demo/a/b.png\r\n--x--\r\n'
HEAD = f"POST /direct HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {TYPE}\r\n".encode()


def stored(seen: Seen) -> Answer:
    headers = {
        "ETag": '"s3"',
        "Location": "http://bucket.example/key",
        "x-amz-request-id": "1",
        "x-amz-version-id": "1",
    }
    return Answer(204, headers)


def post(house: House, **headers: str) -> Answer:
    return house.ask("/direct", "POST", headers={"Content-Type": TYPE, **headers}, body=FORM)


def test_the_form_reaches_the_bucket_and_nothing_of_the_client_with_it(house: House) -> None:
    house.s3.answer = stored

    answer = house.ask(
        "/direct?delete&uploads",
        "POST",
        headers={"Content-Type": TYPE, "Authorization": "Bearer key", "Cookie": "a=b", "Origin": "https://a.example"},
        body=FORM,
    )

    assert (answer.status, answer.body) == (204, b"")
    (seen,) = house.s3.seen
    assert (seen.method, seen.path, seen.body) == ("POST", "/thumbstack-pictures", FORM)
    assert seen.headers == {"Host": house.s3.address, "Content-Type": TYPE, "Content-Length": str(len(FORM))}


def test_a_silent_s3_is_not_waited_for_longer_than_by_the_uploader(house: House) -> None:
    given_up = threading.Event()

    def silent(seen: Seen) -> Answer:
        given_up.wait(20)
        return stored(seen)

    house.s3.answer = silent

    answer = post(house)
    given_up.set()

    assert (answer.status, answer.json["code"]) == (503, "storage_unavailable")
    assert answer.headers["Retry-After"]


def test_nothing_of_s3_shows(house: House) -> None:
    house.s3.answer = stored

    answer = post(house)

    assert answer.headers["ETag"] == '"s3"'
    assert [name for name in answer.headers if name.lower().startswith(("x-amz", "location"))] == []
    assert answer.headers["Server"] == "nginx"


@pytest.mark.parametrize(
    ("status", "told", "code"),
    [
        (303, 403, "ticket_refused"),
        (307, 503, "storage_unavailable"),
        (400, 403, "ticket_refused"),
        (403, 403, "ticket_refused"),
        (412, 403, "ticket_refused"),
        (411, 411, "bad_request"),
        (413, 413, "too_large"),
        (404, 503, "storage_unavailable"),
        (500, 503, "storage_unavailable"),
        (503, 503, "storage_unavailable"),
        (507, 503, "storage_unavailable"),
        ("down", 503, "storage_unavailable"),
        ("cut", 503, "storage_unavailable"),
    ],
)
def test_the_xml_of_s3_becomes_our_words(house: House, status: int | str, told: int, code: str) -> None:
    if status == "down":
        house.s3.die()
    elif status == "cut":
        house.s3.answer = lambda seen: None
    else:
        headers = {"Content-Type": "application/xml", "Location": "http://bucket.example/"}
        house.s3.answer = lambda seen: Answer(int(status), headers, b"<Error><BucketName>secret</BucketName></Error>")

    answer = post(house, Origin="https://a.example")

    assert (answer.status, answer.json["code"], answer.headers["Content-Type"]) == (told, code, "application/json")
    assert "Location" not in answer.headers
    assert ("Retry-After" in answer.headers) is (told == 503)
    # The page that posted may read why.
    assert answer.headers["Access-Control-Allow-Origin"] == "https://a.example"


@pytest.mark.parametrize("chunked", [False, True], ids=["sized", "chunked"])
@pytest.mark.parametrize(
    ("size", "status"), [(MAX_DIRECT_BYTES - 1, 204), (MAX_DIRECT_BYTES, 204), (MAX_DIRECT_BYTES + 1, 413)]
)
def test_a_body_has_its_bound(house: House, size: int, status: int, chunked: bool) -> None:
    house.s3.answer = stored
    body = b"x" * size

    answer = house.ask("/direct", "POST", headers={"Content-Type": TYPE}, body=iter([body]) if chunked else body)

    assert answer.status == status
    if status == 413:
        assert answer.json["code"] == "too_large"
        assert house.s3.seen == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "HEAD"])
def test_only_a_post_goes_to_s3(house: House, method: str) -> None:
    answer = house.ask("/direct", method)

    assert (answer.status, answer.headers["Allow"]) == (405, "POST")
    assert house.seen == []


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "application/xml", "multipart/form-data", ""])
def test_what_is_no_form_does_not_reach_s3(house: House, kind: str) -> None:
    answer = house.ask("/direct", "POST", headers={"Content-Type": kind}, body=FORM)

    assert (answer.status, answer.json["code"]) == (403, "ticket_refused")
    assert house.seen == []


def test_a_form_is_on_its_way_before_it_is_whole(house: House) -> None:
    house.s3.answer = stored
    with socket.create_connection(("127.0.0.1", house.port), timeout=20) as client:
        client.sendall(HEAD + b"Content-Length: 10\r\n\r\n12345")

        assert house.s3.beginning.acquire(timeout=20)
        assert house.s3.seen == []
        client.sendall(b"67890")

        assert client.makefile("rb").read().startswith(b"HTTP/1.1 204")
    assert house.s3.seen[0].body == b"1234567890"


def test_who_closes_his_half_hears_the_answer(house: House) -> None:
    def later(seen: Seen) -> Answer:
        time.sleep(0.3)  # by then nginx has seen the half that is closed
        return stored(seen)

    house.s3.answer = later
    with socket.create_connection(("127.0.0.1", house.port), timeout=20) as client:
        client.sendall(HEAD + b"Content-Length: 10\r\n\r\n1234567890")
        client.shutdown(socket.SHUT_WR)

        assert client.makefile("rb").read().startswith(b"HTTP/1.1 204")


def test_who_goes_away_in_the_middle_leaves_nothing(house: House) -> None:
    house.s3.answer = stored
    with socket.create_connection(("127.0.0.1", house.port), timeout=20) as client:
        client.sendall(HEAD + b"Content-Length: 10\r\n\r\n12345")
        assert house.s3.beginning.acquire(timeout=20)

    # The stub reads to the end of what was announced, or of what came: it must not have come whole.
    assert post(house).status == 204
    # Both: what is heard of later would be the next test's.
    deadline = time.monotonic() + 20
    while len(house.s3.seen) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(house.s3.seen) == 2
    assert all(seen.body != b"1234567890" for seen in house.s3.seen)
