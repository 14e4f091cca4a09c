"""Pictures on the fly: the size asked, the right format, rendered once and kept."""

import io
import itertools
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import requests
import skimage.data
from PIL import Image

from tests.stack.stacks import Picture, Stack

pytestmark = pytest.mark.stack

FORMATS = {"image/avif": "AVIF", "image/webp": "WEBP", "image/jpeg": "JPEG"}


def size(answer: requests.Response) -> tuple[int, int]:
    """Width and height of a picture answer."""
    assert answer.status_code == 200, answer.text
    with Image.open(io.BytesIO(answer.content)) as image:
        return image.size


def asked_of_thumbor(stack: Stack, picture: Picture) -> int:
    """How often Thumbor was asked for a picture: it logs a line a moment after each answer."""

    def lines() -> int:
        return stack.lines("thumbor", "rendered", picture.key) + stack.lines("thumbor", "result hit", picture.key)

    assert stack.eventually(lines)
    time.sleep(1)  # a second line would be there by then
    return lines()


def test_the_size_asked_is_given(photo: Picture) -> None:
    assert size(requests.get(photo.urls["MI"], timeout=30)) == (400, 267)
    assert size(requests.get(photo.urls["SI"], timeout=30)) == (200, 200)
    # BI never enlarges.
    assert size(requests.get(photo.urls["BI"], timeout=30)) == (600, 400)


def test_any_size_of_ones_own_picture_can_be_signed(stack: Stack, photo: Picture) -> None:
    answer = requests.post(
        f"{stack.url}/sign", json={"key": photo.key, "options": "300x200/smart", "widths": [150, 300]}, timeout=30
    ).json()

    assert size(requests.get(answer["url"], timeout=30)) == (300, 200)
    for part in answer["srcset"].split(", "):
        url, width = part.split()
        assert size(requests.get(url, timeout=30))[0] == int(width.removesuffix("w"))


def test_a_smart_crop_keeps_the_face(stack: Stack) -> None:
    astronaut = Image.fromarray(skimage.data.astronaut())  # type: ignore[no-untyped-call]
    body = io.BytesIO()
    astronaut.save(body, "JPEG", quality=90)
    picture = stack.upload(body.getvalue(), "astronaut.jpg")
    fields = {"key": picture.key, "options": "512x150/smart/filters:format(png)"}

    shown = requests.get(requests.post(f"{stack.url}/sign", json=fields, timeout=30).json()["url"], timeout=30)

    with Image.open(io.BytesIO(shown.content)) as image:
        part = np.asarray(image.convert("RGB"), dtype=float)
    pixels = np.asarray(astronaut, dtype=float)
    first = int(np.argmin([np.abs(pixels[row : row + 150] - part).mean() for row in range(363)]))
    # The face is in rows 65 to 162, the middle begins at 181.
    assert first <= 65
    assert first + 150 >= 162


def test_the_second_request_is_the_edges_alone(stack: Stack, photo: Picture) -> None:
    first = requests.get(photo.urls["MI"], timeout=30)
    second = requests.get(photo.urls["MI"], timeout=30)

    assert [first.headers["X-Cache"], second.headers["X-Cache"]] == ["MISS", "HIT"]
    assert second.content == first.content
    assert asked_of_thumbor(stack, photo) == 1


def test_an_empty_edge_finds_the_result_without_a_render(stack: Stack, photo: Picture) -> None:
    first = requests.get(photo.urls["MI"], timeout=30)
    assert stack.eventually(lambda: stack.lines("thumbor", "rendered", photo.key) == 1)

    stack.empty_edge()
    second = requests.get(photo.urls["MI"], timeout=30)

    assert second.headers["X-Cache"] == "MISS"
    assert second.content == first.content
    assert stack.eventually(lambda: stack.lines("thumbor", "result hit", photo.key) == 1)
    assert stack.lines("thumbor", "rendered", photo.key) == 1


def test_a_cached_picture_answers_304(stack: Stack, photo: Picture) -> None:
    first = requests.get(photo.urls["SI"], timeout=30)
    second = requests.get(photo.urls["SI"], headers={"If-None-Match": first.headers["ETag"]}, timeout=30)

    assert second.status_code == 304
    assert second.content == b""
    assert asked_of_thumbor(stack, photo) == 1


def test_a_hundred_identical_misses_are_one_render(stack: Stack, photo: Picture) -> None:
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda url: requests.get(url, timeout=60), [photo.urls["hero"]] * 100))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert stack.eventually(lambda: stack.lines("thumbor", "rendered", photo.key) == 1)
    assert stack.lines("thumbor", "result hit", photo.key) == 0


@pytest.mark.parametrize("order", list(itertools.permutations(FORMATS)), ids=lambda order: ",".join(order))
def test_each_client_gets_the_format_that_it_takes(photo: Picture, order: tuple[str, ...]) -> None:
    for _ in range(2):
        for accept in order:
            answer = requests.get(photo.urls["MI"], headers={"Accept": accept}, timeout=30)
            assert answer.headers["Content-Type"] == accept
            with Image.open(io.BytesIO(answer.content)) as image:
                assert image.format == FORMATS[accept]
            assert answer.headers["Vary"] == "Accept"


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        ("image/avif,image/webp,*/*", "image/avif"),
        ("image/webp,image/jpeg", "image/webp"),
        ("*/*", "image/jpeg"),
        ("image/avif;q=0,image/webp", "image/webp"),
        (None, "image/jpeg"),
    ],
)
def test_what_browsers_send_is_understood(photo: Picture, accept: str | None, given: str) -> None:
    answer = requests.get(photo.urls["MI"], headers={"Accept": accept}, timeout=30)

    assert answer.headers["Content-Type"] == given


def test_a_readable_url_serves_presets_only(stack: Stack, photo: Picture) -> None:
    by_name = requests.get(f"{stack.url}/t/MI/u/{photo.key}", timeout=30)
    by_options = requests.get(f"{stack.url}/t/fit-in/400x400/filters:quality(90)/u/{photo.key}?v=1", timeout=30)
    other = requests.get(f"{stack.url}/t/fit-in/401x401/u/{photo.key}", timeout=30)

    assert size(by_name) == size(by_options) == (400, 267)
    assert other.status_code == 403
    assert "MI" not in other.text


def test_a_url_that_was_touched_is_refused(photo: Picture) -> None:
    touched = photo.urls["MI"].replace("400x400", "401x400")

    assert touched != photo.urls["MI"]
    assert 400 <= requests.get(touched, timeout=30).status_code < 500


def test_the_signature_of_one_picture_opens_no_other(stack: Stack, photo: Picture, cat: bytes) -> None:
    other = stack.upload(cat, "other.png")
    stolen = photo.urls["MI"].replace(photo.key, other.key)

    assert 400 <= requests.get(stolen, timeout=30).status_code < 500


@pytest.mark.parametrize(
    "path",
    [
        "/unsafe/300x200/{key}",
        "/unsafe/{key}",
        "/300x200/{key}",
        "/{signature}/300x200/http://127.0.0.1:1/o/demo/a/b.jpg",
        "/{signature}/300x200/127.0.0.1:1/{key}",
        "/{signature}/300x200/o/demo/../../{key}",
        "/{signature}/300x200/o%2Fdemo%2Fa%2Fb.jpg",
        "/{signature}/meta/{key}?callback=x",
        "/t/filters:watermark(http://127.0.0.1:1/o/demo/a/b.jpg)/u/{key}",
        "/o/demo/none/1763600000_0123456789abcdef.jpg",
        "/o/demo/..%2f..%2fx",
        "/_s3/thumbstack-pictures/{key}",
        "/_thumbor/{signature}/300x200/{key}",
    ],
)
def test_strangers_get_no_picture_and_no_server_error(stack: Stack, photo: Picture, path: str) -> None:
    url = stack.url + path.format(key=photo.key, signature="A" * 27 + "=")
    prepared = requests.Request("GET", url).prepare()
    prepared.url = url  # as it stands, dots and all

    answer = requests.Session().send(prepared, timeout=30)

    assert 400 <= answer.status_code < 500
    assert answer.headers["Content-Type"] == "application/json"
    assert set(answer.json()) >= {"error", "code"}


def test_an_original_is_public_by_its_url_and_its_bucket_is_not(stack: Stack, photo: Picture, coffee: bytes) -> None:
    through_the_edge = requests.get(photo.url, timeout=30)
    straight = requests.get(f"{stack.s3_endpoint}/{stack.pictures_bucket}/{photo.key}", timeout=30)

    assert through_the_edge.content == coffee
    assert through_the_edge.headers["Content-Type"] == "image/jpeg"
    assert through_the_edge.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert straight.status_code == 403


def test_a_part_of_an_original_can_be_asked(photo: Picture, coffee: bytes) -> None:
    for _ in range(2):
        answer = requests.get(photo.url, headers={"Range": "bytes=10-19"}, timeout=30)

        assert answer.status_code == 206
        assert answer.content == coffee[10:20]


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_phones_photo_stands_upright(stack: Stack, orientation: int) -> None:
    image = Image.new("RGB", (400, 200), "red")
    exif = Image.Exif()
    exif[0x0112] = orientation
    body = io.BytesIO()
    image.save(body, "JPEG", exif=exif)
    picture = stack.upload(body.getvalue(), f"phone-{orientation}.jpg")

    shown = size(requests.get(picture.urls["MI"], timeout=30))

    assert shown == ((400, 200) if orientation == 3 else (200, 400))


def test_a_missing_picture_is_404_and_not_kept_long(stack: Stack, photo: Picture) -> None:
    missing = photo.key.replace(photo.key.rpartition("/")[2], "1763600000_0123456789abcdef.jpg")
    for url in (f"{stack.url}/t/MI/u/{missing}", f"{stack.url}/{missing}"):
        answer = requests.get(url, timeout=30)

        assert answer.status_code == 404
        assert answer.headers["Cache-Control"] == "public, max-age=5"


def test_a_srcset_has_the_widths_that_it_says_also_of_a_tall_picture(stack: Stack) -> None:
    body = io.BytesIO()
    Image.new("RGB", (400, 800), "teal").save(body, "PNG")
    tall = stack.upload(body.getvalue(), "tall.png")

    for options in ("fit-in/300x300", "200x100/smart", "full-fit-in/50x300", ""):
        fields = {"key": tall.key, "options": options, "widths": [100, 300]}
        srcset = requests.post(f"{stack.url}/sign", json=fields, timeout=30).json()["srcset"]
        shown = {width: size(requests.get(url, timeout=30))[0] for url, width in map(str.split, srcset.split(", "))}
        assert shown == {"100w": 100, "300w": 300}


@pytest.mark.parametrize("declared", ["binary/octet-stream", "application/octet-stream", "text/html"])
def test_the_type_is_right_though_the_object_has_another_or_none(stack: Stack, coffee: bytes, declared: str) -> None:
    key = f"o/demo/bare/1763600000_{declared.replace('/', '-')}.jpeg"
    stack.s3().put_object(Bucket=stack.pictures_bucket, Key=key, Body=coffee, ContentType=declared)

    for path in (key, f"t/MI/u/{key}"):
        answer = requests.get(f"{stack.url}/{path}", timeout=30)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/jpeg")


def test_what_cannot_be_rendered_is_told_and_not_kept_long(stack: Stack) -> None:
    key = "o/demo/bare/1763600000_broken.jpg"
    stack.s3().put_object(Bucket=stack.pictures_bucket, Key=key, Body=b"\xff\xd8\xff\xe0 no picture")
    fields = {"key": key, "preset": "MI"}
    signed, link = (
        requests.post(f"{stack.url}/sign", json={**fields, **more}, timeout=30).json()["url"]
        for more in ({}, {"expires": 60})
    )

    for url in (f"{stack.url}/t/MI/u/{key}", signed, link):
        answer = requests.get(url, timeout=30)
        assert answer.status_code >= 400
        assert set(answer.json()) == {"error", "code"}
        assert "immutable" not in answer.headers["Cache-Control"]
        assert "Expires" not in answer.headers


@pytest.mark.parametrize(
    "text",
    [
        "brightness(40)",
        "contrast(40)",
        "rgb(20,-20,40)",
        "round_corner(100,255,255,255)",
        "quality(20)",
        "noise(200)",
        "grayscale()",
        "watermark({key},-10,-10,50)",
        "watermark({key},10p,center,50,20,none)",
    ],
)
@pytest.mark.parametrize("encoded", [False, True], ids=["plain", "encoded"])
def test_a_filter_changes_the_picture_in_either_spelling(
    stack: Stack, photo: Picture, text: str, encoded: bool
) -> None:
    def asked(options: str) -> bytes:
        fields = {"key": photo.key, "options": options}
        url = requests.post(f"{stack.url}/sign", json=fields, timeout=30).json()["url"]
        if encoded:
            url = url.replace("(", "%28").replace(")", "%29").replace(",", "%2C")
        answer = requests.get(url, timeout=30)
        assert answer.status_code == 200
        return answer.content

    assert asked(f"90x60/filters:{text.format(key=photo.key)}") != asked("90x60")
