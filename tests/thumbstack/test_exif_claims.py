"""EXIF that would make its readers take gigabytes."""

import io
import struct

import pytest
from PIL import Image

from tests.thumbstack.samples import picture
from thumbstack.exif_claims import claims_too_much
from thumbstack.inspection import Limits, inspect
from thumbstack.refusal import Undecodable


def exif(*entries: tuple[int, int, int, int], order: str = "<", behind: bytes = bytes(4)) -> bytes:
    """EXIF of one directory."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(entries))
    return b"Exif\0\0" + head + b"".join(struct.pack(order + "HHII", *entry) for entry in entries) + behind


def of_a_camera() -> bytes:
    tags = Image.Exif()
    tags[0x0112] = 6
    tags[0x010F] = "A maker of cameras" * 100
    tags.get_ifd(0x8825).update({1: "N", 2: (46.0, 1.0, 2.0)})
    return tags.tobytes()


SUB = struct.pack("<H", 1) + struct.pack("<HHII", 1, 4, 1 << 30, 0)


@pytest.mark.parametrize(
    ("body", "too_much"),
    [
        (of_a_camera(), False),
        (b"", False),
        (b"Exif\0\0", False),
        (exif((0x0112, 3, 1, 6)), False),
        (exif((0x0112, 3, 1 << 31, 6)), True),
        (exif((0x0112, 3, 1 << 31, 6), order=">"), True),
        (exif((0x0112, 1, 66_000, 6), behind=bytes(100_000)), True),
        (exif((0x8769, 4, 1, 22), behind=SUB), True),
        (exif((0x8825, 4, 1, 22), behind=SUB), True),
        (exif((0x0112, 3, 1, 6), behind=struct.pack("<I", 26) + SUB), True),
        (exif((0x0112, 3, 1 << 31, 6)).replace(b"\x01\0\x12", b"\xff\xff\x12"), True),
        (exif((0x0112, 3, 1 << 31, 6), order=">").replace(b"MM", b"xM"), True),
    ],
)
def test_claims_are_compared_with_what_is_there(body: bytes, too_much: bool) -> None:
    assert claims_too_much(body) is too_much


# Pillow's word for the same; here it would be an error before ours.
@pytest.mark.filterwarnings("ignore:Truncated File Read")
def test_a_picture_with_such_exif_is_refused() -> None:
    damaged = exif((0x0112, 3, 1 << 20, 6))
    body = picture("JPEG")
    body = body[:2] + b"\xff\xe1" + struct.pack(">H", len(damaged) + 2) + damaged + body[2:]

    with pytest.raises(Undecodable, match="EXIF"):
        inspect(io.BytesIO(body), Limits(1_000_000))
