"""X-Accel-Redirect to S3: a room decides, nginx moves the bytes, and nothing of S3 shows."""

import pytest

from tests.nginx.house import Answer, House, Seen

QUERY = "X-Amz-Credential=a%2Fb%2Fs3&X-Amz-Signature=0a1b&response-content-type=image%2Fpng"
TARGET = "/_s3/thumbstack-pictures/o/demo/cat/1.jpg"


def redirect(seen: Seen) -> Answer:
    return Answer(200, {"X-Accel-Redirect": f"{TARGET}?{QUERY}"})


def original(seen: Seen) -> Answer:
    names = ("x-amz-request-id", "x-amz-version-id", "x-amz-meta-name", "x-amz-meta-sha256", "x-amz-meta-placeholder")
    amz = dict.fromkeys((*names, "Seaweed-X-Amz-Owner", "Seaweed-X-Amz-Version-Id", "Seaweed-X-Amz-ETag"), "1")
    cache = {"Cache-Control": "private"}
    return Answer(200, {"Content-Type": "image/png", "ETag": '"s3"'} | amz | cache, b"bytes of the original")


@pytest.fixture(params=["/?name=bob", "/{picture}"], ids=["edge", "routes"])
def path(request: pytest.FixtureRequest, picture: str) -> str:
    """The two ways to an original: by name over the edge server, by its key over the routes."""
    return str(request.param).format(picture=picture)


def test_the_bytes_come_from_s3_by_the_rooms_address(house: House, path: str) -> None:
    house.uploader.answer, house.s3.answer = redirect, original

    answer = house.ask(path, headers={"Cookie": "a=b", "Authorization": "Bearer key", "Accept-Encoding": "gzip"})

    assert (answer.status, answer.body) == (200, b"bytes of the original")
    assert (answer.headers["Content-Type"], answer.headers["ETag"]) == ("image/png", '"s3"')
    (seen,) = house.s3.seen
    assert (seen.method, seen.path) == ("GET", f"{TARGET.removeprefix('/_s3')}?{QUERY}")
    # S3's own log names the request as ours do; of the client it hears nothing.
    user_agent = f"thumbstack request/{answer.headers['X-Request-ID']}"
    assert seen.headers == {"Host": house.s3.address, "User-Agent": user_agent}


def test_nothing_of_s3_shows(house: House, path: str) -> None:
    house.uploader.answer, house.s3.answer = redirect, original

    answer = house.ask(path)

    assert [name for name in answer.headers if name.lower().startswith(("x-amz", "x-accel", "seaweed"))] == []
    assert answer.headers.get("Cache-Control") != "private"
    assert answer.headers["Server"] == "nginx"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("chunked", [False, True], ids=["sized", "chunked"])
def test_a_get_with_a_body_reaches_the_uploader_and_not_s3(house: House, chunked: bool) -> None:
    house.uploader.answer, house.s3.answer = redirect, original
    form = b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nbob\r\n--x--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x"}

    answer = house.ask("/", headers=headers, body=iter([form]) if chunked else form)

    assert answer.body == b"bytes of the original"
    assert (house.uploader.seen[0].method, house.uploader.seen[0].body) == ("GET", form)
    assert house.uploader.seen[0].headers["Content-Type"] == headers["Content-Type"]
    assert (house.s3.seen[0].method, house.s3.seen[0].body) == ("GET", b"")
    assert not {"Content-Type", "Content-Length", "Transfer-Encoding"} & house.s3.seen[0].headers.keys()


def test_a_head_is_a_get_at_s3(house: House, path: str) -> None:
    house.uploader.answer, house.s3.answer = redirect, original

    answer = house.ask(path, "HEAD")

    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "21")
    assert [seen.method for seen in house.s3.seen] == ["GET"]


def test_a_direct_download_passes_ranges_and_conditions_on(house: House) -> None:
    house.uploader.answer = redirect
    house.s3.answer = lambda seen: Answer(304, {"ETag": '"s3"'})
    conditions = {
        "Range": "bytes=0-3",
        "If-Range": '"s3"',
        "If-None-Match": '"s3"',
        "If-Modified-Since": "Thu, 01 Jan 2026 00:00:00 GMT",
    }

    answer = house.ask("/?name=bob", headers=conditions)

    assert (answer.status, answer.headers["ETag"]) == (304, '"s3"')
    assert conditions.items() <= house.s3.seen[0].headers.items()


def test_a_part_of_a_direct_download(house: House) -> None:
    house.uploader.answer = redirect
    house.s3.answer = lambda seen: Answer(206, {"Content-Range": "bytes 0-3/21"}, b"byte")

    answer = house.ask("/?name=bob", headers={"Range": "bytes=0-3"})

    assert (answer.status, answer.body, answer.headers["Content-Range"]) == (206, b"byte", "bytes 0-3/21")


@pytest.mark.parametrize(
    ("status", "told", "code"),
    [
        (404, 404, "no_such_picture"),
        (403, 404, "no_such_picture"),
        (416, 416, "range_not_satisfiable"),
        (301, 503, "storage_unavailable"),
        (307, 503, "storage_unavailable"),
        (400, 503, "storage_unavailable"),
        (429, 503, "storage_unavailable"),
        (500, 503, "storage_unavailable"),
        (501, 503, "storage_unavailable"),
        (503, 503, "storage_unavailable"),
        (507, 503, "storage_unavailable"),
        ("down", 503, "storage_unavailable"),
        ("cut", 503, "storage_unavailable"),
    ],
)
def test_the_xml_of_s3_goes_no_further(house: House, path: str, status: int | str, told: int, code: str) -> None:
    house.uploader.answer = redirect
    if status == "down":
        house.s3.die()
    elif status == "cut":
        house.s3.answer = lambda seen: None
    else:
        xml = {"Content-Type": "application/xml", "Location": "http://bucket.example/"}
        house.s3.answer = lambda seen: Answer(int(status), xml, b"<Error><BucketName>secret</BucketName></Error>")

    answer = house.ask(path)

    assert (answer.status, answer.json["code"], answer.headers["Content-Type"]) == (told, code, "application/json")
    assert "Location" not in answer.headers
    assert ("Retry-After" in answer.headers) is (told == 503)
    assert answer.headers["Cache-Control"] == ("public, max-age=5" if told == 404 else "no-store")


@pytest.mark.parametrize("key", ["../secret", "a%0d%0ab", "a%20b", "%2e%2e/x"])
def test_only_the_address_of_an_object_is_asked_for(house: House, key: str) -> None:
    house.uploader.answer = lambda seen: Answer(200, {"X-Accel-Redirect": f"/_s3/bucket/{key}?{QUERY}"})

    house.ask("/?name=bob")

    assert all(seen.path.startswith("/_s3/") or seen.path.startswith("/x?") for seen in house.s3.seen)
