"""X-Accel-Redirect to S3: a room decides, nginx moves the bytes, and nothing of S3 shows."""

import socket
import ssl
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from tests.nginx.conftest import furnished
from tests.nginx.house import Answer, House, Room, Seen

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


def test_a_silent_s3_is_not_waited_for_as_long_as_a_render(house: House, picture: str) -> None:
    given_up = threading.Event()

    def silent(seen: Seen) -> Answer:
        given_up.wait(20)
        return original(seen)

    house.uploader.answer, house.s3.answer = redirect, silent

    answer = house.ask(f"/{picture}")
    given_up.set()

    assert (answer.status, answer.json["code"]) == (503, "storage_unavailable")
    assert answer.headers["Retry-After"]


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


def test_a_part_that_an_original_has_not_is_told_with_its_size(house: House) -> None:
    house.uploader.answer = redirect
    house.s3.answer = lambda seen: Answer(416, {"Content-Range": "bytes */21"}, b"<Error/>")

    answer = house.ask("/?name=bob", headers={"Range": "bytes=99-"})

    assert (answer.status, answer.json["code"]) == (416, "range_not_satisfiable")
    assert answer.headers["Content-Range"] == "bytes */21"


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


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def _certified(folder: Path, name: str) -> ssl.SSLContext:
    """A certificate for `name`, from an authority whose own is authority.pem in the folder."""
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    _openssl(
        folder, "req", "-x509", *new, "-keyout", "authority.key", "-out", "authority.pem", "-subj", "/CN=authority"
    )
    _openssl(folder, "req", *new, "-keyout", "s3.key", "-out", "s3.csr", "-subj", "/CN=s3")
    (folder / "names").write_text(f"subjectAltName=DNS:{name}\n")
    signed = ("-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial", "-extfile", "names")
    _openssl(folder, "x509", "-req", "-in", "s3.csr", *signed, "-out", "s3.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "s3.pem", folder / "s3.key")
    return context


class _NameServer:
    """Answers every question for an address with loopback's."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                question, client = self._socket.recvfrom(512)
                wants_ipv4 = b"\x00\x01\x00\x01" in question[12:]
                answer = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x7f\x00\x00\x01" if wants_ipv4 else b""
                # The question's own number, "an answer", one question, as many answers, and nothing more.
                head = question[:2] + b"\x81\x80\x00\x01" + bytes([0, int(wants_ipv4), 0, 0, 0, 0])
                self._socket.sendto(head + question[12:] + answer, client)

    def close(self) -> None:
        self._socket.close()


@pytest.mark.parametrize(
    ("certified", "believed", "status"),
    [("s3.example", True, 200), ("s3.example", False, 503), ("other.example", True, 503)],
    ids=["of somebody who is believed", "of somebody else", "for another name"],
)
@pytest.mark.usefixtures("openssl")
def test_over_tls_s3_must_prove_who_it_is(
    binary: Path, common: dict[str, str], tmp_path: Path, picture: str, certified: str, believed: bool, status: int
) -> None:
    s3, names = Room("s3", _certified(tmp_path, certified)), _NameServer()
    endpoint = f"s3.example:{s3.address.partition(':')[2]}"
    variables = common | {"S3_ENDPOINT": f"https://{endpoint}", "RESOLVER": names.address}
    if believed:
        variables["CA_BUNDLE"] = str(tmp_path / "authority.pem")
    (tmp_path / "house").mkdir()
    with furnished(binary, variables, tmp_path / "house") as house:
        house.uploader.answer, s3.answer = redirect, original

        answers = [house.ask(path) for path in ("/?name=bob", f"/{picture}")]
    s3.die()
    names.close()

    assert [answer.status for answer in answers] == [status] * 2
    assert [seen.headers["Host"] for seen in s3.seen] == ([endpoint] * 2 if status == 200 else [])
    if status != 200:
        assert answers[0].json["code"] == "storage_unavailable"
