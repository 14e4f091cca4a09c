"""What is said of a variant's size is what the real Thumbor renders."""

import io
from typing import TYPE_CHECKING

import pytest
import requests
from PIL import Image

from thumbstack.options import MAX_SIDE, read_options
from thumbstack.rendered_size import rendered_size

if TYPE_CHECKING:
    from tests.thumbor.conftest import S3, Thumbor

SIZES = [(248, 768), (333, 101), (1, 50)]
OPTIONS = [
    "",
    "100x80",
    "700x900",
    "100x0",
    "0x77",
    "0x0",
    "-100x-80/left/top",
    "300x200/smart",
    "fit-in/100x80",
    "fit-in/99x0",
    "fit-in/0x99",
    "fit-in/2000x2000",
    "fit-in/2000x20",
    "full-fit-in/100x80",
    "full-fit-in/800x900",
    "adaptive-fit-in/300x100",
    "adaptive-fit-in/100x300",
    "adaptive-full-fit-in/300x100",
    "10x20:110x91",
    "10x20:110x9999/50x0",
    "500x20:10x30/50x60",
    "10x20:60x70/fit-in/400x30",
    "700x900/filters:no_upscale()",
    "150x900/filters:no_upscale()",
    "0x900/filters:no_upscale()",
    "10x20:60x70/300x300/filters:no_upscale()",
    "fit-in/700x900/filters:upscale()",
    "fit-in/300x900/filters:quality(90):upscale()",
    "fit-in/1000x0/filters:upscale()",
    "700x900/filters:upscale()",
    "full-fit-in/800x900/filters:upscale()",
    "fit-in/700x900/filters:fill(ffffff)",
    "fit-in/100x80/filters:fill(auto)",
    "fit-in/100x0/filters:fill(red)",
    "fit-in/100x80/filters:fill()",
    "full-fit-in/100x80/filters:fill(red)",
    "adaptive-fit-in/300x100/filters:fill(red)",
    "fit-in/700x900/filters:upscale():fill(red)",
    "fit-in/700x900/filters:fill(red):upscale()",
    "100x80/filters:rotate(90)",
    "100x80/filters:rotate(-90)",
    "100x80/filters:rotate(180)",
    "100x80/filters:rotate(45)",
    "fit-in/100x80/filters:rotate(270):fill(red)",
    "100x80/filters:grayscale():round_corner(20,255,255,255)",
]


def shown(answer: requests.Response) -> tuple[int, int] | int:
    """The size of the picture, or the status of the refusal."""
    if answer.status_code != 200:
        return answer.status_code
    with Image.open(io.BytesIO(answer.content)) as image:
        return image.size


def allowed(size: tuple[int, int] | None) -> tuple[int, int] | int | None:
    """The size, or the status where it is too large."""
    return 400 if size is not None and max(size) > MAX_SIDE else size


def picture(size: tuple[int, int], kind: str, **how: object) -> bytes:
    body = io.BytesIO()
    Image.new("RGB", size, "teal").save(body, kind, **how)
    return body.getvalue()


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_size_is_thumbors(thumbor: "Thumbor", s3: "S3", size: tuple[int, int]) -> None:
    key = s3.put(picture(size, "PNG"), "png")

    said = {options: allowed(rendered_size(read_options(options), size)) for options in OPTIONS}
    found = {options: shown(thumbor.get(key, options)) for options in OPTIONS}

    assert said == found


def test_an_animation_is_not_filtered_but_for_no_upscale(thumbor: "Thumbor", s3: "S3") -> None:
    size = 248, 768
    frames = [Image.new("RGB", size, color) for color in ("teal", "red")]
    key = s3.put(picture(size, "GIF", save_all=True, append_images=frames), "gif")

    said = {options: allowed(rendered_size(read_options(options), size, filtered=False)) for options in OPTIONS}
    found = {options: shown(thumbor.get(key, options)) for options in OPTIONS}

    assert said == found


@pytest.mark.parametrize("size", [(240, 120), (30, 90)], ids=str)
def test_a_drawing_is_enlarged_to_what_is_asked(thumbor: "Thumbor", s3: "S3", size: tuple[int, int]) -> None:
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="{size[0]}" height="{size[1]}"><circle r="9"/></svg>'
    key = s3.put(svg.encode(), "svg")

    for options in ("", "100x80", "700x900", "500x0", "fit-in/400x400", "fit-in/500x0", "5x5:20x25/fit-in/400x400"):
        said = rendered_size(read_options(options), size, drawn=True)
        assert said == shown(thumbor.get(key, options)), options
