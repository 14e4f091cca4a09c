"""What the bytes are, whatever they are called."""

import io
import struct
import zlib

import pytest
from PIL import Image

from thumbstack.inspection import Limits, inspect
from thumbstack.picture_type import AVIF, GIF, JPEG, PDF, PNG, WEBP, PictureType
from thumbstack.refusal import Empty, NotAPicture, Refused, TooLarge, TooManyPixels

LIMITS = Limits(max_bytes=1_000_000, max_pixels=1_000_000)


def picture(format_: str, size: tuple[int, int] = (40, 30)) -> bytes:
    """A small picture of one colour."""
    out = io.BytesIO()
    Image.new("RGB", size, "teal").save(out, format_)
    return out.getvalue()


def png_claiming(width: int, height: int) -> bytes:
    """A PNG whose header claims a size that no pixels follow."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return start + struct.pack(">I", 1000) + b"IDAT"


@pytest.mark.parametrize(
    ("format_", "kind"), [("JPEG", JPEG), ("PNG", PNG), ("GIF", GIF), ("WEBP", WEBP), ("AVIF", AVIF)]
)
def test_the_type_is_that_of_the_bytes(format_: str, kind: PictureType) -> None:
    body = picture(format_)

    facts = inspect(io.BytesIO(body), len(body), LIMITS)

    assert (facts.type, facts.width, facts.height, facts.bytes) == (kind, 40, 30, len(body))


def test_a_pdf_has_no_pixels() -> None:
    facts = inspect(io.BytesIO(b"%PDF-1.7\n..."), 12, LIMITS)

    assert (facts.type, facts.width, facts.height) == (PDF, None, None)


def test_the_file_is_left_at_its_start() -> None:
    body = io.BytesIO(picture("PNG"))

    inspect(body, body.seek(0, 2), LIMITS)

    assert body.tell() == 0


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        pytest.param(b"", Empty, id="empty"),
        pytest.param(b"x" * 1_000_001, TooLarge, id="too many bytes"),
        pytest.param(b"hello", NotAPicture, id="text"),
        pytest.param(b"<html><script>", NotAPicture, id="html"),
        pytest.param(b"\xff\xd8\xff\xe0", NotAPicture, id="jpeg mark only"),
        pytest.param(b"\x89PNG\r\n\x1a\n", NotAPicture, id="png mark only"),
        pytest.param(b"BM" + bytes(60), NotAPicture, id="bmp"),
        pytest.param(picture("PNG", (1001, 1000)), TooManyPixels, id="too many pixels"),
        pytest.param(png_claiming(60_000, 60_000), TooManyPixels, id="bomb"),
    ],
)
def test_what_is_no_picture_for_us_is_refused(body: bytes, refusal: type[Refused]) -> None:
    with pytest.raises(refusal) as refused:
        inspect(io.BytesIO(body), len(body), LIMITS)

    assert refused.value.sentence.endswith(".")
