"""GET /list_files and DELETE /delete_file: an app's files as they lie in S3."""

import io
from datetime import datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.uploader.conftest import PICTURES
from thumbstack.buckets import Buckets

BOTH = {"api_key": "shop-public-0123456789", "private_api_key": "shop-private-0123456789"}


def put(buckets: Buckets, *keys: str) -> None:
    for key in keys:
        buckets.client.put_object(Bucket=PICTURES, Key=key, Body=b"12345")


def there(buckets: Buckets) -> set[str]:
    """All keys of all apps."""
    return {one.key for one in buckets.files("o/")}


@pytest.fixture(autouse=True)
def _emptied(client: FlaskClient) -> Any:
    yield
    client.delete("/delete-all-pictures", query_string=BOTH)


def listed(client: FlaskClient) -> list[dict[str, Any]]:
    answer = client.get("/list_files", query_string=BOTH)
    assert answer.status_code == 200
    assert answer.content_type == "application/json"
    assert answer.json is not None
    files: list[dict[str, Any]] = answer.json
    return files


def test_a_file_is_told_with_its_name_and_its_type(client: FlaskClient, buckets: Buckets) -> None:
    put(buckets, "o/shop/fresh/my.photo.jpg", "o/shop/fresh/My Cat Ä.PNG", "o/shop/fresh/README")

    told = {file["file_path"]: file for file in listed(client)}

    photo = told["fresh/my.photo.jpg"]
    assert (photo["name"], photo["filetype"], photo["size"]) == ("my.photo", "jpg", 5)
    assert photo["url"] == "https://pictures.example/o/shop/fresh/my.photo.jpg"
    assert datetime.fromisoformat(photo["created_at"]).tzinfo is not None
    assert (told["fresh/My Cat Ä.PNG"]["name"], told["fresh/My Cat Ä.PNG"]["filetype"]) == ("My Cat Ä", "PNG")
    assert told["fresh/My Cat Ä.PNG"]["url"] == "https://pictures.example/o/shop/fresh/My%20Cat%20%C3%84.PNG"
    assert (told["fresh/README"]["name"], told["fresh/README"]["filetype"]) == ("README", "")


def test_no_other_apps_file_is_told(client: FlaskClient, buckets: Buckets) -> None:
    put(buckets, "o/shop/a/1.jpg", "o/shop-develop/a/1.jpg", "o/sho/a/1.jpg", "incoming/shop/a/1.jpg")

    assert [file["file_path"] for file in listed(client)] == ["a/1.jpg"]
    buckets.delete_pictures(["o/shop-develop/a/1.jpg", "o/sho/a/1.jpg", "incoming/shop/a/1.jpg"])


def test_all_pages_are_told(client: FlaskClient, buckets: Buckets) -> None:
    keys = [f"o/shop/many/{number}.jpg" for number in range(5)]
    put(buckets, *keys)
    # S3 tells a thousand a page.
    events = client.application.extensions["room"].buckets.client.meta.events
    events.register("provide-client-params.s3.ListObjectsV2", lambda params, **_: params | {"MaxKeys": 2})

    assert [f"o/shop/{file['file_path']}" for file in listed(client)] == keys


def test_nothing_there_is_an_empty_list(client: FlaskClient) -> None:
    assert listed(client) == []


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"api_key": "shop-public-0123456789"},
        {"api_key": "shop-public-0123456789", "private_api_key": "wrong"},
        {"api_key": "club-public-0123456789", "private_api_key": "shop-private-0123456789"},
    ],
)
def test_both_need_the_private_key(client: FlaskClient, buckets: Buckets, keys: dict[str, str]) -> None:
    put(buckets, "o/shop/a/1.jpg")

    for answer in (
        client.get("/list_files", query_string=keys or {"api_key": "nope"}),
        client.delete("/delete_file", query_string={"file_path": "a/1.jpg", **(keys or {"api_key": "nope"})}),
    ):
        assert answer.status_code == 403
        assert "0123456789" not in answer.text
    assert "o/shop/a/1.jpg" in there(buckets)


@pytest.mark.parametrize(
    "path", ["cat/1.jpg", "fresh/My Cat Ä.PNG", "fresh/100%.png", "fresh/a+b&c.png", "fresh/sub/dir/x.png", "x.png"]
)
def test_a_file_is_deleted_by_its_path_and_no_other(client: FlaskClient, buckets: Buckets, path: str) -> None:
    others = {"o/shop/cat/2.jpg", "o/shop/fresh/x.png", "o/shop-develop/cat/1.jpg"}
    put(buckets, f"o/shop/{path}", *others)

    answers = [client.delete("/delete_file", query_string={"file_path": path, **BOTH}) for _ in range(2)]

    # What is not there any more is as good.
    assert [(answer.status_code, answer.data) for answer in answers] == [(204, b""), (204, b"")]
    assert there(buckets) & {f"o/shop/{path}", *others} == others
    buckets.delete_pictures(["o/shop-develop/cat/1.jpg"])


@pytest.mark.parametrize("path", ["fresh/a%00.png", "fresh/%2e%2e%2fx.png", "fresh/%2e%2e/x.png", "%252e%252e"])
def test_what_might_mean_another_place_is_deleted_only_where_it_is_listed(
    client: FlaskClient, buckets: Buckets, path: str
) -> None:
    others = {"o/shop/x.png", "o/shop/fresh/a", f"o/shop/{path}.png"}
    put(buckets, f"o/shop/{path}", *others)

    asked = [{"file_path": path, "dry_run": "1"}, {"file_path": path}, {"file_path": path}]
    answers = [client.delete("/delete_file", query_string={**fields, **BOTH}).status_code for fields in asked]

    assert answers == [204, 204, 400]
    assert there(buckets) & {f"o/shop/{path}", *others} == others


@pytest.mark.parametrize("path", [["a/1.jpg"], {"a/1.jpg": 1}])
def test_a_list_of_paths_is_refused(client: FlaskClient, buckets: Buckets, path: object) -> None:
    put(buckets, "o/shop/a/1.jpg")

    answer = client.delete("/delete_file", json={"file_path": path, **BOTH})

    assert answer.status_code == 400
    assert "o/shop/a/1.jpg" in there(buckets)


def test_it_is_the_same_delete_as_everywhere(config: Any, client: FlaskClient, buckets: Buckets, cat: bytes) -> None:
    uploaded = client.post("/", data={"file": (io.BytesIO(cat), "cat.png"), **BOTH}).json
    assert uploaded is not None
    key = uploaded["pictures"][0]["key"]
    result = f"{key}/fit-in/400x400.webp"
    buckets.client.put_object(Bucket=buckets.results, Key=result, Body=b"result")

    client.delete("/delete_file", data={"file_path": key.removeprefix("o/shop/"), **BOTH})

    assert list(buckets.result_keys(f"{key}/")) == []
    assert (config.tombstones / key).exists()


def test_a_dry_run_deletes_nothing(client: FlaskClient, buckets: Buckets) -> None:
    put(buckets, "o/shop/a/1.jpg", "o/shop/a/A.jpg")

    for path in ("a/1.jpg", "a/A.jpg"):
        answer = client.delete("/delete_file", query_string={"file_path": path, "dry_run": "1", **BOTH})
        assert answer.status_code == 204
    assert there(buckets) >= {"o/shop/a/1.jpg", "o/shop/a/A.jpg"}


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        ".",
        "..",
        "../club/a/1.jpg",
        "../shop-develop/a/1.jpg",
        "a/../../club/a/1.jpg",
        "..%2fclub%2fa%2f1.jpg",
        "%2e%2e/club/a/1.jpg",
        "%252e%252e/club/a/1.jpg",
        "a%2F1.jpg",
        "..\\club\\a\\1.jpg",
        "/club/a/1.jpg",
        "//club/a/1.jpg",
        "a/",
        "a/1.jpg/",
        "a//1.jpg",
        "./a/1.jpg",
        "a/./1.jpg",
        "a/1.jpg\x00",
        "a/1.jpg\n",
        "x" * 1100,
        "a\\1.jpg",
        "%2e%2e/../a/1.jpg",
        "a//%2e",
    ],
)
def test_a_hostile_path_deletes_nothing(client: FlaskClient, buckets: Buckets, path: str) -> None:
    mine = {"o/shop/a/1.jpg", "o/shop/a/2.jpg"}
    others = {"o/club/a/1.jpg", "o/shop-develop/a/1.jpg"}
    put(buckets, *mine, *others)

    answer = client.delete("/delete_file", query_string={"file_path": path, **BOTH})

    assert answer.status_code == 400
    assert there(buckets) >= mine | others
    buckets.delete_pictures(others)


@pytest.mark.parametrize("path", ["a", "a/1", "o/shop/a/1.jpg", "club/a/1.jpg", "1.jpg", "A/1.jpg", "*", "a/*"])
def test_what_is_no_files_path_deletes_nothing(client: FlaskClient, buckets: Buckets, path: str) -> None:
    keys = {"o/shop/a/1.jpg", "o/shop/a/2.jpg", "o/club/a/1.jpg"}
    put(buckets, *keys)

    answer = client.delete("/delete_file", query_string={"file_path": path, **BOTH})

    assert answer.status_code == 204
    assert there(buckets) >= keys
    buckets.delete_pictures(["o/club/a/1.jpg"])


def test_a_delete_of_everything_takes_what_is_called_like_no_picture_too(client: FlaskClient, buckets: Buckets) -> None:
    strays = [
        "o/shop/fresh/My Cat.PNG",
        "o/shop/fresh/a%2Fb.png",
        "incoming/shop/fresh/My Cat.PNG",
        # Whoever has a ticket for a folder may call his file so, and S3's XML cannot.
        "o/shop/fresh/a\x01b.png",
        "o/shop/fresh/a\nb.png",
        "o/shop/fresh/a\ufffeb.png",
    ]
    put(buckets, *strays, "o/shop-develop/fresh/My Cat.PNG")

    told = client.delete("/delete-all-pictures", query_string=BOTH).json

    assert told is not None
    assert (told["originals"], told["keys"]) == (len(strays), [])
    assert not set(strays) & {*there(buckets), *(one.key for one in buckets.files("incoming/"))}
    assert "o/shop-develop/fresh/My Cat.PNG" in there(buckets)
    buckets.delete_pictures(["o/shop-develop/fresh/My Cat.PNG"])
