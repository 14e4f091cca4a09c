"""``smart/`` keeps the face, whatever the picture is stored as; and changes nothing where there is none."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import skimage.data
from PIL import Image

from thumbstack.raster import TURNS

if TYPE_CHECKING:
    from tests.thumbor.conftest import S3, Thumbor, Thumbors

# Of the astronaut's 512 columns and rows: chin, brow, ear and ear.
LEFT, TOP, RIGHT, BOTTOM = 175, 65, 272, 162
NEITHER = "image/jpeg,image/png,image/*;q=0.1"
BACK = {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


@pytest.fixture(scope="module")
def astronaut() -> Image.Image:
    """Eileen Collins, by NASA, in the public domain; 512x512, her face above the middle and left of it."""
    return Image.fromarray(skimage.data.astronaut())  # type: ignore[no-untyped-call]


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def first_row(original: Image.Image, body: bytes) -> int:
    """Which row of a picture a part of its height begins with, by likeness."""
    with Image.open(io.BytesIO(body)) as shown:
        part = np.asarray(shown.convert("L").resize((original.width, shown.height)), dtype=float)
    whole = np.asarray(original.convert("L"), dtype=float)
    differences = [np.abs(whole[row : row + len(part)] - part).mean() for row in range(len(whole) - len(part) + 1)]
    assert min(differences) < 12
    return int(np.argmin(differences))


def stored(image: Image.Image, how: str) -> tuple[bytes, str]:
    clear = image.convert("RGBA")
    clear.putpixel((0, 0), (0, 0, 0, 0))
    if how.startswith("turned"):
        orientation = int(how[-1])
        exif = Image.Exif()
        exif[0x0112] = orientation
        lying = image.transpose(BACK.get(orientation, TURNS[orientation]))
        return encoded(lying, "JPEG", exif=exif, quality=90), "jpg"
    match how:
        case "large JPEG":
            return encoded(image.resize((4096, 4096)), "JPEG"), "jpg"
        case "large PNG":
            return encoded(image.resize((2304, 2304)), "PNG", compress_level=1), "png"
        case "PNG with alpha":
            return encoded(clear, "PNG"), "png"
        case "CMYK":
            return encoded(image.convert("CMYK"), "JPEG"), "jpg"
        case "animation":
            return encoded(image, "GIF", save_all=True, append_images=[image.rotate(180)], loop=0), "gif"
        case "animated WebP":
            return encoded(image, "WEBP", save_all=True, append_images=[image.rotate(180)]), "webp"
        case _:
            return encoded(image, how), how.lower()


HOW = ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "PNG with alpha", "CMYK", "large JPEG", "large PNG", "animation"]


@pytest.mark.parametrize("how", [*HOW, "animated WebP", *(f"turned {number}" for number in range(2, 9))])
def test_a_crop_keeps_the_face(thumbor: "Thumbor", s3: "S3", astronaut: Image.Image, how: str) -> None:
    picture = s3.put(*stored(astronaut, how))

    plain, smart = (
        first_row(astronaut, thumbor.get(picture, it, NEITHER).content) for it in ("512x150", "512x150/smart")
    )

    assert abs(plain - 181) <= 1
    assert smart <= TOP
    assert smart + 150 >= BOTTOM


@pytest.mark.parametrize("beside", ["left", "right"])
def test_a_portrait_of_a_wide_picture_keeps_the_face(
    thumbor: "Thumbor", s3: "S3", astronaut: Image.Image, beside: str
) -> None:
    at = 0 if beside == "left" else 688
    wide = Image.new("RGB", (1200, 512), "grey")
    wide.paste(astronaut, (at, 0))
    picture = s3.put(encoded(wide, "JPEG", quality=90), "jpg")

    smart = Image.open(io.BytesIO(thumbor.get(picture, "200x512/smart").content)).rotate(90, expand=True)
    # Turned, its columns are rows, from right to left.
    first = 1200 - 200 - first_row(wide.rotate(90, expand=True), encoded(smart, "PNG"))

    assert first <= at + LEFT
    assert first + 200 >= at + RIGHT


def test_what_was_trimmed_or_cut_by_hand_keeps_the_face(thumbor: "Thumbor", s3: "S3", astronaut: Image.Image) -> None:
    framed = Image.new("RGB", (712, 712), "white")
    framed.paste(astronaut, (100, 100))
    picture = s3.put(encoded(framed, "PNG"), "png")

    for options in ("100x100:612x612/512x150/smart", "trim/512x150/smart"):
        first = first_row(astronaut, thumbor.get(picture, options).content)

        assert first <= TOP, options
        assert first + 150 >= BOTTOM, options


def test_all_widths_show_the_same_part(thumbor: "Thumbor", s3: "S3", astronaut: Image.Image) -> None:
    picture = s3.put(encoded(astronaut, "JPEG", quality=90), "jpg")

    firsts: list[int] = []
    for times in (1, 2, 1):
        quality = f"/filters:quality({90 + len(firsts)})"
        body = thumbor.get(picture, f"{512 // times}x{150 // times}/smart{quality}").content
        with Image.open(io.BytesIO(body)) as image:
            firsts.append(first_row(astronaut, encoded(image.resize((512, 150)), "PNG")))

    assert max(firsts) - min(firsts) <= 1


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="90"><circle cx="9" cy="9" r="7"/></svg>'


@pytest.mark.parametrize("what", ["coffee", "a pixel", "a line", "grey", "drawing", "16 bits", "animation"])
def test_without_a_face_it_is_as_if_nothing_were_asked(thumbor: "Thumbor", s3: "S3", coffee: bytes, what: str) -> None:
    plane = Image.new("L", (300, 400), 128)
    body, extension = {
        "coffee": (coffee, "jpg"),
        "a pixel": (encoded(Image.new("RGB", (1, 1), "red"), "PNG"), "png"),
        "a line": (encoded(Image.new("RGB", (2, 900), "red"), "PNG"), "png"),
        "grey": (encoded(plane, "JPEG"), "jpg"),
        "drawing": (SVG, "svg"),
        "16 bits": (encoded(Image.fromarray(np.full((400, 300), 30000, dtype=np.uint16)), "PNG"), "png"),
        "animation": (encoded(plane, "GIF", save_all=True, append_images=[Image.new("L", (300, 400))]), "gif"),
    }[what]
    picture = s3.put(body, extension)

    for options in ("90x130", "130x40", "90x130/left/top"):
        plain, smart = (thumbor.get(picture, options + it, NEITHER) for it in ("", "/smart"))

        assert (plain.status_code, smart.status_code) == (200, 200)
        assert plain.content == smart.content, options


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_what_is_cut_off_is_refused(thumbor: "Thumbor", s3: "S3", astronaut: Image.Image, kind: str) -> None:
    picture = s3.put(encoded(astronaut, kind)[:30000], kind.lower())

    assert thumbor.get(picture, "512x150/smart").status_code == 422


def test_numbers_only(thumbor: "Thumbor", s3: "S3", astronaut: Image.Image) -> None:
    picture = s3.put(encoded(astronaut, "JPEG"), "jpg")

    operations = thumbor.get(picture, "meta/512x150/smart").json()["thumbor"]["operations"]

    assert operations[0]["type"] == "crop"
    assert operations[0]["top"] <= TOP


def test_opencv_is_loaded_when_the_first_faces_are_looked_for(
    thumbors: "Thumbors", s3: "S3", astronaut: Image.Image
) -> None:
    started = thumbors.start(s3.environment())
    pictures = [s3.put(encoded(astronaut, "JPEG"), "jpg") for _ in range(8)]
    mapped = Path(f"/proc/{started.process.pid}/maps")

    # Nothing is cut, or nothing asked.
    for options in ("512x150", "300x300/smart", "fit-in/300x200/smart", "300x0/smart"):
        assert started.get(pictures[0], options).status_code == 200
    before = mapped.read_text()
    # By several threads at once, each of which has to have its own.
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda picture: started.get(picture, "512x150/smart"), pictures))

    assert "cv2" not in before
    assert "cv2" in mapped.read_text()
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
