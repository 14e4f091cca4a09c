"""Deleted means gone: every size, every format, both buckets, at once; also when a render is under way."""

import threading

import pytest
import requests

from tests.stack.stacks import Picture, Stack

pytestmark = pytest.mark.stack

ACCEPTS = ("image/avif", "image/webp", "image/jpeg")


def test_every_url_is_gone_at_once(stack: Stack, photo: Picture) -> None:
    urls = [photo.url, *photo.urls.values(), f"{stack.url}/t/MI/u/{photo.key}"]
    for url in urls:
        for accept in ACCEPTS:
            assert requests.get(url, headers={"Accept": accept}, timeout=60).status_code == 200
    # The last result is stored a moment after its picture was answered.
    variants = len(photo.urls) * len(ACCEPTS)
    assert stack.eventually(lambda: len(stack.results(photo.key)) == variants)

    answer = requests.delete(f"{stack.url}/", params={"name": photo.name}, timeout=60).json()

    assert {
        requests.get(url, headers={"Accept": accept}, timeout=30).status_code for url in urls for accept in ACCEPTS
    } <= {
        404,
        410,
    }
    assert (answer["originals"], answer["results"]) == (1, variants)
    # Every variant under its signed URL, one under its readable one in three formats, and the original.
    assert answer["edge"] == variants + len(ACCEPTS) + 1
    assert stack.originals(photo.key) == []
    assert stack.results(photo.key) == []


def test_a_render_under_way_does_not_bring_the_picture_back(stack: Stack, large_photo: bytes) -> None:
    picture = stack.upload(large_photo, "slow.jpg")
    # Full size at AVIF takes seconds: time enough to delete in the middle of it.
    url = picture.urls["original"]
    status: list[int] = []
    render = threading.Thread(
        target=lambda: status.append(requests.get(url, headers={"Accept": "image/avif"}, timeout=120).status_code)
    )
    idle = stack.cpu_seconds("thumbor")
    render.start()
    # Thumbor has fetched the original and computes.
    assert stack.eventually(lambda: stack.cpu_seconds("thumbor") > idle + 0.3)

    deleted = requests.delete(f"{stack.url}/", params={"name": "slow"}, timeout=60)
    during = render.is_alive()
    render.join(120)

    assert deleted.status_code == 200
    assert during, "the render ended before the delete: the race was not played"
    assert requests.get(url, headers={"Accept": "image/avif"}, timeout=30).status_code in (404, 410)
    assert stack.eventually(lambda: stack.lines("thumbor", "rendered", picture.key) == 1)
    assert stack.eventually(lambda: stack.results(picture.key) == [])
    assert stack.originals(picture.key) == []


def test_a_name_can_be_used_again(stack: Stack, photo: Picture, coffee: bytes) -> None:
    requests.delete(f"{stack.url}/", params={"name": photo.name}, timeout=60)

    again = stack.upload(coffee, f"{photo.name}.jpg")

    assert requests.get(again.urls["MI"], timeout=30).status_code == 200
    assert requests.get(f"{stack.url}/", params={"name": photo.name}, timeout=30).content == coffee
