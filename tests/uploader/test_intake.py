"""What happens to a file between the request and the storage."""

import base64
import hashlib
import io
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask.testing import FlaskClient
from PIL import Image, TiffImagePlugin
from werkzeug.datastructures import FileStorage, Headers
from werkzeug.test import TestResponse

from thumbstack.apps import Rules
from thumbstack.buckets import Buckets
from thumbstack.inspection import Facts, Limits, inspect
from thumbstack.intake import Arrival, Intake
from thumbstack.picture_key import PictureKey
from thumbstack.scanner import NoScanner
from uploader import create_app
from uploader.config import Config


def put(client: FlaskClient, body: bytes, name: str = "a.jpg", **fields: str) -> TestResponse:
    """Send one file, with fields beside it."""
    return client.post("/", data={"file": (io.BytesIO(body), name), **fields})


def entry(answer: TestResponse) -> dict[str, Any]:
    """The one picture of an answer."""
    assert answer.status_code == 201, answer.text
    assert answer.json is not None
    (picture,) = answer.json["pictures"]
    found: dict[str, Any] = picture
    return found


def phone_photo(orientation: int = 6) -> bytes:
    """A JPEG with a place, a copyright and an orientation in its EXIF."""
    image = Image.effect_noise((64, 48), 60).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x8298] = "Copyright Jane"
    place = exif.get_ifd(0x8825)
    place[1] = "N"
    place[2] = tuple(TiffImagePlugin.IFDRational(part, 1) for part in (46, 31, 12))
    out = io.BytesIO()
    image.save(out, "JPEG", exif=exif, quality=90)
    return out.getvalue()


def exif_of(body: bytes) -> Image.Exif:
    """The EXIF of a picture."""
    with Image.open(io.BytesIO(body)) as image:
        return image.getexif()


def digest(body: bytes) -> str:
    """The Content-Digest of some bytes."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def test_the_place_is_taken_out_and_the_answer_says_so(client: FlaskClient, buckets: Buckets) -> None:
    sent = phone_photo()

    told = entry(put(client, sent))

    kept = buckets.read(told["key"])
    assert not exif_of(kept).get_ifd(0x8825).get(2)
    assert (exif_of(kept)[0x8298], exif_of(kept)[0x0112]) == ("Copyright Jane", 6)
    assert told["altered"] is True
    assert told["sha256"] == hashlib.sha256(kept).hexdigest() != hashlib.sha256(sent).hexdigest()
    # As it is seen.
    assert (told["width"], told["height"]) == (48, 64)


def test_a_picture_without_a_place_is_kept_byte_for_byte(client: FlaskClient, buckets: Buckets, coffee: bytes) -> None:
    told = entry(put(client, coffee))

    assert told["altered"] is False
    assert buckets.read(told["key"]) == coffee


@pytest.mark.parametrize("rules", ['{"demo": {"keep_location": true}}', ""])
def test_an_app_may_keep_the_place(config: Config, buckets: Buckets, rules: str) -> None:
    client = create_app(config.model_copy(update={"app_rules": rules, "keep_location": not rules})).test_client()

    told = entry(put(client, phone_photo(), "kept.jpg"))

    assert exif_of(buckets.read(told["key"])).get_ifd(0x8825)[1] == "N"
    client.delete("/delete-all-pictures")


@pytest.mark.parametrize("rules", ['{"demo": {"upright": true}}', ""])
def test_an_app_may_have_its_originals_upright(config: Config, buckets: Buckets, cat: bytes, rules: str) -> None:
    client = create_app(config.model_copy(update={"app_rules": rules, "auto_orient_original": not rules})).test_client()

    told = entry(put(client, phone_photo(), "up.jpg"))
    png = entry(put(client, cat, "cat.png"))

    with Image.open(io.BytesIO(buckets.read(told["key"]))) as image:
        assert image.size == (48, 64)
        assert image.getexif().get(0x0112, 1) == 1
    assert buckets.stored(told["key"]).metadata["orientation"] == "1"
    assert buckets.read(png["key"]) == cat
    client.delete("/delete-all-pictures")


def test_an_app_may_take_some_types_only(config: Config, coffee: bytes, cat: bytes) -> None:
    client = create_app(config.model_copy(update={"app_rules": '{"demo": {"types": ["png"]}}'})).test_client()

    assert put(client, cat, "cat.png").status_code == 201
    refused = put(client, coffee)
    assert refused.status_code == 415
    assert refused.json is not None
    assert refused.json["code"] == "type_not_allowed"
    client.delete("/delete-all-pictures")


def test_the_same_bytes_under_the_same_name_are_the_same_picture(
    client: FlaskClient, buckets: Buckets, coffee: bytes, cat: bytes
) -> None:
    first = entry(put(client, coffee, "a.jpg"))
    again = entry(put(client, coffee, "a.jpg"))
    other_name = entry(put(client, coffee, "b.jpg"))
    other_bytes = entry(put(client, cat, "a.jpg"))
    wanted = entry(put(client, coffee, "a.jpg", again="1"))

    assert again["duplicate"] is True
    assert again["key"] == first["key"]
    assert all("duplicate" not in told for told in (first, other_name, other_bytes, wanted))
    assert len({told["key"] for told in (first, other_name, other_bytes, wanted)}) == 4
    assert len(list(buckets.originals("o/demo/"))) == 4


def test_a_phone_photo_sent_twice_is_known_though_it_was_altered(client: FlaskClient) -> None:
    sent = phone_photo()
    first, again = entry(put(client, sent)), entry(put(client, sent))

    assert (again["key"], again["duplicate"]) == (first["key"], True)


@pytest.mark.parametrize("where", ["request", "part"])
def test_a_digest_that_does_not_match_stores_nothing(
    client: FlaskClient, buckets: Buckets, coffee: bytes, where: str
) -> None:
    for body, status in ((b"other", 400), (coffee, 201)):
        header = {"Content-Digest": digest(body)}
        part = FileStorage(io.BytesIO(coffee), "a.jpg", headers=Headers(header if where == "part" else {}))
        answer = client.post("/", data={"file": part}, headers=header if where == "request" else {})

        assert answer.status_code == status
        assert len(list(buckets.originals("o/demo/"))) == (status == 201)


def test_a_digest_of_one_part_is_not_that_of_another(client: FlaskClient, coffee: bytes, cat: bytes) -> None:
    parts = [
        FileStorage(io.BytesIO(coffee), "a.jpg", headers=Headers({"Content-Digest": digest(coffee)})),
        FileStorage(io.BytesIO(cat), "b.png", headers=Headers({"Content-Digest": digest(coffee)})),
    ]

    answer = client.post("/", data={"file": parts})

    assert answer.status_code == 207
    assert answer.json is not None
    assert [picture.get("code") for picture in answer.json["pictures"]] == [None, "digest_mismatch"]


@pytest.mark.parametrize("header", ["sha-256=x", "sha-256=:AAAA:", "sha-256", "\xff", "sha-256=(1 2)"])
def test_a_digest_that_cannot_be_read_is_told(client: FlaskClient, coffee: bytes, header: str) -> None:
    answer = client.post(
        "/", data={"file": (io.BytesIO(coffee), "a.jpg")}, headers={"Content-Digest": header.encode("latin-1")}
    )

    assert answer.status_code == 400


def test_a_digest_of_another_kind_is_left_alone(client: FlaskClient, coffee: bytes) -> None:
    answer = client.post(
        "/", data={"file": (io.BytesIO(coffee), "a.jpg")}, headers={"Content-Digest": "sha-512=:AAAA:"}
    )

    assert answer.status_code == 201


def test_an_answer_has_a_colour_and_a_placeholder(client: FlaskClient, coffee: bytes) -> None:
    told = entry(put(client, coffee, "coffee.jpg", note="für Jane"))

    assert told["dominant_color"].startswith("#")
    assert len(told["placeholder"]) < 600
    assert told["note"] == "für Jane"
    assert told["frames"] == 1


def test_what_finds_its_place_taken_is_stored_whole_in_another(
    buckets: Buckets, client: FlaskClient, coffee: bytes, cat: bytes
) -> None:
    intake = Intake(buckets, NoScanner(), Limits(max_bytes=300_000), defaultdict(Rules), at_once=1)
    taken, free = PictureKey("demo", "a", "1_taken.jpg"), PictureKey("demo", "a", "1_free.jpg")
    buckets.put(str(taken), io.BytesIO(cat), hashlib.sha256(cat).hexdigest(), "image/png", {})
    seen = intake.inspect(Arrival(io.BytesIO(coffee), "a.jpg"), "demo")

    assert intake.settle(taken, seen) is None
    assert intake.settle(free, seen) is not None

    assert (buckets.read(str(taken)), buckets.read(str(free))) == (cat, coffee)


def test_so_many_are_decoded_at_a_time_as_memory_is_there_for(
    buckets: Buckets, coffee: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = Intake(buckets, NoScanner(), Limits(max_bytes=300_000), defaultdict(Rules), at_once=2)
    meeting, under_way = threading.Barrier(2), threading.Semaphore(2)

    def slow(*arguments: Any) -> Facts:
        # In its place, so that they meet in there: real ones are too quick for that.
        assert under_way.acquire(blocking=False)
        meeting.wait(60)
        time.sleep(0.05)
        under_way.release()
        return inspect(*arguments)

    monkeypatch.setattr("thumbstack.intake.inspect", slow)
    with ThreadPoolExecutor(6) as pool:
        seen = list(pool.map(lambda _: intake.inspect(Arrival(io.BytesIO(coffee), "a.jpg"), "demo"), range(6)))

    assert len(seen) == 6


def test_long_names_and_notes_are_kept_as_far_as_they_fit(client: FlaskClient, coffee: bytes) -> None:
    told = entry(put(client, coffee, "ä" * 4000 + ".jpg", note="ü" * 4000))

    assert told["name"].strip("ä") == ""
    assert told["note"].strip("ü") == ""
    assert len(told["note"]) > 50
