"""Upright originals: what the picture looks like stays, how it lies changes."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.thumbstack.samples import picture
from thumbstack.upright import upright

ICC = b"a colour profile, or as good as one" * 4


def lying(coffee: bytes, orientation: int, *, progressive: bool = False) -> bytes:
    """A photograph whose EXIF says how it was held; and its profile, rights and comment."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x8298] = "(c) Ada"
    out = io.BytesIO()
    with Image.open(io.BytesIO(coffee)) as image:
        image.save(out, "JPEG", quality=85, exif=exif, icc_profile=ICC, comment=b"hello", progressive=progressive)
    return out.getvalue()


@pytest.mark.parametrize("orientation", range(2, 9))
def test_it_looks_the_same_and_needs_no_turning(coffee: bytes, orientation: int) -> None:
    body = lying(coffee, orientation)

    turned = upright(body)

    with Image.open(io.BytesIO(body)) as before, Image.open(io.BytesIO(turned)) as after:
        assert after.getexif()[0x0112] == 1
        assert after.getexif()[0x8298] == "(c) Ada"
        assert (after.info["icc_profile"], after.info["comment"]) == (ICC, b"hello")
        expected = ImageOps.exif_transpose(before)
        assert after.size == expected.size
        error = np.asarray(after, dtype=float) - np.asarray(expected, dtype=float)
    assert 10 * np.log10(255**2 / np.mean(error**2)) > 40


def test_an_upright_picture_is_the_very_same(coffee: bytes) -> None:
    body = lying(coffee, 1)

    assert upright(coffee) is coffee
    assert upright(body) is body


def test_a_progressive_picture_stays_progressive(coffee: bytes) -> None:
    with Image.open(io.BytesIO(upright(lying(coffee, 6, progressive=True)))) as image:
        assert "progressive" in image.info


def test_what_is_no_jpeg_is_left_alone() -> None:
    body = picture("PNG", orientation=6)

    assert upright(body) is body


def test_a_picture_with_damaged_exif_is_left_alone(coffee: bytes) -> None:
    body = lying(coffee, 6).replace(b"Exif\0\0MM\0*", b"Exif\0\0XX\0*")
    assert b"XX\0*" in body

    assert upright(body) is body
