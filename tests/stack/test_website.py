"""Variants on the website bucket: made when they are missed, then the bucket's; the 404 redirect from end to end."""

import io
import itertools
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import requests
from PIL import Image

from tests.stack.stacks import Picture, Stack

pytestmark = pytest.mark.stack

_names = (f"website-{number}" for number in itertools.count())


def address(stack: Stack, picture: Picture, resize: str) -> str:
    """The signed address of a variant, on the website."""
    answer = requests.post(f"{stack.url}/sign", data={"key": picture.key, "resize": resize}, timeout=30)
    assert answer.status_code == 200, answer.text
    url: str = answer.json()["url"]
    return url


def made_at(url: str) -> str:
    """The same variant's address on this service, to which the website sends who misses it."""
    return url.replace("/website/m/", "/m/")


def shown(answer: requests.Response) -> Image.Image:
    """The picture of an answer."""
    assert answer.status_code == 200, answer.text
    image = Image.open(io.BytesIO(answer.content))
    image.load()
    return image


def upload(stack: Stack, image: Image.Image, extension: str, **how: object) -> Picture:
    """A picture under a name of its own."""
    body = io.BytesIO()
    image.save(body, {"jpg": "JPEG"}.get(extension, extension), **how)
    return stack.upload(body.getvalue(), f"{next(_names)}.{extension}")


@pytest.fixture(scope="module")
def tall(stack: Stack) -> Picture:
    """The size of the table's picture: 248x768, the middle of it in red."""
    pixels = np.full((768, 248, 3), 200, np.uint8)
    pixels[334:434, 99:149] = (255, 0, 0)
    return upload(stack, Image.fromarray(pixels), "jpg", quality=95)


@pytest.fixture(scope="module")
def animation(stack: Stack) -> Picture:
    """A GIF of three frames, 300x200, the first in red."""
    first, *more = (Image.new("RGB", (300, 200), colour) for colour in ("red", "green", "blue"))
    return upload(stack, first, "gif", save_all=True, append_images=more, duration=200)


def hops(url: str) -> list[tuple[str, dict[str, str]]]:
    """What `curl -IL` sees: the status and the headers of each answer."""
    told = subprocess.run(["curl", "-sSIL", url], check=True, capture_output=True, text=True, timeout=60).stdout
    found = []
    for block in told.replace("\r", "").strip().split("\n\n"):
        line, *headers = block.splitlines()
        found.append((line.split()[1], {name.lower(): value for name, value in (h.split(": ", 1) for h in headers)}))
    return found


@pytest.mark.usefixtures("curl")
def test_a_missing_variant_is_made_on_the_way_and_found_from_then_on(stack: Stack, photo: Picture) -> None:
    url = address(stack, photo, "100x200-fill-80-upscale.jpg")

    first, second = hops(url), hops(url)

    assert [status for status, _ in first] == ["302", "302", "200"]
    assert [status for status, _ in second] == ["200"]
    # Whoever kept one of the two would go in circles.
    assert [headers["cache-control"] for _, headers in first[:2]] == ["no-store"] * 2
    assert first[0][1]["location"] == made_at(url).removeprefix(stack.url)
    assert first[1][1]["location"] == url
    assert shown(requests.get(url, timeout=30)).size == (100, 200)


def test_a_variant_that_is_there_is_only_pointed_to(stack: Stack, photo: Picture) -> None:
    url = made_at(address(stack, photo, "90x90-fill-80-upscale.jpg"))

    answers = [requests.get(url, timeout=60, allow_redirects=False) for _ in range(3)]

    assert [(answer.status_code, answer.headers["Cache-Control"]) for answer in answers] == [(302, "no-store")] * 3
    assert stack.eventually(lambda: stack.lines("thumbor", "rendered", photo.key) == 1)
    assert stack.lines("thumbor", "result hit", photo.key) == 0


def test_the_object_says_what_it_is_and_everybody_reads_it_and_nothing_else(stack: Stack, photo: Picture) -> None:
    url = address(stack, photo, "80x60-fill-70-upscale.webp")
    requests.get(url, timeout=60)
    (key,) = stack.variants(photo.key)

    head = stack.s3().head_object(Bucket=stack.website_bucket, Key=key)
    bucket = f"{stack.s3_endpoint}/{stack.website_bucket}"

    assert url == f"{stack.url}/website/{key}"
    assert (head["ContentType"], head["CacheControl"]) == ("image/webp", "public, max-age=31536000, immutable")
    assert shown(requests.get(f"{bucket}/{key}", timeout=30)).format == "WEBP"
    assert requests.get(f"{bucket}/", timeout=30).status_code == 403
    assert requests.put(f"{bucket}/m/o/x", data=b"x", timeout=30).status_code == 403
    assert requests.delete(f"{bucket}/{key}", timeout=30).status_code == 403


# The table of the service that these addresses come from: a picture of 248x768.
@pytest.mark.parametrize(
    ("resize", "size"),
    [
        ("3000x1000-fit-60-noupscale", (248, 768)),
        ("300x500-fit-60-noupscale", (161, 500)),
        ("200x300-fit-60-noupscale", (96, 300)),
        ("300x900-fit-60-upscale", (290, 900)),
        ("300x500-fit-60-upscale", (161, 500)),
        ("200x300-fit-60-upscale", (96, 300)),
        ("2000x3000-fill-60-noupscale", (248, 768)),
        ("150x900-fill-60-noupscale", (150, 768)),
        ("200x100-fill-60-noupscale", (200, 100)),
        ("300x1000-fill-60-upscale", (300, 1000)),
        ("200x1500-fill-60-upscale", (200, 1500)),
        ("200x300-fill-60-upscale", (200, 300)),
    ],
)
def test_the_sizes_are_those_of_the_table(stack: Stack, tall: Picture, resize: str, size: tuple[int, int]) -> None:
    assert shown(requests.get(address(stack, tall, resize), timeout=60)).size == size


def test_fit_fits_also_where_the_other_side_binds(stack: Stack) -> None:
    picture = upload(stack, Image.new("RGB", (1000, 900), "navy"), "png")

    assert shown(requests.get(address(stack, picture, "500x100-fit-80-noupscale.jpg"), timeout=60)).size == (111, 100)


@pytest.mark.parametrize(
    ("resize", "size"),
    [("50x100-50x100-95", (50, 100)), ("100x200-50x100-95", (100, 200)), ("100x200-50x100-95-noupscale", (50, 100))],
)
def test_a_sample_is_the_middle_scaled(stack: Stack, tall: Picture, resize: str, size: tuple[int, int]) -> None:
    image = shown(requests.get(address(stack, tall, f"{resize}.png"), timeout=60)).convert("RGB")

    assert image.size == size
    # Nothing but the red middle.
    assert np.asarray(image)[..., 1].max() < 120


def test_less_quality_is_fewer_bytes_and_any_format_can_be_asked(stack: Stack, photo: Picture) -> None:
    def body(resize: str) -> bytes:
        return requests.get(address(stack, photo, resize), timeout=60).content

    assert len(body("300x200-fill-30.jpg")) < len(body("300x200-fill-90.jpg")) < len(body("300x200-fill-100.jpg"))
    for extension, format_ in (("png", "PNG"), ("gif", "GIF"), ("webp", "WEBP"), ("avif", "AVIF"), ("jpeg", "JPEG")):
        assert Image.open(io.BytesIO(body(f"300x200-fill-80.{extension}"))).format == format_


def test_an_animation_stays_one_but_in_another_format(stack: Stack, animation: Picture) -> None:
    moving = shown(requests.get(address(stack, animation, "100x100-fill-80.gif"), timeout=60))
    still = shown(requests.get(address(stack, animation, "100x100-fill-80.jpg"), timeout=60))

    assert (moving.format, moving.size, getattr(moving, "n_frames", 1)) == ("GIF", (100, 100), 3)
    assert (still.format, still.size) == ("JPEG", (100, 100))
    red, green, _ = np.asarray(still.convert("RGB")).mean(axis=(0, 1))
    assert (red > 200, green < 50) == (True, True)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_phones_photo_stands_upright(stack: Stack, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    # Unicode in an ASCII tag, as phones write it.
    exif[0x010E] = "Straße – 日本"
    picture = upload(stack, Image.new("RGB", (400, 200), "red"), "jpg", exif=exif)

    image = shown(requests.get(address(stack, picture, "100x100-fit-80-noupscale.jpg"), timeout=60))

    assert image.size == ((100, 50) if orientation == 3 else (50, 100))


@pytest.mark.parametrize("extension", ["svg", "tiff"])
def test_what_no_page_shows_is_shown_in_any_format(stack: Stack, extension: str) -> None:
    if extension == "svg":
        body = b"<svg xmlns='http://www.w3.org/2000/svg' width='60' height='40'/>"
        picture = stack.upload(body, f"{next(_names)}.svg")
    else:
        picture = upload(stack, Image.new("RGB", (60, 40), "teal"), extension)

    for resize, format_, size in (
        ("30x30-fit-80.webp", "WEBP", (30, 20)),
        ("30x20-fill-80.jpg", "JPEG", (30, 20)),
        ("90x90-fit-80-noupscale.png", "PNG", (60, 40)),
        ("90x90-fit-80-upscale.png", "PNG", (90, 60)),
    ):
        image = shown(requests.get(address(stack, picture, resize), timeout=60))
        assert (image.format, image.size) == (format_, size)


def test_a_picture_that_nobody_has_inspected_is_measured_first(stack: Stack, coffee: bytes) -> None:
    # As a browser leaves it that uploads straight to S3; and its name is not what it is.
    picture = Picture("direct", "o/demo/direct/photo-1.v2.png", "", {})
    stack.s3().put_object(Bucket=stack.pictures_bucket, Key=picture.key, Body=coffee)

    for resize, format_, size in (("90x90-fit-80.jpg", "JPEG", (90, 60)), ("90x90-fill-80.png", "PNG", (90, 90))):
        image = shown(requests.get(address(stack, picture, resize), timeout=60))
        assert (image.format, image.size) == (format_, size)


@pytest.mark.parametrize("change", [("100x200", "101x200"), (".jpg/", ".jpg/x"), ("-80-", "-90-"), ("fill", "fit")])
def test_a_changed_address_is_404_and_writes_nothing(stack: Stack, photo: Picture, change: tuple[str, str]) -> None:
    url = address(stack, photo, "100x200-fill-80-upscale.jpg").replace(*change)

    answers = [requests.get(url, timeout=30), requests.get(made_at(url), timeout=30)]

    assert [(answer.status_code, answer.json()["error"][:15]) for answer in answers] == [(404, "No such picture")] * 2
    assert stack.variants(photo.key) == []


@pytest.mark.parametrize(
    "path",
    [
        "/website/",
        "/website/m/",
        "/website/{key}",
        "/website/m/{key}",
        "/website/m/{key}/",
        "/website/m/{key}/../x.jpg",
        "/website/m/{key}/%2e%2e%2f%2e%2e/x.jpg",
        "/website/../{key}/x",
        "/website/m/{key}/a/b.jpg",
        "/m/",
        "/m/{key}",
        "/m/{key}/x.jpg",
        "/m/{key}/100x200-fill-80-upscale-00000000000000000000000000000000.jpg",
        "/m/{key}/100X200-fill-80-upscale-00000000000000000000000000000000.JPG",
        "/_variant/m/{key}/100x200-fill-80-upscale-00000000000000000000000000000000.jpg",
        "/_website/thumbstack-pictures/{key}",
    ],
)
def test_nothing_else_is_there(stack: Stack, photo: Picture, path: str) -> None:
    url = stack.url + path.format(key=photo.key)
    prepared = requests.Request("GET", url).prepare()
    prepared.url = url  # as it stands, dots and all

    answer = requests.Session().send(prepared, timeout=30)

    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/json")
    assert stack.variants(photo.key) == []


def test_a_picture_that_is_not_there_is_404(stack: Stack, photo: Picture) -> None:
    nobody = Picture("", photo.key.rpartition("/")[0] + "/1763600000_0123456789abcdef.jpg", "", {})

    answer = requests.get(address(stack, nobody, "100x200-fill"), timeout=30)

    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_picture")
    assert stack.variants(nobody.key) == []


def test_a_hundred_first_requests_are_one_render_and_one_object(stack: Stack, photo: Picture) -> None:
    url = address(stack, photo, "333x222-fill-80-upscale.jpg")
    start = threading.Barrier(100)

    def ask(_: int) -> tuple[int, bytes]:
        start.wait(60)
        answer = requests.get(url, timeout=120)
        return answer.status_code, answer.content

    with ThreadPoolExecutor(100) as pool:
        answers = set(pool.map(ask, range(100)))

    assert [status for status, _ in answers] == [200]
    assert stack.eventually(lambda: stack.lines("thumbor", "rendered", photo.key) == 1)
    assert stack.lines("thumbor", "result hit", photo.key) == 0
    assert len(stack.variants(photo.key)) == 1


@pytest.mark.usefixtures("curl")
def test_what_was_cleared_away_is_made_again(stack: Stack, photo: Picture) -> None:
    url = address(stack, photo, "70x70-fill-80-upscale.jpg")
    before = requests.get(url, timeout=60).content
    s3 = stack.s3()
    # The result is stored a moment after its picture was answered.
    assert stack.eventually(lambda: stack.results(photo.key))
    for bucket, keys in (
        (stack.website_bucket, stack.variants(photo.key)),
        (stack.results_bucket, stack.results(photo.key)),
    ):
        for key in keys:
            s3.delete_object(Bucket=bucket, Key=key)
    stack.empty_edge()

    assert [status for status, _ in hops(url)] == ["302", "302", "200"]
    assert requests.get(url, timeout=30).content == before
    assert stack.lines("thumbor", "rendered", photo.key) == 2


def test_a_name_in_any_case_is_found_in_lower_case(stack: Stack, coffee: bytes) -> None:
    picture = stack.upload(coffee, "MiXeD.JPG")
    url = address(stack, picture, "70X50-FILL-80-UPSCALE.JPG")

    assert url.removeprefix(stack.url) == url.removeprefix(stack.url).lower()
    assert shown(requests.get(url, timeout=60)).size == (70, 50)


def test_a_delete_reaches_the_website_and_no_other_picture(stack: Stack, photo: Picture, coffee: bytes) -> None:
    sibling = stack.upload(coffee, f"{photo.name}-2.jpg")
    urls = [address(stack, photo, f"100x100-fill-80.{extension}") for extension in ("jpg", "webp", "png")]
    kept = address(stack, sibling, "100x100-fill-80.jpg")
    for url in (*urls, kept):
        assert requests.get(url, timeout=60).status_code == 200
    dry = requests.delete(f"{stack.url}/", params={"name": photo.name, "dry_run": "1"}, timeout=60).json()
    assert stack.eventually(lambda: len(stack.results(photo.key)) == len(urls))

    answer = requests.delete(f"{stack.url}/", params={"name": photo.name}, timeout=60).json()

    assert (dry["website"], answer["website"]) == (len(urls), len(urls))
    gone = [requests.get(path, timeout=30) for url in urls for path in (url, made_at(url))]
    assert {(one.status_code, one.json()["code"]) for one in gone} == {(410, "deleted")}
    assert stack.variants(photo.key) == []
    # Each variant at the edge under its website address, and under the signed one by which it was rendered.
    assert answer["edge"] == 2 * len(urls)
    assert requests.get(kept, timeout=30).status_code == 200
    assert len(stack.variants(sibling.key)) == 1


def test_deleting_everything_empties_the_apps_part_of_the_website(stack: Stack, photo: Picture) -> None:
    requests.get(address(stack, photo, "100x100-fill-80.jpg"), timeout=60)
    s3 = stack.s3()
    s3.put_object(Bucket=stack.website_bucket, Key="m/o/demo-2/a/1_a.jpg/x.jpg", Body=b"x")

    answer = requests.delete(f"{stack.url}/delete-all-pictures", timeout=60).json()

    assert answer["website"] >= 1
    assert stack.variants("o/demo/") == []
    assert stack.variants("o/demo-2/") == ["m/o/demo-2/a/1_a.jpg/x.jpg"]
    s3.delete_object(Bucket=stack.website_bucket, Key="m/o/demo-2/a/1_a.jpg/x.jpg")


def test_a_render_under_way_does_not_bring_the_variant_back(stack: Stack, large_photo: bytes) -> None:
    picture = stack.upload(large_photo, f"{next(_names)}.jpg")
    # Nearly the full size, in AVIF: seconds, time enough to delete in the middle of it.
    url = address(stack, picture, "4000x4000-fit-80-noupscale.avif")
    answers: list[requests.Response] = []
    reader = threading.Thread(target=lambda: answers.append(requests.get(url, timeout=120)))
    idle = stack.cpu_seconds("thumbor")
    reader.start()
    # Thumbor has fetched the original and computes.
    assert stack.eventually(lambda: stack.cpu_seconds("thumbor") > idle + 0.3)

    deleted = requests.delete(f"{stack.url}/", params={"name": picture.name}, timeout=60)
    during = reader.is_alive()
    reader.join(120)

    assert deleted.status_code == 200
    assert during, "the render ended before the delete: the race was not played"
    assert [answer.status_code for answer in answers] == [404]
    assert stack.variants(picture.key) == []
    for path in (url, made_at(url)):
        assert requests.get(path, timeout=30).status_code == 410
    assert stack.eventually(lambda: stack.lines("thumbor", "rendered", picture.key) == 1)
    assert stack.eventually(lambda: stack.results(picture.key) == [])
