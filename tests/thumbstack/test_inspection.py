"""What the bytes are, whatever they are called, and what is not taken."""

import base64
import hashlib
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.thumbstack.samples import (
    IMAGES,
    PDF_BYTES,
    SVG_BYTES,
    animation,
    gif_of_frames,
    jpeg_claiming,
    jpeg_of_exifs,
    jpeg_of_scans,
    multi_picture,
    noise,
    picture,
    png_claiming,
    png_with_chunk,
    tiff_claiming,
)
from thumbstack.inspection import Limits, inspect
from thumbstack.picture_type import AVIF, GIF, HEIC, JPEG, PDF, PNG, SVG, TIFF, WEBP, PictureType
from thumbstack.refusal import (
    ActiveContent,
    Empty,
    NotAPicture,
    Refused,
    TooComplex,
    TooLarge,
    TooManyFrames,
    TooManyPixels,
    TrailingData,
    TypeNotAllowed,
    Undecodable,
)

ROOT = Path(__file__).parents[2]
LIMITS = Limits(max_bytes=1_000_000, max_pixels=1_000_000, max_frames=20, max_total_pixels=2_000_000)
HEIC_BYTES = (IMAGES / "coffee.heic").read_bytes()
ZIP = io.BytesIO()
with zipfile.ZipFile(ZIP, "w") as archive:
    archive.writestr("a.class", b"x")
VIDEO = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"\0\0\0\x10mdat" + bytes(8)
TAKEN = {
    JPEG: picture("JPEG"),
    PNG: picture("PNG"),
    GIF: picture("GIF"),
    WEBP: picture("WEBP"),
    AVIF: picture("AVIF"),
    TIFF: picture("TIFF"),
    HEIC: HEIC_BYTES,
    SVG: SVG_BYTES,
    PDF: PDF_BYTES,
}


@pytest.mark.parametrize("kind", TAKEN, ids=lambda kind: kind.extension)
def test_the_type_is_that_of_the_bytes(kind: PictureType) -> None:
    body = TAKEN[kind]

    facts = inspect(io.BytesIO(body), LIMITS, "something.exe")

    size = {HEIC: (120, 80), PDF: (None, None)}.get(kind, (40, 30))
    assert (facts.type, facts.width, facts.height) == (kind, *size)
    assert (facts.bytes, facts.sha256, facts.frames) == (len(body), hashlib.sha256(body).hexdigest(), 1)


def test_what_samsung_writes_behind_its_heic_belongs_to_it() -> None:
    body = TAKEN[HEIC] + b"\0\0\0\x10sefdabcdSEFT"

    assert inspect(io.BytesIO(body), LIMITS).bytes == len(body)


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "PNG", "AVIF", "TIFF"])
def test_all_frames_are_counted(format_: str) -> None:
    assert inspect(io.BytesIO(animation(format_, 5)), LIMITS).frames == 5


@pytest.mark.parametrize("orientation", range(1, 9))
def test_width_and_height_are_as_seen(orientation: int) -> None:
    facts = inspect(io.BytesIO(picture("JPEG", orientation=orientation)), LIMITS)

    assert facts.orientation == orientation
    assert (facts.width, facts.height) == ((40, 30) if orientation < 5 else (30, 40))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_picture_has_a_colour_and_a_placeholder(mode: str) -> None:
    facts = inspect(io.BytesIO(picture("PNG", mode=mode, color="white")), LIMITS)

    assert facts.dominant_color is not None
    assert facts.placeholder is not None
    with Image.open(io.BytesIO(base64.b64decode(facts.placeholder.partition(",")[2]))) as tiny:
        assert (tiny.format, tiny.size) == ("WEBP", (20, 15))
    assert len(facts.placeholder) < 500


def test_the_dominant_color_is_the_most_frequent_one() -> None:
    mostly_red = Image.new("RGB", (100, 100), (200, 0, 0))
    mostly_red.paste((0, 0, 255), (0, 0, 40, 100))
    out = io.BytesIO()
    mostly_red.save(out, "PNG")

    assert inspect(io.BytesIO(out.getvalue()), LIMITS).dominant_color == "#c80000"


def test_transparent_parts_count_as_white() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (30, 30), (10, 20, 30, 0)).save(out, "PNG")

    assert inspect(io.BytesIO(out.getvalue()), LIMITS).dominant_color == "#ffffff"


def test_the_file_is_left_at_its_start() -> None:
    body = io.BytesIO(TAKEN[PNG])
    body.seek(7)

    inspect(body, LIMITS)

    assert body.tell() == 0


def test_a_type_that_the_app_does_not_take_is_refused() -> None:
    with pytest.raises(TypeNotAllowed) as refused:
        inspect(io.BytesIO(SVG_BYTES), Limits(1000, allowed_types=frozenset((JPEG, PNG))))

    assert "send JPG, PNG" in refused.value.sentence


def test_the_sentence_says_that_the_name_promised_something_else() -> None:
    with pytest.raises(NotAPicture, match="although the name ends like that of a JPG"):
        inspect(io.BytesIO(b"hello"), LIMITS, "notes.jpg")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(TAKEN[JPEG] + bytes(5000), id="zero padding"),
        pytest.param(TAKEN[PNG] + b"\r\n", id="a line end"),
        pytest.param(multi_picture(), id="MPO"),
        pytest.param(TAKEN[JPEG] + bytes(100) + TAKEN[JPEG], id="a second JPEG"),
        pytest.param(TAKEN[JPEG] + VIDEO, id="Google's motion photo"),
        pytest.param(
            TAKEN[JPEG] + b"\0\0\x30\x0aMotionPhoto_Data" + VIDEO + b"SEFH" + bytes(20) + b"SEFT", id="Samsung"
        ),
    ],
)
def test_what_cameras_append_is_taken(body: bytes) -> None:
    assert inspect(io.BytesIO(body), LIMITS).bytes == len(body)


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        pytest.param(b"", Empty, id="empty"),
        pytest.param(b"x" * 1_000_001, TooLarge, id="too many bytes"),
        pytest.param(b"hello", NotAPicture, id="text"),
        pytest.param(b"<html><script>", NotAPicture, id="html"),
        pytest.param(b"<html><body><svg></svg></body></html>", NotAPicture, id="html with a drawing"),
        pytest.param(b"BM" + bytes(60), NotAPicture, id="bmp"),
        pytest.param(b"\xff\xd8\xff\xe0", Undecodable, id="jpeg mark only"),
        pytest.param(b"\x89PNG\r\n\x1a\n", Undecodable, id="png mark only"),
        pytest.param(TAKEN[PNG].replace(b"IEND\xae", b"IEND\xaf"), Undecodable, id="a wrong checksum"),
        pytest.param(picture("PNG", (1001, 1000)), TooManyPixels, id="too many pixels"),
        pytest.param(png_claiming(60_000, 60_000), TooManyPixels, id="png bomb"),
        pytest.param(jpeg_claiming(64_250, 64_250), TooManyPixels, id="lottapixel"),
        pytest.param(jpeg_claiming(1000, 1000), Undecodable, id="jpeg with fewer bits than blocks"),
        pytest.param(tiff_claiming(60_000, 60_000), TooManyPixels, id="tiff bomb"),
        pytest.param(tiff_claiming(100, 100, tile=1 << 16), TooManyPixels, id="tiff tile bomb"),
        pytest.param(gif_of_frames(10_000), TooManyFrames, id="10 000 frames"),
        pytest.param(animation("GIF", 21), TooManyFrames, id="21 gif frames"),
        pytest.param(animation("PNG", 21), TooManyFrames, id="21 png frames"),
        pytest.param(animation("WEBP", 21), TooManyFrames, id="21 webp frames"),
        pytest.param(animation("AVIF", 21), TooManyFrames, id="21 avif frames"),
        pytest.param(animation("TIFF", 21), TooManyFrames, id="21 tiff pages"),
        pytest.param(animation("GIF", 5, (900, 900)), TooManyFrames, id="too many pixels in all frames"),
        pytest.param(jpeg_of_scans(200), TooComplex, id="200 scans"),
        pytest.param(jpeg_of_exifs(200), TooComplex, id="EXIF in 200 pieces"),
        pytest.param(png_with_chunk(b"zTXt", b"a\0\0", unpacked=80_000_000), Undecodable, id="text bomb"),
        pytest.param(png_with_chunk(b"iCCP", b"a\0\0", unpacked=80_000_000), Undecodable, id="profile bomb"),
        pytest.param(TAKEN[JPEG] + b"<?php echo 1;", TrailingData, id="php behind a jpeg"),
        pytest.param(TAKEN[JPEG] + b"anything", TrailingData, id="text behind a jpeg"),
        pytest.param(TAKEN[JPEG] + VIDEO + b"anything", TrailingData, id="text behind a video"),
        pytest.param(TAKEN[JPEG] + TAKEN[JPEG] + b"<html>", TrailingData, id="html behind two jpegs"),
        pytest.param(TAKEN[JPEG] + b"x<script>SEFT", TrailingData, id="a script that ends like a camera's trailer"),
        pytest.param(
            TAKEN[JPEG][:2] + b"\xff\xfe\x00\x0a%PDF-1.4" + TAKEN[JPEG][2:], TrailingData, id="pdf in a comment"
        ),
        *(
            pytest.param(TAKEN[kind] + behind, TrailingData, id=f"{what} behind a {kind.extension}")
            for kind in (JPEG, PNG, GIF, WEBP, AVIF, HEIC)
            for what, behind in (("html", b"<html><script>1</script>"), ("zip", ZIP.getvalue()), ("pdf", PDF_BYTES))
        ),
        pytest.param(SVG_BYTES.replace(b"<rect", b"<script/><rect"), ActiveContent, id="svg with a script"),
        pytest.param(SVG_BYTES.replace(b'"40"', b'"40000"'), TooManyPixels, id="large drawing"),
    ],
)
def test_what_is_no_picture_for_us_is_refused(body: bytes, refusal: type[Refused]) -> None:
    with pytest.raises(Refused) as refused:
        inspect(io.BytesIO(body), LIMITS)

    assert type(refused.value) is refusal
    assert refused.value.sentence.endswith(".")


@pytest.mark.parametrize("kind", [JPEG, PNG, GIF, WEBP, AVIF, HEIC, PDF], ids=lambda kind: kind.extension)
@pytest.mark.parametrize("part", [0.5, 0.9, 0.95])
def test_a_file_that_is_cut_off_is_refused(kind: PictureType, part: float) -> None:
    body = {JPEG: noise("JPEG"), PNG: noise("PNG"), GIF: noise("GIF"), WEBP: noise("WEBP"), AVIF: noise("AVIF")}.get(
        kind, TAKEN[kind]
    )

    with pytest.raises(Undecodable):
        inspect(io.BytesIO(body[: int(len(body) * part)]), LIMITS)


def test_a_progressive_jpeg_that_is_cut_off_is_refused() -> None:
    out = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 255, (200, 200, 3), np.uint8)
    Image.fromarray(pixels).save(out, "JPEG", progressive=True)

    with pytest.raises(Undecodable):
        inspect(io.BytesIO(out.getvalue()[:-500]), LIMITS)


def test_pillows_own_settings_are_left_alone() -> None:
    # In a process of its own: here Thumbor's engine, of another test, may have added HEIF to what Pillow opens.
    code = """
import io, sys
from PIL import Image
from thumbstack.inspection import Limits, inspect
Image.init()
before = dict(Image.OPEN), Image.MAX_IMAGE_PIXELS
inspect(io.BytesIO(sys.stdin.buffer.read()), Limits(max_bytes=1_000_000))
assert (dict(Image.OPEN), Image.MAX_IMAGE_PIXELS) == before
assert "HEIF" not in Image.OPEN
"""
    done = subprocess.run([sys.executable, "-c", code], input=HEIC_BYTES, cwd=ROOT, capture_output=True, timeout=60)

    assert done.returncode == 0, done.stderr.decode()
