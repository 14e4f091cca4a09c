"""Which format leaves, and that the result storage finds just that one again: prediction and reality compared."""

import io
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from tests.thumbor.conftest import S3, Thumbor, Thumbors

IMAGES = Path(__file__).parents[1] / "images"
AVIF, WEBP, NEITHER = "image/avif", "image/webp", "image/jpeg,image/png,image/*;q=0.1"
TYPES = {AVIF: "image/avif", WEBP: "image/webp", NEITHER: "image/jpeg"}


def small(photo: bytes) -> Image.Image:
    with Image.open(io.BytesIO(photo)) as image:
        return image.resize((120, 80)).convert("RGB")


def encoded(image: Image.Image, name: str, frames: int = 1) -> bytes:
    out = io.BytesIO()
    more = [image.rotate(90 * turn) for turn in range(1, frames)]
    if more:
        image.save(out, name, save_all=True, append_images=more, duration=200)
    else:
        image.save(out, name)
    return out.getvalue()


def with_alpha(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    image.putalpha(100)
    return image


ORIGINALS: dict[str, tuple[Callable[[Image.Image], bytes], str, str]] = {
    # What it is: how it is made, its extension, what leaves where neither AVIF nor WebP is accepted.
    "jpg": (lambda image: encoded(image, "JPEG"), "jpg", "image/jpeg"),
    "jpg in grey": (lambda image: encoded(image.convert("L"), "JPEG"), "jpeg", "image/jpeg"),
    "png": (lambda image: encoded(image, "PNG"), "png", "image/png"),
    "png with alpha": (lambda image: encoded(with_alpha(image), "PNG"), "png", "image/png"),
    "png with palette": (lambda image: encoded(image.convert("P"), "PNG"), "png", "image/png"),
    "gif": (lambda image: encoded(image, "GIF"), "gif", "image/gif"),
    "animated gif": (lambda image: encoded(image, "GIF", 3), "gif", "image/gif"),
    "webp": (lambda image: encoded(image, "WEBP"), "webp", "image/webp"),
    "animated webp": (lambda image: encoded(image, "WEBP", 3), "webp", "image/webp"),
    "avif": (lambda image: encoded(image, "AVIF"), "avif", "image/jpeg"),
    "avif with alpha": (lambda image: encoded(with_alpha(image), "AVIF"), "avif", "image/png"),
    "animated avif": (lambda image: encoded(image, "AVIF", 3), "avif", "image/jpeg"),
    "tiff": (lambda image: encoded(image, "TIFF"), "tiff", "image/png"),
    "tiff in cmyk": (lambda image: encoded(image.convert("CMYK"), "TIFF"), "tiff", "image/png"),
    "heic": (lambda _: (IMAGES / "coffee.heic").read_bytes(), "heic", "image/jpeg"),
    "svg": (lambda _: b"<svg xmlns='http://www.w3.org/2000/svg' width='99' height='66'/>", "svg", "image/png"),
}


@pytest.mark.parametrize("kind", ORIGINALS)
def test_what_is_rendered_is_found_again_whatever_the_original(
    thumbor: "Thumbor", s3: "S3", coffee: bytes, kind: str
) -> None:
    make, extension, own = ORIGINALS[kind]
    picture = s3.put(make(small(coffee)), extension)
    expected = {AVIF: AVIF, WEBP: WEBP, NEITHER: own}
    if kind == "animated gif":
        expected = dict.fromkeys(expected, "image/gif")
    elif kind.startswith("animated"):
        # All that show AVIF show WebP, and moving AVIF takes minutes.
        expected[AVIF] = "image/webp"

    for options in (
        "60x60",
        "",
        "0x40/filters:format(png)",
        "filters:format(webp):quality(40)",
        "9x9/filters:format(heic)",
    ):
        bodies = {}
        for accept, content_type in expected.items():
            answer = thumbor.rendered(s3, picture, options, accept)
            bodies[accept] = answer.content
            if "format" not in options:
                assert answer.headers["Content-Type"] == content_type
        thumbor.lines()
        for accept, body in bodies.items():
            assert thumbor.get(picture, options, accept).content == body
        assert thumbor.counted() == ["result hit"] * 3, options


@pytest.mark.parametrize("order", list(permutations(TYPES)), ids=lambda order: "-".join(name[6:10] for name in order))
def test_each_client_gets_its_format_in_any_order(
    thumbor: "Thumbor", s3: "S3", coffee: bytes, order: tuple[str, ...]
) -> None:
    picture = s3.put(encoded(small(coffee), "JPEG"), "jpg")

    answers = [(accept, thumbor.rendered(s3, picture, "60x60", accept)) for accept in order * 2]

    assert [answer.headers["Content-Type"] for _, answer in answers] == [TYPES[accept] for accept in order * 2]
    assert sorted(s3.results(picture)) == ["60x60.avif", "60x60.jpg", "60x60.webp"]


def test_also_after_a_restart_without_a_render(
    thumbor: "Thumbor", thumbors: "Thumbors", s3: "S3", coffee: bytes
) -> None:
    picture = s3.put(encoded(small(coffee), "JPEG"), "jpg")
    before = {accept: thumbor.rendered(s3, picture, "60x60", accept).content for accept in TYPES}

    another = thumbors.start(s3.environment())

    for accept in reversed(TYPES):
        answer = another.get(picture, "60x60", accept)
        assert (answer.headers["Content-Type"], answer.content) == (TYPES[accept], before[accept])
    assert another.counted() == ["result hit"] * 3


def test_a_still_gif_is_not_taken_from_another_clients_result(thumbor: "Thumbor", s3: "S3", coffee: bytes) -> None:
    picture = s3.put(encoded(small(coffee), "GIF"), "gif")

    for accept, content_type in ((NEITHER, "image/gif"), (AVIF, "image/avif"), (NEITHER, "image/gif")):
        assert thumbor.rendered(s3, picture, "60x60", accept).headers["Content-Type"] == content_type


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("format_", ["jpg", "png", "webp", "avif"])
def test_another_format_than_gif_is_the_first_frame(
    thumbor: "Thumbor", s3: "S3", coffee: bytes, frames: int, format_: str
) -> None:
    first = small(coffee)
    picture = s3.put(encoded(first, "GIF", frames), "gif")

    for options, size in ((f"filters:format({format_})", (120, 80)), (f"30x20/filters:format({format_})", (30, 20))):
        answer = thumbor.rendered(s3, picture, options)

        with Image.open(io.BytesIO(answer.content)) as still:
            assert answer.headers["Content-Type"] == f"image/{format_.replace('jpg', 'jpeg')}"
            assert (still.size, getattr(still, "n_frames", 1)) == (size, 1)
            shown, expected = (np.asarray(image.convert("RGB")).mean(axis=(0, 1)) for image in (still, first))
        # The other frames have black corners.
        assert np.abs(shown - expected).max() < 10


@pytest.mark.parametrize("options", ["60x40", "60x40/filters:quality(30)", "60x40/filters:format(gif)"])
def test_an_animated_gif_stays_animated_where_nothing_else_is_asked(
    thumbor: "Thumbor", s3: "S3", coffee: bytes, options: str
) -> None:
    picture = s3.put(encoded(small(coffee), "GIF", 3), "gif")

    for accept in (NEITHER, AVIF):
        with Image.open(io.BytesIO(thumbor.rendered(s3, picture, options, accept).content)) as animation:
            assert (animation.format, animation.size, getattr(animation, "n_frames", 1)) == ("GIF", (60, 40), 3)


def test_what_lies_under_a_key_in_another_format_is_no_hit(thumbor: "Thumbor", s3: "S3", coffee: bytes) -> None:
    picture = s3.put(encoded(small(coffee), "JPEG"), "jpg")
    for wrong in (encoded(small(coffee), "AVIF"), b""):
        s3.client.put_object(Bucket="test-results", Key=f"{picture}/60x60.jpg", Body=wrong)

        assert thumbor.rendered(s3, picture, "60x60", NEITHER).headers["Content-Type"] == "image/jpeg"
