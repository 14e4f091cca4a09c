"""Pictures in, back by name, and gone with every copy."""

import hashlib
import io
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from thumbstack.buckets import Buckets
from thumbstack.picture_key import PictureKey
from thumbstack.signing import signed_path
from uploader import create_app
from uploader.config import Config

KEEPER = {"Authorization": "Bearer shop-private-0123456789"}


def put(client: FlaskClient, *files: tuple[bytes, str], **headers: str) -> TestResponse:
    """Send files as a browser or ``curl -F`` does."""
    return client.post("/", data={"file": [(io.BytesIO(body), name) for body, name in files]}, headers=headers)


def stored(client: FlaskClient, body: bytes, name: str) -> dict[str, Any]:
    """Upload one picture that must be taken; its entry in the answer."""
    answer = put(client, (body, name))
    assert answer.status_code == 201, answer.text
    assert answer.json is not None
    entry: dict[str, Any] = answer.json["pictures"][0]
    return entry


def downloaded(config: Config, answer: TestResponse) -> bytes:
    """What nginx would fetch for this answer."""
    target = answer.headers["X-Accel-Redirect"].removeprefix("/_s3")
    with urllib.request.urlopen(f"{config.s3_endpoint}{target}") as reply:  # noqa: S310 - our own server
        body: bytes = reply.read()
        return body


def result(buckets: Buckets, key: str) -> None:
    """A result such as Thumbor would store."""
    buckets.client.put_object(Bucket=buckets.results, Key=key, Body=b"thumb")


def test_an_upload_tells_all_about_the_picture(client: FlaskClient, cat: bytes) -> None:
    answer = put(client, (cat, "My Cat.PNG"))

    assert answer.status_code == 201
    assert answer.json is not None
    assert answer.json["status"] == "Uploaded"
    (entry,) = answer.json["pictures"]
    key = PictureKey.parse(entry["key"])
    assert key is not None
    assert key.app == "demo"
    assert key.folder.startswith("my-cat--")
    assert key.extension == "png"
    assert entry["url"] == f"https://pictures.example/{key}"
    assert (entry["name"], entry["content_type"]) == ("My Cat.PNG", "image/png")
    assert (entry["width"], entry["height"], entry["bytes"]) == (451, 300, len(cat))
    assert entry["sha256"] == hashlib.sha256(cat).hexdigest()
    assert entry["urls"]["SI"] == "https://pictures.example" + signed_path(
        key, "200x200/filters:quality(90)", "security-key-of-the-tests-0123456789"
    )


def test_what_was_put_in_comes_back_byte_for_byte(client: FlaskClient, config: Config, coffee: bytes) -> None:
    stored(client, coffee, "coffee.jpg")

    for answer in (
        client.get("/?name=coffee"),
        client.get("/?name=coffee.jpg"),
        client.get("/", data={"name": "coffee"}),
        client.get("/", data={"name": "coffee"}, content_type="multipart/form-data"),
    ):
        assert answer.status_code == 200
        assert downloaded(config, answer) == coffee


def test_the_newest_of_a_name_is_given(client: FlaskClient, config: Config, coffee: bytes, cat: bytes) -> None:
    for body in (cat, coffee, cat, coffee):
        stored(client, body, "a")

    assert downloaded(config, client.get("/?name=a")) == coffee
    assert downloaded(config, client.get("/?name=a.png")) == cat


def test_a_published_original_needs_no_key(client: FlaskClient, config: Config, coffee: bytes) -> None:
    key = stored(client, coffee, "coffee.jpg")["key"]

    answer = client.get(f"/{key}")

    assert answer.status_code == 200
    assert downloaded(config, answer) == coffee


def test_a_good_file_is_stored_beside_a_bad_one(client: FlaskClient, buckets: Buckets, coffee: bytes) -> None:
    answer = put(client, (b"no picture", "bad.jpg"), (coffee, "good.jpg"))

    assert answer.status_code == 207
    assert answer.json is not None
    bad, good = answer.json["pictures"]
    assert (bad["status"], bad["code"]) == (415, "unsupported_type")
    assert [str(key) for key in buckets.originals("o/demo/")] == [good["key"]]


@pytest.mark.parametrize(
    ("body", "name", "status", "code"),
    [
        pytest.param(b"", "a.jpg", 400, "empty_file", id="empty"),
        pytest.param(b"text", "a.jpg", 415, "unsupported_type", id="text"),
        pytest.param(b"%PDF-" + bytes(400_000), "a.pdf", 413, "too_large", id="too large"),
    ],
)
def test_a_refused_file_leaves_nothing(
    client: FlaskClient, buckets: Buckets, body: bytes, name: str, status: int, code: str
) -> None:
    answer = put(client, (body, name))

    assert answer.status_code == status
    assert answer.json is not None
    assert answer.json["code"] == code
    assert list(buckets.originals("o/demo/")) == []


def test_a_form_without_a_file_is_told_so(client: FlaskClient) -> None:
    answer = client.post("/", data={"file": "no file"})

    assert answer.status_code == 400
    assert answer.json == {
        "error": "There is no file in the form: send one with -F file=@picture.jpg",
        "code": "missing_input",
    }


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("query", ["", "?name=", "?name=folder/"])
def test_a_missing_name_is_told(client: FlaskClient, method: str, query: str) -> None:
    answer = client.open(f"/{query}", method=method)

    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["code"] == "missing_input"


def test_the_installation_says_how_long_s3_lets_originals_be_kept(
    config: Config, buckets: Buckets, coffee: bytes
) -> None:
    client = create_app(config.model_copy(update={"cache_control": "public, max-age=3600"})).test_client()

    told = stored(client, coffee, "coffee.jpg")

    head = buckets.client.head_object(Bucket=buckets.pictures, Key=told["key"])
    assert head["CacheControl"] == "public, max-age=3600"
    client.delete("/delete-all-pictures")


def test_a_delete_takes_originals_results_and_edge_entries(
    client: FlaskClient, buckets: Buckets, config: Config, coffee: bytes
) -> None:
    key = stored(client, coffee, "bob.jpg")["key"]
    result(buckets, f"{key}/fit-in/400x400/filters:quality(90).jpg")
    result(buckets, f"{key}/200x200.avif")
    buckets.put_variant(f"m/{key}/1x1-fit.jpg", b"thumb", "image/jpeg")

    answer = client.delete("/?name=bob")

    assert answer.status_code == 200
    assert answer.json == {
        **{"status": "bob.jpg deleted", "originals": 1, "results": 2, "website": 1, "edge": 0},
        "keys": [key],
    }
    assert list(buckets.originals("o/demo/")) == []
    assert list(buckets.result_keys("o/demo/")) == []
    assert list(buckets.variant_keys("o/demo/")) == []
    assert (config.tombstones / key).is_file()


def test_a_deleted_name_is_unknown(client: FlaskClient, coffee: bytes) -> None:
    stored(client, coffee, "bob.jpg")
    client.delete("/?name=bob")

    for answer in (client.get("/?name=bob"), client.delete("/?name=bob")):
        assert answer.status_code == 404
        assert answer.json is not None
        assert answer.json["code"] == "no_such_picture"
        assert answer.json["error"].startswith("No such picture")


@pytest.mark.parametrize("other", ["bobby", "Bob", "bo", "b_ob"])
def test_a_delete_never_takes_another_name(client: FlaskClient, config: Config, coffee: bytes, other: str) -> None:
    stored(client, coffee, "bob.jpg")
    stored(client, coffee, f"{other}.jpg")

    client.delete("/", data={"name": "bob"})

    assert downloaded(config, client.get(f"/?name={other}")) == coffee


def test_a_full_file_name_deletes_that_type_only(
    client: FlaskClient, buckets: Buckets, coffee: bytes, cat: bytes
) -> None:
    stored(client, coffee, "a.jpg")
    kept = stored(client, cat, "a.png")["key"]
    result(buckets, f"{kept}/200x200.png")

    answer = client.delete("/?name=a.jpg")

    assert answer.json is not None
    assert answer.json["status"] == "a.jpg deleted"
    assert [str(key) for key in buckets.originals("o/demo/")] == [kept]
    assert list(buckets.result_keys("o/demo/")) == [f"{kept}/200x200.png"]


def test_a_broken_off_delete_is_finished_by_the_next(client: FlaskClient, buckets: Buckets, coffee: bytes) -> None:
    key = stored(client, coffee, "bob.jpg")["key"]
    result(buckets, f"{key}/200x200.jpg")
    buckets.client.delete_object(Bucket=buckets.pictures, Key=key)

    answer = client.delete("/?name=bob")

    assert answer.json is not None
    assert (answer.json["originals"], answer.json["results"]) == (0, 1)
    assert list(buckets.result_keys("o/demo/")) == []


def test_a_variant_that_outlived_its_original_goes_with_the_next_delete(
    client: FlaskClient, buckets: Buckets, config: Config, coffee: bytes
) -> None:
    key = stored(client, coffee, "bob.jpg")["key"]
    buckets.put_variant(f"m/{key}/1x1-fit.jpg", b"thumb", "image/jpeg")
    buckets.client.delete_object(Bucket=buckets.pictures, Key=key)

    answer = client.delete("/?name=bob")

    assert answer.json is not None
    assert (answer.json["originals"], answer.json["website"], answer.json["keys"]) == (0, 1, [key])
    assert list(buckets.variant_keys("o/demo/")) == []
    assert (config.tombstones / key).is_file()


def test_the_keeper_can_bring_an_original_back_and_the_public_cannot(
    client: FlaskClient, buckets: Buckets, config: Config, coffee: bytes
) -> None:
    key = stored(client, coffee, "bob.jpg")["key"]
    client.delete("/?name=bob")

    (version,) = buckets.client.list_object_versions(Bucket=buckets.pictures, Prefix=key)["Versions"]
    (marker,) = buckets.client.list_object_versions(Bucket=buckets.pictures, Prefix=key)["DeleteMarkers"]
    stranger = f"{config.s3_endpoint}/{buckets.pictures}/{key}?versionId={version['VersionId']}"
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(stranger)  # noqa: S310 - our own server
    buckets.client.delete_object(Bucket=buckets.pictures, Key=key, VersionId=marker["VersionId"])

    assert buckets.read(key) == coffee


def test_a_dry_run_only_counts(client: FlaskClient, buckets: Buckets, config: Config, coffee: bytes) -> None:
    key = stored(client, coffee, "bob.jpg")["key"]
    result(buckets, f"{key}/200x200.jpg")
    buckets.put_variant(f"m/{key}/1x1-fit.jpg", b"thumb", "image/jpeg")

    answers = [
        client.delete(path + "dry_run=1") for path in ("/?name=bob&", "/delete-all-pictures?", f"/pictures/{key}?")
    ]

    for answer in answers:
        assert answer.json is not None
        counts = [answer.json[name] for name in ("originals", "results", "website", "keys")]
        assert counts == [1, 1, 1, [key]]
        assert answer.json["status"].startswith("Nothing deleted")
    assert buckets.read(key) == coffee
    assert buckets.has_variant(f"m/{key}/1x1-fit.jpg")
    assert not (config.tombstones / key).exists()


def test_one_picture_is_deleted_by_its_key(client: FlaskClient, buckets: Buckets, coffee: bytes, cat: bytes) -> None:
    gone, kept = stored(client, coffee, "a.jpg")["key"], stored(client, cat, "a.jpg")["key"]

    assert client.delete(f"/pictures/{gone}").status_code == 200
    assert client.delete(f"/pictures/{gone}").status_code == 404
    assert client.delete(f"/pictures/{kept}", headers=KEEPER).status_code == 404
    assert [str(key) for key in buckets.originals("o/demo/")] == [kept]


def walked(client: FlaskClient, first: str) -> list[str]:
    """The keys on all pages of a list; there are three."""
    found, after = [], ""
    for _ in range(3):
        answer = client.get(f"{first}&after={after}")
        assert answer.json is not None
        found += [picture["key"] for picture in answer.json["pictures"]]
        after = answer.json["next"]
    assert after is None
    return found


def test_a_list_shows_each_picture_once(client: FlaskClient, coffee: bytes, cat: bytes) -> None:
    expected = {stored(client, body, f"{name}.jpg")["key"] for body in (coffee, cat) for name in "abc"}

    found = walked(client, "/pictures?limit=2")

    assert len(found) == 6
    assert set(found) == expected


def test_a_list_of_the_newest_begins_with_the_last_upload(client: FlaskClient, buckets: Buckets, coffee: bytes) -> None:
    # Folders in another order than times; a name that tells no time is the oldest.
    files = ("b/1763600003_0", "a/1763600002_2", "b/1763600002_1", "c/1763600002_0", "a/1763600002_0", "d/z")
    keys = [f"o/demo/{file}.jpg" for file in files]
    for key in reversed(keys):
        buckets.client.put_object(Bucket=buckets.pictures, Key=key, Body=coffee)

    assert walked(client, "/pictures?order=newest&limit=2") == keys


def test_a_listed_picture_tells_what_its_upload_told(client: FlaskClient, coffee: bytes) -> None:
    told = stored(client, coffee, "coffee.jpg")

    listed = client.get("/pictures").json
    asked = client.get(f"/pictures/{told['key']}").json

    assert listed is not None
    assert listed["pictures"] == [told] == [asked]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "order=size", "after=o/shop/a/b", "after=../x", "after=o/demo/%00"]
)
def test_a_wrong_page_is_refused(client: FlaskClient, query: str) -> None:
    assert client.get(f"/pictures?{query}").status_code == 400


def test_only_the_private_key_lists(client: FlaskClient, coffee: bytes) -> None:
    key = stored(client, coffee, "a.jpg")["key"]
    public = {"Authorization": "Bearer shop-public-0123456789"}

    assert client.get("/pictures", headers=public).status_code == 403
    assert client.get(f"/pictures/{key}", headers=public).status_code == 403
    assert client.get(f"/pictures/{key}", headers=KEEPER).status_code == 404


def test_emptying_an_app_leaves_the_others(client: FlaskClient, buckets: Buckets, coffee: bytes) -> None:
    stored(client, coffee, "a.jpg")
    stored(client, coffee, "b.jpg")
    shop = put(client, (coffee, "c.jpg"), **KEEPER)
    assert shop.json is not None

    answer = client.delete("/delete-all-pictures")

    assert answer.json is not None
    assert answer.json["status"] == "Pictures deleted"
    assert answer.json["originals"] == 2
    assert list(buckets.originals("o/demo/")) == []
    assert [str(key) for key in buckets.originals("o/shop/")] == [shop.json["pictures"][0]["key"]]
    assert client.delete("/delete-all-pictures", headers=KEEPER).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "key", "status"),
    [
        ("POST", "/", "shop-public-0123456789", 400),
        ("POST", "/", "wrong", 403),
        ("GET", "/?name=a", "shop-private-0123456789", 404),
        ("GET", "/?name=a", "shop-public-0123456789", 403),
        ("GET", "/?name=a", "wrong", 403),
        ("DELETE", "/?name=a", "shop-public-0123456789", 403),
        ("DELETE", "/delete-all-pictures", "shop-public-0123456789", 403),
        ("DELETE", "/delete-all-pictures", "wrong", 403),
    ],
)
def test_each_key_opens_what_it_may(client: FlaskClient, method: str, path: str, key: str, status: int) -> None:
    by_header = client.open(path, method=method, headers={"Authorization": f"Bearer {key}"})
    by_field = client.open(path, method=method, data={"private_api_key": key})

    assert [by_header.status_code, by_field.status_code] == [status, status]
    assert key not in by_header.text


@pytest.mark.parametrize("path", ["/", "/upload", "/publish"])
def test_a_large_json_body_is_refused_before_it_is_read_into_memory(client: FlaskClient, path: str) -> None:
    answer = client.post(path, data=b"[" + b"0," * 600_000 + b"0]", content_type="application/json")

    assert answer.status_code == 413
    assert answer.json is not None
    assert answer.json["code"] == "too_large"


def test_without_an_open_app_nothing_goes_without_a_key(config: Config) -> None:
    client = create_app(config.model_copy(update={"open_app": None})).test_client()

    assert client.post("/").status_code == 403
    assert client.get("/?name=a").status_code == 403
    assert client.delete("/delete-all-pictures").status_code == 403


def test_a_storage_that_is_away_is_a_503_that_may_be_tried_again(config: Config, coffee: bytes) -> None:
    client = create_app(config.model_copy(update={"s3_endpoint": "http://127.0.0.1:1"})).test_client()

    for answer in (put(client, (coffee, "a.jpg")), client.get("/?name=a"), client.delete("/?name=a")):
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "5"
        assert answer.json is not None
        assert answer.json["code"] == "storage_unavailable"
        assert config.pictures_bucket not in answer.text


def test_a_missing_bucket_is_a_503(config: Config, coffee: bytes) -> None:
    client = create_app(config.model_copy(update={"pictures_bucket": "no-such-bucket"})).test_client()

    answer = put(client, (coffee, "a.jpg"))

    assert answer.status_code == 503
    assert "no-such-bucket" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("PUT", "/", 405),
        ("GET", "/o/demo/Bob/x.jpg", 404),
        ("GET", "/pictures//o/demo/bob/x.jpg", 404),
    ],
)
def test_every_error_is_json(client: FlaskClient, method: str, path: str, status: int) -> None:
    answer = client.open(path, method=method)

    assert answer.status_code == status
    assert answer.json is not None
    assert set(answer.json) == {"error", "code"}


def test_a_wrong_method_is_told_the_right_ones(client: FlaskClient) -> None:
    answer = client.put("/pictures")

    assert answer.status_code == 405
    assert {"GET", "HEAD"} <= set(answer.headers["Allow"].split(", "))


def test_a_file_sent_by_a_wrong_method_is_read_to_its_end(client: FlaskClient) -> None:
    body = io.BytesIO(bytes(300_000))

    answer = client.put("/", input_stream=body, content_length=300_000)

    assert answer.status_code == 405
    assert body.read() == b""


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"name": "\\ud800", "after": "o/demo/\\ud800"}', b'{"limit": "%s"}' % (b"9" * 5000)]
)
@pytest.mark.parametrize("path", ["/", "/pictures"])
def test_strange_json_is_no_fault_of_ours(client: FlaskClient, path: str, body: bytes) -> None:
    answer = client.get(path, data=body, content_type="application/json")

    assert answer.status_code < 500


def test_the_file_name_is_kept_as_metadata(client: FlaskClient, buckets: Buckets, coffee: bytes) -> None:
    key = stored(client, coffee, "Zürich am See.jpg")["key"]

    metadata = buckets.client.head_object(Bucket=buckets.pictures, Key=key)["Metadata"]

    assert metadata["name"] == "Z%C3%BCrich am See.jpg"
    assert metadata["sha256"] == hashlib.sha256(coffee).hexdigest()
    assert (metadata["width"], metadata["height"]) == ("600", "400")


def test_an_original_is_never_overwritten(buckets: Buckets, client: FlaskClient, coffee: bytes, tmp_path: Path) -> None:
    key = PictureKey.parse(stored(client, coffee, "a.jpg")["key"])
    assert key is not None

    with pytest.raises(Exception, match="storage"):
        buckets.put(str(key), io.BytesIO(b"other"), hashlib.sha256(b"other").hexdigest(), "image/jpeg", {})

    assert buckets.client.get_object(Bucket=buckets.pictures, Key=str(key))["Body"].read() == coffee
