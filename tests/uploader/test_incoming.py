"""Uploads in two steps, and what a keeper does with a picture by its file name."""

import io
import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from PIL import Image

from thumbstack.buckets import Buckets
from thumbstack.picture_key import PictureKey
from uploader import create_app
from uploader.config import Config

PUBLIC = {"Authorization": "Bearer shop-public-0123456789"}
KEEPER = {"Authorization": "Bearer shop-private-0123456789"}


def hold(client: FlaskClient, body: bytes, name: str = "violin.jpg") -> dict[str, Any]:
    """Upload a picture that waits; the answer."""
    answer = client.post("/upload", data={"file": (io.BytesIO(body), name)})
    assert answer.status_code == 200, answer.text
    assert answer.json is not None
    held: dict[str, Any] = answer.json
    return held


def keys(buckets: Buckets) -> list[str]:
    """Everything of the open app in the pictures bucket, held and published."""
    listing = buckets.client.list_objects_v2(Bucket=buckets.pictures)
    return [item["Key"] for item in listing.get("Contents", ()) if "/demo/" in item["Key"]]


def test_a_held_picture_has_a_new_name_each_time(client: FlaskClient, buckets: Buckets, cat: bytes) -> None:
    # A PNG that calls itself a JPEG.
    first, second = hold(client, cat, "a.jpg"), hold(client, cat, "a.jpg")

    assert re.fullmatch(r"\d{10}_[0-9a-f]{16,}\.png", first["filename"])
    assert first["filename"] != second["filename"]
    assert first["key"].startswith("incoming/demo/")
    assert sorted(keys(buckets)) == sorted([first["key"], second["key"]])


def test_a_held_picture_is_not_public(client: FlaskClient, buckets: Buckets, coffee: bytes) -> None:
    held = hold(client, coffee)

    assert client.get(f"/{held['key']}").status_code == 404
    published = held["key"].replace("incoming/", "o/", 1)
    with pytest.raises(Exception, match="404"):
        buckets.client.head_object(Bucket=buckets.pictures, Key=published)


@pytest.mark.parametrize("by", ["filename", "key"])
def test_publishing_makes_it_public_and_nothing_waits_any_more(
    client: FlaskClient, buckets: Buckets, coffee: bytes, by: str
) -> None:
    held = hold(client, coffee)

    answer = client.post("/publish", data={by: held[by]})

    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["success"] is True
    assert keys(buckets) == [answer.json["key"]] == [held["key"].replace("incoming/", "o/", 1)]
    assert buckets.read(answer.json["key"]) == coffee
    assert (answer.json["name"], answer.json["width"]) == ("violin.jpg", 600)
    head = buckets.client.head_object(Bucket=buckets.pictures, Key=answer.json["key"])
    assert (head["ContentType"], head["CacheControl"]) == ("image/jpeg", "public, max-age=31536000, immutable")


def test_publishing_twice_is_as_good_as_once(client: FlaskClient, coffee: bytes) -> None:
    held = hold(client, coffee)

    answers = [client.post("/publish", json={"filename": held["filename"]}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json == answers[1].json


def test_a_copy_that_is_not_whole_costs_nothing(
    client: FlaskClient, buckets: Buckets, coffee: bytes, cat: bytes
) -> None:
    # A publish that was broken off between the copy and its check, with a copy that would not have passed it.
    held = hold(client, coffee)
    published = held["key"].replace("incoming/", "o/", 1)
    metadata = buckets.stored(held["key"]).metadata
    buckets.client.put_object(Bucket=buckets.pictures, Key=published, Body=cat, Metadata=dict(metadata))

    first = client.post("/publish", data={"filename": held["filename"]})

    assert first.status_code == 503
    assert keys(buckets) == [held["key"]]
    assert client.post("/publish", data={"filename": held["filename"]}).status_code == 200
    assert buckets.read(published) == coffee


def test_an_unknown_name_is_not_published(client: FlaskClient) -> None:
    assert client.post("/publish", data={"filename": "1763600000_0123456789abcdef.jpg"}).status_code == 404
    assert client.post("/publish", data={"filename": "../x"}).status_code == 404
    assert client.post("/publish").status_code == 400


def test_only_the_private_key_publishes(client: FlaskClient, buckets: Buckets, coffee: bytes) -> None:
    held = hold(client, coffee)

    for headers in (PUBLIC, {"Authorization": "Bearer wrong"}):
        assert client.post("/publish", data={"key": held["key"]}, headers=headers).status_code == 403
    # The keeper of another app does not see it.
    assert client.post("/publish", data={"key": held["key"]}, headers=KEEPER).status_code == 404
    assert keys(buckets) == [held["key"]]


def test_a_crop_is_for_the_variants_only(client: FlaskClient, buckets: Buckets, coffee: bytes) -> None:
    held = hold(client, coffee)

    cropped = client.post("/publish", data={"filename": held["filename"], "crop": "100x80+10+20"}).json
    again = client.post("/publish", data={"filename": held["filename"]}).json

    assert cropped is not None
    assert again is not None
    assert cropped["crop"] == "100x80+10+20"
    assert "/10x20:110x100/200x200/" in cropped["urls"]["SI"]
    assert "/10x20:110x100/fit-in/400x400/" in cropped["urls"]["MI"]
    assert buckets.read(cropped["key"]) == coffee
    assert "10x20" not in again["urls"]["SI"]


def test_a_crop_may_be_written_as_curl_sends_it(client: FlaskClient, coffee: bytes) -> None:
    held = hold(client, coffee)

    # curl -d leaves the plus as it is, and in a form that is a blank.
    form = f"filename={held['filename']}&crop=100x80+10+20"
    cropped = client.post("/publish", data=form, content_type="application/x-www-form-urlencoded").json

    assert cropped is not None
    assert cropped["crop"] == "100x80+10+20"


@pytest.mark.parametrize(
    "crop", ["1", "100x100", "0x0+0+0", "601x10+0+0", "10x10+595+0", "-1x5+0+0", "10x10+0+0/x", "\u0661x10+0+0"]
)
def test_a_crop_that_does_not_fit_is_refused(client: FlaskClient, buckets: Buckets, coffee: bytes, crop: str) -> None:
    held = hold(client, coffee)

    answer = client.post("/publish", data={"filename": held["filename"], "crop": crop})

    assert answer.status_code == 400
    assert keys(buckets) == [held["key"]]


def test_several_names_are_deleted_each_with_its_outcome(
    client: FlaskClient, buckets: Buckets, coffee: bytes, cat: bytes
) -> None:
    held, other, kept = hold(client, coffee), hold(client, cat), hold(client, cat)
    client.post("/publish", data={"filename": held["filename"]})

    answer = client.post("/delete", data={"filenames": [held["filename"], "none.jpg", other["key"]]})

    assert answer.status_code == 200
    assert answer.json is not None
    assert [one["status"] for one in answer.json["filenames"]] == [200, 404, 200]
    assert keys(buckets) == [kept["key"]]
    assert client.post("/delete").status_code == 400
    assert client.post("/delete", data={"filenames": "a"}, headers=PUBLIC).status_code == 403


def corner(body: bytes) -> tuple[int, int, tuple[int, ...]]:
    """Width, height and the colour near the upper left corner, as the picture is seen."""
    with Image.open(io.BytesIO(body)) as image:
        from PIL import ImageOps

        seen = ImageOps.exif_transpose(image).convert("RGB")
        pixel = seen.getpixel((5, 5))
        assert isinstance(pixel, tuple)
        return seen.width, seen.height, tuple(round(value / 255) for value in pixel)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    ("rotation", "size", "seen"),
    [
        ("90", (40, 60), (0, 0, 1)),
        ("-90", (40, 60), (1, 0, 0)),
        ("180", (60, 40), (0, 1, 0)),
        ("", (40, 60), (0, 0, 1)),
    ],
)
def test_a_picture_is_turned_under_a_new_name(
    client: FlaskClient, buckets: Buckets, format_: str, rotation: str, size: tuple[int, int], seen: tuple[int, ...]
) -> None:
    image = Image.new("RGB", (60, 40), "black")
    for box, colour in (((40, 0, 60, 20), "red"), ((40, 20, 60, 40), "lime"), ((0, 20, 20, 40), "blue")):
        image.paste(colour, box)
    body = io.BytesIO()
    image.save(body, format_, quality=95)
    held = hold(client, body.getvalue())
    client.post("/publish", data={"filename": held["filename"]})

    answer = client.post("/rotate", data={"filename": held["filename"], "rotation": rotation}).json

    assert answer is not None
    assert answer["filename"] != held["filename"]
    assert keys(buckets) == [answer["key"]]
    assert corner(buckets.read(answer["key"])) == (*size, seen)
    assert (answer["width"], answer["height"]) == size
    # And its new name is enough to find it again.
    assert client.post("/rotate", data={"filename": answer["filename"]}).status_code == 200


def test_a_picture_that_grows_as_it_is_turned_is_kept(config: Config) -> None:
    body = io.BytesIO()
    # The same rows over and over are small; turned, they are columns.
    Image.effect_noise((400, 1), 99).resize((400, 400), Image.Resampling.NEAREST).save(body, "PNG")
    client = create_app(config.model_copy(update={"max_upload_bytes": len(body.getvalue())})).test_client()
    held = hold(client, body.getvalue(), "rows.png")
    client.post("/publish", data={"filename": held["filename"]})

    answer = client.post("/rotate", data={"filename": held["filename"], "rotation": "90"})

    assert answer.status_code == 200, answer.text
    assert answer.json is not None
    assert answer.json["bytes"] > len(body.getvalue())
    client.delete("/delete-all-pictures")


def test_what_cannot_be_turned_stays(client: FlaskClient, buckets: Buckets) -> None:
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"><rect width="5" height="5"/></svg>'
    held = hold(client, svg, "a.svg")
    published = client.post("/publish", data={"filename": held["filename"]}).json
    assert published is not None

    answer = client.post("/rotate", data={"filename": held["filename"]})

    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["code"] == "not_turnable"
    assert keys(buckets) == [published["key"]]
    assert client.post("/rotate", data={"filename": held["filename"], "rotation": "45"}).status_code == 400
    assert client.post("/rotate", data={"filename": "1_a.jpg"}).status_code == 404


def test_a_rotation_keeps_the_folder_of_a_named_picture(client: FlaskClient, coffee: bytes) -> None:
    answer = client.post("/", data={"file": (io.BytesIO(coffee), "coffee.jpg")}).json
    assert answer is not None

    turned = client.post("/rotate", data={"key": answer["pictures"][0]["key"]}).json

    assert turned is not None
    picture = PictureKey.parse(turned["key"])
    assert picture is not None
    assert picture.folder == "coffee"
