"""Pictures by age: read anew for the first page, remembered for a minute for those behind it."""

import pytest
from flask.testing import FlaskClient

from thumbstack.buckets import Buckets
from thumbstack.picture_key import PictureKey
from uploader.newest import Newest

KEYS = [f"o/demo/{folder}/176360000{seconds}_0.jpg" for folder, seconds in zip("bacd", range(4), strict=True)]


@pytest.fixture
def lists(client: FlaskClient, buckets: Buckets) -> list[str]:
    """Four pictures, and the list calls that S3 is sent from now on. (`client` takes the pictures away.)"""
    for key in KEYS:
        buckets.client.put_object(Bucket=buckets.pictures, Key=key, Body=b"x")
    sent: list[str] = []
    buckets.client.meta.events.register("before-call.s3.ListObjectsV2", lambda **_: sent.append("list"))
    return sent


def told(pictures: list[PictureKey]) -> list[str]:
    return [str(picture) for picture in pictures]


def test_the_pages_behind_the_first_take_no_list_for_a_minute(buckets: Buckets, lists: list[str]) -> None:
    now = 0.0
    newest = Newest(buckets, now=lambda: now)

    assert told(newest.page("demo", None, 2)) == [KEYS[3], KEYS[2]]
    now = 60.0
    assert told(newest.page("demo", PictureKey.parse(KEYS[2]), 2)) == [KEYS[1], KEYS[0]]
    assert newest.page("demo", PictureKey.parse(KEYS[0]), 2) == []
    assert len(lists) == 1

    now = 61.0
    assert told(newest.page("demo", PictureKey.parse(KEYS[1]), 2)) == [KEYS[0]]
    assert len(lists) == 2


def test_the_first_page_is_always_read_anew(buckets: Buckets, lists: list[str]) -> None:
    newest = Newest(buckets, now=lambda: 0.0)
    newest.page("demo", None, 2)

    buckets.client.put_object(Bucket=buckets.pictures, Key="o/demo/a/1763600009_0.jpg", Body=b"x")

    assert told(newest.page("demo", None, 1)) == ["o/demo/a/1763600009_0.jpg"]


def test_what_is_remembered_is_one_apps(buckets: Buckets, lists: list[str]) -> None:
    newest = Newest(buckets, now=lambda: 0.0)
    newest.page("demo", None, 2)

    assert newest.page("shop", PictureKey.parse("o/shop/z/1763600009_0.jpg"), 2) == []
    assert told(newest.page("demo", PictureKey.parse(KEYS[1]), 2)) == [KEYS[0]]
    assert len(lists) == 3


def test_no_more_is_remembered_of_a_large_app_than_a_piece(buckets: Buckets, lists: list[str]) -> None:
    newest = Newest(buckets, now=lambda: 0.0, most=2)

    assert told(newest.page("demo", None, 1)) == [KEYS[3]]
    assert told(newest.page("demo", PictureKey.parse(KEYS[3]), 1)) == [KEYS[2]]
    assert len(lists) == 1
    # Behind the piece the next one is read; it does not know what is newer.
    assert told(newest.page("demo", PictureKey.parse(KEYS[2]), 2)) == [KEYS[1], KEYS[0]]
    assert told(newest.page("demo", PictureKey.parse(KEYS[1]), 1)) == [KEYS[0]]
    assert len(lists) == 2
    assert told(newest.page("demo", PictureKey.parse(KEYS[3]), 1)) == [KEYS[2]]
    assert len(lists) == 3
