"""POST /complete: what was posted straight to a real S3 with a real ticket."""

import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from botocore.awsrequest import AWSResponse
from botocore.credentials import ReadOnlyCredentials
from flask.testing import FlaskClient
from PIL import Image

from tests.uploader.conftest import CREDENTIALS, PICTURES
from thumbstack.apps import Rules
from thumbstack.buckets import Buckets
from thumbstack.picture_key import PictureKey
from thumbstack.ticket import Terms, Wish, issue
from uploader import create_app
from uploader.config import Config

PUBLIC = {"Authorization": "Bearer shop-public-0123456789"}
Post = Callable[..., str]
# What ends differently when it is completed.
KINDS = ["plain", "altered", "odd name", "held", "held and altered", "held and odd name"]


@pytest.fixture
def post(s3_endpoint: str) -> Post:
    """Posts a file with a ticket, as a browser does; its key."""

    def posted(
        body: bytes, name: str = "", *, sent_as: str = "cat.png", hold: bool = False, app: str = "demo", key: str = ""
    ) -> str:
        keys = ReadOnlyCredentials(CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"], None)
        # More than is taken in here: what S3 would not refuse itself.
        terms = Terms(PICTURES, "us-east-1", 10_000_000, 3600)
        wish = Wish(name, "image/png" if name and "." not in name else "")
        ticket = issue(terms, keys, app, Rules(hold=hold), wish, datetime.now(UTC))
        fields = {field.replace("_", "-"): value for field, value in ticket.data.items()}
        if key:
            fields["key"] = key
        answer = requests.post(f"{s3_endpoint}/{PICTURES}", data=fields, files={"file": (sent_as, body)}, timeout=30)
        assert answer.status_code == 204, answer.text
        return fields["key"].replace("${filename}", sent_as)

    return posted


@pytest.fixture
def phone_photo(coffee: bytes) -> bytes:
    """A JPEG that says where it was taken."""
    exif = Image.Exif()
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (46.0, 57.0, 0.0)
    with Image.open(io.BytesIO(coffee)) as image:
        out = io.BytesIO()
        image.save(out, "JPEG", exif=exif)
    return out.getvalue()


@pytest.fixture
def key(kind: str, client: FlaskClient, post: Post, cat: bytes, phone_photo: bytes) -> str:
    """Of a posted file of the test's kind."""
    hold = kind.startswith("held")
    match kind.removeprefix("held and "):
        case "altered":
            return post(phone_photo, "phone.jpg", hold=hold)
        case "odd name":
            return post(cat, sent_as="My Cat.PNG", hold=hold)
        case "duplicate":
            client.post("/", data={"file": (io.BytesIO(cat), "cat.png")})
    return post(cat, "cat.png", hold=hold)


def complete(client: FlaskClient, key: str, **more: Any) -> dict[str, Any]:
    answer = client.post("/complete", data={"key": key}, **more)
    assert answer.status_code == 200, answer.text
    assert answer.json is not None
    told: dict[str, Any] = answer.json
    return told


def there(buckets: Buckets, app: str = "demo") -> list[str]:
    """Every key of an app in the pictures bucket."""
    listed = [*buckets.files(f"o/{app}/"), *buckets.files(f"incoming/{app}/")]
    return [one.key for one in listed]


def test_a_posted_file_becomes_a_picture_under_its_own_key(
    client: FlaskClient, buckets: Buckets, post: Post, cat: bytes
) -> None:
    key = post(cat, "My_Tiger Ä1.PNG")

    told = complete(client, key)

    assert told["success"] is True
    assert (told["key"], told["filename"]) == (key, key.rpartition("/")[2])
    assert (told["name"], told["content_type"], told["width"]) == ("My_Tiger Ä1.PNG", "image/png", 451)
    assert told["altered"] is False
    head = buckets.client.head_object(Bucket=PICTURES, Key=key)
    assert (head["ContentType"], head["CacheControl"]) == ("image/png", "public, max-age=31536000, immutable")
    assert "ticket" not in head["Metadata"]
    assert buckets.read(key) == cat
    # Found under its name, like any upload.
    assert client.get("/?name=My_Tiger Ä1").status_code == 200


def test_a_blank_before_a_name_belongs_to_it(client: FlaskClient, post: Post, cat: bytes) -> None:
    first = complete(client, post(cat, " cat.png"))
    second = complete(client, post(cat, " cat.png"))

    assert first["name"] == " cat.png"
    assert client.get("/", query_string={"name": first["name"]}).status_code == 200
    assert (second["key"], second["duplicate"]) == (first["key"], True)


def test_a_file_that_names_itself_stays_where_the_page_expects_it(
    client: FlaskClient, post: Post, cat: bytes, coffee: bytes
) -> None:
    first, second = post(cat, sent_as="cat.png"), post(coffee, sent_as="my.photo.jpeg")

    assert complete(client, first)["key"] == first
    assert complete(client, second)["key"] == second


def test_what_it_learns_is_what_an_upload_would_have_told(client: FlaskClient, post: Post, cat: bytes) -> None:
    uploaded = client.post("/", data={"file": (io.BytesIO(cat), "upload.png")}).json
    completed = complete(client, post(cat, "ticket.png"))

    assert uploaded is not None
    own = {"name", "key", "url", "uploaded", "urls", "filename", "success"}
    (picture,) = uploaded["pictures"]
    assert {name: value for name, value in completed.items() if name not in own} == {
        name: value for name, value in picture.items() if name not in own
    }
    assert completed["urls"].keys() == picture["urls"].keys()


@pytest.mark.parametrize(
    ("sent_as", "extension"),
    [
        ("My Cat Ä.PNG", "png"),
        ("cat.jpg", "png"),
        ("cat", "png"),
        ("100%.png", "png"),
        ("a+b&c.png", "png"),
        ("a%20b.png", "png"),
        # As macOS calls a picture of its screen.
        ("Screenshot 10.31.12\u202fAM.png", "png"),
    ],
)
def test_a_name_that_is_no_pictures_gets_a_proper_one(
    client: FlaskClient, buckets: Buckets, post: Post, cat: bytes, sent_as: str, extension: str
) -> None:
    key = post(cat, sent_as=sent_as)

    told = complete(client, key)

    picture = PictureKey.parse(told["key"])
    assert picture is not None
    assert (picture.folder, picture.extension) == (key.split("/")[2], extension)
    assert told["name"] == sent_as
    assert there(buckets) == [told["key"]]
    assert buckets.read(told["key"]) == cat


def test_a_place_is_taken_out_and_then_the_picture_has_another_key(
    client: FlaskClient, config: Config, buckets: Buckets, post: Post, phone_photo: bytes
) -> None:
    key = post(phone_photo, "phone.jpg")

    told = complete(client, key)

    assert told["altered"] is True
    assert told["key"] != key
    assert told["key"].startswith("o/demo/phone/")
    assert there(buckets) == [told["key"]]
    with Image.open(io.BytesIO(buckets.read(told["key"]))) as image:
        assert image.getexif().get_ifd(0x8825) == {}
    # Its first key may be in caches, with the place.
    assert (config.tombstones / key).exists()
    assert not (config.tombstones / told["key"]).exists()


@pytest.mark.parametrize("kind", [*KINDS, "duplicate", "held and duplicate"])
def test_twice_is_as_good_as_once(client: FlaskClient, buckets: Buckets, key: str, kind: str) -> None:
    first, second = complete(client, key), complete(client, key)

    assert first == second
    assert there(buckets) == [first["key"]]
    assert first.get("duplicate", False) is ("duplicate" in kind)


@pytest.mark.parametrize("kind", KINDS)
def test_at_the_same_time_is_as_good_as_once(config: Config, buckets: Buckets, key: str) -> None:
    app = create_app(config.model_copy(update={"decodes_at_once": 3}))

    with ThreadPoolExecutor(3) as pool:
        told = list(pool.map(lambda _: complete(app.test_client(), key), range(3)))

    assert {one["key"] for one in told} == {told[0]["key"]}
    assert there(buckets) == [told[0]["key"]]
    assert buckets.stored(told[0]["key"]).metadata["sha256"] == told[0]["sha256"]


def test_a_held_file_is_published_where_it_was_to_be(
    client: FlaskClient, buckets: Buckets, post: Post, cat: bytes
) -> None:
    key = post(cat, "cat.png", hold=True)

    told = complete(client, key)

    assert told["key"] == key.replace("incoming/", "o/", 1)
    assert there(buckets) == [told["key"]]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"<html><script>alert(1)</script></html>", 415, "unsupported_type"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 100, 422, "undecodable"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", 422, "active_content"),
        (b"x" * 300_001, 413, "too_large"),
    ],
)
@pytest.mark.parametrize("hold", [False, True], ids=["public", "held"])
def test_what_is_no_picture_is_removed_with_the_reason(
    client: FlaskClient, config: Config, buckets: Buckets, post: Post, body: bytes, status: int, code: str, hold: bool
) -> None:
    key = post(body, "cat.png", hold=hold)

    answer = client.post("/complete", data={"key": key})

    assert answer.status_code == status
    assert answer.json is not None
    assert answer.json["code"] == code
    assert there(buckets) == []
    # It may have been served meanwhile.
    assert (config.tombstones / key).exists() is not hold


def test_what_is_too_large_is_removed_without_being_read(config: Config, buckets: Buckets, post: Post) -> None:
    app = create_app(config)
    asked: list[str] = []
    app.extensions["room"].buckets.client.meta.events.register(
        "before-call.s3", lambda model, **_: asked.append(model.name)
    )
    key = post(bytes(300_001), "cat.png")

    assert app.test_client().post("/complete", data={"key": key}).status_code == 413

    assert "GetObject" not in asked
    assert there(buckets) == []


def test_an_apps_own_types_count_here_too(config: Config, buckets: Buckets, post: Post, cat: bytes) -> None:
    rules = config.model_copy(update={"app_rules": '{"demo": {"types": ["jpg"]}}'})
    key = post(cat, "cat.png")

    answer = create_app(rules).test_client().post("/complete", data={"key": key})

    assert answer.status_code == 415
    assert there(buckets) == []


def test_no_app_touches_what_is_anothers(client: FlaskClient, buckets: Buckets, post: Post, cat: bytes) -> None:
    theirs, bad = post(cat, "cat.png", app="club"), post(b"no picture", "bad.png", app="club")

    answers = [
        client.post("/complete", data={"key": key}, headers=headers)
        for key in (theirs, bad, "o/club/cat/none.png")
        for headers in (PUBLIC, {})
    ]

    assert {answer.status_code for answer in answers} == {404}
    # Nobody can tell from it whether there is anything.
    assert len({answer.data for answer in answers}) == 1
    assert sorted(there(buckets, "club")) == sorted([theirs, bad])
    buckets.delete_pictures([theirs, bad])


@pytest.mark.parametrize(
    ("key", "status"),
    [
        ("", 400),
        ("cat.png", 404),
        ("o/demo/", 404),
        ("o/demo/../club/cat.png", 404),
        ("o/demo/..%2fclub/cat.png", 404),
        ("o/demo//cat.png", 404),
        ("o/demo/cat/1795161488_0123456789abcdef0123.png", 404),
        ("incoming/demo/cat/none.png", 404),
        ("results/demo/cat/none.png", 404),
        ("o/demo/" + "x" * 2000, 404),
        ("o/demo/\x00.png", 404),
    ],
)
def test_a_wrong_key_is_told(client: FlaskClient, key: str, status: int) -> None:
    assert client.post("/complete", data={"key": key}).status_code == status


@pytest.mark.parametrize("key", ["", "wrong", "nope-nope-nope-nope-nope"])
def test_a_key_that_is_none_completes_nothing(
    client: FlaskClient, buckets: Buckets, post: Post, cat: bytes, key: str
) -> None:
    posted = post(cat, "cat.png", app="shop")

    answer = client.post("/complete", data={"key": posted, "api_key": key})

    assert answer.status_code == (403 if key else 404)  # without a key it is the open app that calls
    assert there(buckets, "shop") == [posted]
    assert complete(client, posted, headers=PUBLIC)["key"] == posted
    buckets.delete_pictures([posted])


def test_an_inspected_picture_is_not_touched(client: FlaskClient, buckets: Buckets, cat: bytes) -> None:
    uploaded = client.post("/", data={"file": (io.BytesIO(cat), "cat.png"), "note": "mine"}).json
    assert uploaded is not None
    key = uploaded["pictures"][0]["key"]
    before = buckets.client.head_object(Bucket=PICTURES, Key=key)["VersionId"]

    told = complete(client, key)

    assert told["key"] == key
    assert buckets.client.head_object(Bucket=PICTURES, Key=key)["VersionId"] == before


def test_the_public_key_does_not_publish_what_the_keeper_holds(
    client: FlaskClient, buckets: Buckets, cat: bytes
) -> None:
    held = client.post("/upload", data={"file": (io.BytesIO(cat), "cat.png")}, headers=PUBLIC).json
    assert held is not None

    told = complete(client, held["key"], headers=PUBLIC)

    assert told["key"] == held["key"]
    assert there(buckets, "shop") == [held["key"]]
    buckets.delete_pictures([held["key"]])


def test_the_public_key_learns_no_name_and_moves_nothing_that_no_ticket_brought(
    client: FlaskClient, buckets: Buckets, post: Post, cat: bytes, phone_photo: bytes
) -> None:
    uploaded = client.post(
        "/", data={"file": (io.BytesIO(cat), "Bob's secret.png"), "note": "secret"}, headers=PUBLIC
    ).json
    assert uploaded is not None
    keys = [uploaded["pictures"][0]["key"], "o/shop/old/1.jpg", "o/shop/old/2.jpg"]
    for key, body in ((keys[1], phone_photo), (keys[2], b"no picture")):
        buckets.client.put_object(Bucket=PICTURES, Key=key, Body=body)

    answers = [client.post("/complete", data={"key": key}, headers=PUBLIC) for key in keys]

    assert [answer.status_code for answer in answers] == [200, 404, 404]
    assert answers[0].json is not None
    # The slug of the name is in the key, which everybody sees; its own letters and the note are not.
    assert answers[0].json["name"] == answers[0].json["filename"]
    assert "note" not in answers[0].json
    assert sorted(there(buckets, "shop")) == sorted(keys)
    buckets.delete_pictures(keys)


def test_the_private_key_completes_what_a_keeper_put_there_himself(
    client: FlaskClient, buckets: Buckets, cat: bytes
) -> None:
    buckets.client.put_object(Bucket=PICTURES, Key="o/demo/old/1.png", Body=cat)

    assert complete(client, "o/demo/old/1.png")["width"] == 451
    assert there(buckets) == ["o/demo/old/1.png"]


def test_a_key_that_was_deleted_does_not_come_back(
    client: FlaskClient, buckets: Buckets, post: Post, cat: bytes, coffee: bytes
) -> None:
    key = post(cat, sent_as="a.png")
    complete(client, key)
    client.delete(f"/pictures/{key}")
    # Somebody uses the ticket again, past the moment in which this would be the same delete.
    buckets.client.put_object(Bucket=PICTURES, Key=key, Body=coffee, Metadata={"ticket": "1"})

    told = client.post("/complete", data={"key": key})

    assert told.status_code in (200, 404)
    assert key not in there(buckets)


class ScanHook:
    """A scanner that lets everything through, and what happens meanwhile is the test's."""

    def __init__(self) -> None:
        self.meanwhile: Callable[[], object] = lambda: None
        self.status = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                outer.meanwhile()
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def scan() -> Iterator[ScanHook]:
    """The scanner, and its end."""
    hook = ScanHook()
    yield hook
    hook.server.shutdown()
    hook.server.server_close()


@pytest.fixture
def scanned(config: Config, scan: ScanHook) -> FlaskClient:
    """An uploader that asks the scanner."""
    return create_app(config.model_copy(update={"scanner": scan.address})).test_client()


@pytest.mark.parametrize("hold", [False, True], ids=["public", "held"])
def test_the_scanners_word_counts(
    scanned: FlaskClient, scan: ScanHook, buckets: Buckets, post: Post, cat: bytes, hold: bool
) -> None:
    key = post(cat, "cat.png", hold=hold)
    scan.status = 503
    down = scanned.post("/complete", data={"key": key})
    assert (down.status_code, there(buckets)) == (503, [key])

    scan.status = 403
    infected = scanned.post("/complete", data={"key": key})

    assert infected.status_code == 422
    assert there(buckets) == []


@pytest.mark.parametrize(
    ("kind", "by"),
    [
        *((kind, by) for kind in ("plain", "altered", "held", "held and altered") for by in ("key", "all")),
        *((kind, "file_path") for kind in ("plain", "altered", "odd name")),
        ("odd name", "all"),
    ],
)
def test_a_delete_meanwhile_holds(
    scanned: FlaskClient, scan: ScanHook, client: FlaskClient, buckets: Buckets, key: str, by: str
) -> None:
    path = key.split("/", 2)[2]
    deletes: dict[str, Callable[[], Any]] = {
        "key": lambda: client.post("/delete", data={"filenames": key}),
        "all": lambda: client.delete("/delete-all-pictures"),
        "file_path": lambda: client.delete("/delete_file", query_string={"file_path": path}),
    }
    scan.meanwhile = deletes[by]
    answer = scanned.post("/complete", data={"key": key})

    assert answer.status_code == 404, answer.text
    assert there(buckets) == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_completed_while_a_delete_runs_is_deleted_too(
    config: Config, client: FlaskClient, buckets: Buckets, key: str
) -> None:
    app = create_app(config)
    told: list[dict[str, Any]] = []

    def meanwhile(params: dict[str, Any], **_: object) -> None:
        # The delete has listed what there is, and is about to post its notice.
        if not told and params["Key"].startswith("notices/"):
            told.append(complete(client, key))

    app.extensions["room"].buckets.client.meta.events.register("provide-client-params.s3.PutObject", meanwhile)

    deleted = app.test_client().delete("/delete-all-pictures")

    assert deleted.status_code == 200
    assert told[0]["success"] is True
    assert there(buckets) == []
    assert (config.tombstones / told[0]["key"]).exists()


def test_what_is_posted_meanwhile_is_inspected_too(
    scanned: FlaskClient, scan: ScanHook, buckets: Buckets, post: Post, cat: bytes
) -> None:
    key = post(cat, sent_as="a.png")
    again = [b"no picture at all"]

    def meanwhile() -> None:
        while again:
            buckets.client.put_object(Bucket=PICTURES, Key=key, Body=again.pop(), Metadata={"ticket": "1"})

    scan.meanwhile = meanwhile

    answer = scanned.post("/complete", data={"key": key})

    assert answer.status_code == 415
    assert there(buckets) == []


@pytest.mark.parametrize("kind", KINDS[1:])  # a plain one stays where it is
@pytest.mark.parametrize("call", ["PutObject", "DeleteObjects"])
def test_who_is_killed_between_two_steps_leaves_nothing_lost_and_nothing_behind(
    config: Config, client: FlaskClient, buckets: Buckets, key: str, call: str
) -> None:
    dying = create_app(config)

    def die(**_: object) -> AWSResponse:
        raise KeyboardInterrupt

    dying.extensions["room"].buckets.client.meta.events.register(f"before-send.s3.{call}", die)
    with pytest.raises(KeyboardInterrupt):
        dying.test_client().post("/complete", data={"key": key})
    assert key in there(buckets)

    told = complete(client, key)

    assert there(buckets) == [told["key"]]
    assert told["key"].startswith("o/demo/")


def test_a_ticket_that_is_used_again_takes_no_other_pictures_place(
    client: FlaskClient, buckets: Buckets, post: Post, cat: bytes, coffee: bytes
) -> None:
    key = post(cat, "cat.png", hold=True)
    first = complete(client, key)
    buckets.client.put_object(Bucket=PICTURES, Key=key, Body=coffee, Metadata={"ticket": "1"})

    second = complete(client, key)

    assert second["key"] != first["key"]
    assert buckets.read(first["key"]) == cat
    assert buckets.read(second["key"]) == coffee
