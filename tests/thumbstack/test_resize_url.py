"""Addresses of variants on a website bucket: read, signed, verified, and what they ask of Thumbor."""

import hashlib
import hmac
import re
from collections.abc import Callable

import pytest

from thumbstack.options import read_options
from thumbstack.picture_key import PictureKey
from thumbstack.picture_type import AVIF, BY_EXTENSION, GIF, HEIC, JPEG, PNG, SVG, TIFF, WEBP, PictureType
from thumbstack.refusal import BadOptions
from thumbstack.resize_url import ResizePath, read_resize, resize_path, variant_picture, variant_prefix

NEW, OLD = "new-key-0123456789-0123456789", "old-key-0123456789-0123456789"
PICTURE = PictureKey("demo", "cat", "1763600000_0123456789abcdef.jpg")


def path(asked: str, picture: PictureKey = PICTURE, key: str = NEW) -> str:
    return resize_path(picture, read_resize(asked, picture), key)


def options(asked: str, width: int = 248, height: int = 768, kind: PictureType = JPEG) -> str:
    return read_resize(asked, PICTURE).options(width, height, kind)


def test_the_signature_is_of_the_picture_and_the_name_by_a_key_of_its_own() -> None:
    derived = hmac.digest(NEW.encode(), b"thumbstack resize url", "sha256")
    expected = hmac.new(derived, f"{PICTURE}/100x200-fill-80-upscale.jpg".encode(), hashlib.sha256).hexdigest()[:32]

    assert path("100x200-fill-80-upscale.jpg") == f"/m/{PICTURE}/100x200-fill-80-upscale-{expected}.jpg"


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("100x200-fill-80-upscale.jpg", "100x200-fill-80-upscale.jpg"),
        ("100X200-FILL-80-NoUpscale.JPG", "100x200-fill-80-noupscale.jpg"),
        ("100x200-fit-100-noupscale.png", "100x200-fit-100-noupscale.png"),
        ("100x200-200x400-80-upscale.webp", "100x200-200x400-80-upscale.webp"),
        ("100x200-fit-1-upscale.jpeg", "100x200-fit-1-upscale.jpg"),
        ("100x200-fill", "100x200-fill-65-upscale.jpg"),
        ("100x200-fit-noupscale.avif", "100x200-fit-65-noupscale.avif"),
        (" 4096x4096-fit-7 ", "4096x4096-fit-7-upscale.jpg"),
    ],
)
def test_what_is_asked_is_read_in_any_case_with_defaults(asked: str, name: str) -> None:
    assert read_resize(asked, PICTURE).name == name


@pytest.mark.parametrize(
    ("extension", "own"), [("jpg", "jpg"), ("png", "png"), ("heic", "jpg"), ("tiff", "png"), ("svg", "png")]
)
def test_the_default_format_is_what_the_picture_is_seen_as(extension: str, own: str) -> None:
    assert read_resize("10x10-fit", PictureKey("demo", "cat", f"1_a.{extension}")).format == own


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("", "Ask as"),
        ("100x200", "Ask as"),
        ("0x200-fit", "Ask as"),
        ("x200-fit", "Ask as"),
        ("100x200-fit-0", "Ask as"),
        ("100x200-fit-80-upscale-x.jpg", "Ask as"),
        ("100x200-fit.tar.gz", "Ask as"),
        ("٣x200-fit", "Ask as"),
        ("100x200-fit-80-upscale.jpg\n.jpg", "Ask as"),
        ("4097x1-fit", "4096"),
        ("1x99999-fill", "4096"),
        ("100x200-fit-101", "1 to 100"),
        ("100x200-fit.bmp", "format"),
        ("100x200-200x401", "proportions"),
        ("100x200-0x0", "Ask as"),
    ],
)
def test_what_cannot_be_made_is_refused_with_a_reason(asked: str, says: str) -> None:
    with pytest.raises(BadOptions, match=says):
        read_resize(asked, PICTURE)


def test_a_picture_that_has_no_sizes_needs_a_format_that_has() -> None:
    with pytest.raises(BadOptions, match="format"):
        read_resize("10x10-fit", PictureKey("demo", "paper", "1_a.pdf"))


@pytest.mark.parametrize("file", ["1_a.jpg", "my-photo-1.v2.jpg", "a-b-c", "1_a.tar.gz", "-.-.jpg"])
def test_a_path_is_read_back_whatever_the_file_is_called(file: str) -> None:
    picture = PictureKey("demo", "--a1b2-", file)
    asked = path("100x200-fit-80-noupscale.webp", picture)

    read = ResizePath.parse(asked)

    assert read is not None
    assert (read.picture, str(read), read.variant) == (picture, asked, asked[1:])
    assert variant_picture(read.variant) == picture


@pytest.mark.parametrize("key", [NEW, OLD])
def test_every_key_verifies(key: str) -> None:
    read = ResizePath.parse(path("100x200-fit", key=key))

    assert read is not None
    assert read.signed_by((NEW, OLD))
    assert not read.signed_by(("a-third-key-0123456789-0123456789",))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("100x200", "101x200"),
        ("fill", "fit"),
        ("-80-", "-81-"),
        ("-upscale", "-noupscale"),
        (".jpg/", ".png/"),
        ("/cat/", "/dog/"),
        ("/demo/", "/shop/"),
    ],
)
def test_one_change_breaks_the_signature(old: str, new: str) -> None:
    read = ResizePath.parse(path("100x200-fill-80").replace(old, new, 1))

    assert read is not None
    assert not read.signed_by((NEW, OLD))


def test_another_format_breaks_the_signature() -> None:
    read = ResizePath.parse(re.sub(r"jpg$", "png", path("100x200-fill-80")))

    assert read is not None
    assert not read.signed_by((NEW,))


@pytest.mark.parametrize(
    "change",
    [
        lambda good: good.upper(),
        lambda good: good.replace("100x200", "100X200"),
        lambda good: good.replace("100x200", "0100x200"),
        lambda good: good.replace("100x200", "9000x200"),
        lambda good: good.replace("-80-", "-080-"),
        lambda good: good.replace("-80-", "-101-"),
        lambda good: good.replace("-80-", "-"),
        lambda good: good.removesuffix("jpg") + "jpeg",
        lambda good: good.removesuffix("jpg") + "heic",
        lambda good: good + "/",
        lambda good: good + "\n",
        lambda good: good[1:],
        lambda good: "/m" + good,
        lambda good: good.replace("/o/", "/o/../"),
        lambda good: good.replace("/cat/", "//"),
        lambda good: good.replace("-upscale", "-upscale-"),
        lambda good: "/m/" + "a" * 100_000,
        lambda good: "",
    ],
)
def test_anything_else_is_no_resize_path(change: Callable[[str], str]) -> None:
    assert ResizePath.parse(change(path("100x200-fill-80"))) is None


# Table 3.3 of the service that these URLs come from; what real Thumbor makes of it: tests/stack/test_website.py.
@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("3000x1000-fit-80-noupscale", "fit-in/3000x1000"),
        ("300x500-fit-80-noupscale", "fit-in/300x500"),
        ("200x300-fit-80-noupscale", "96x300"),
        ("300x900-fit-80-upscale", "290x900"),
        ("300x500-fit-80-upscale", "fit-in/300x500"),
        ("200x300-fit-80-upscale", "96x300"),
        ("2000x3000-fill-80-noupscale", "248x768"),
        ("150x900-fill-80-noupscale", "150x768"),
        ("200x100-fill-80-noupscale", "200x100"),
        ("300x1000-fill-80-upscale", "300x1000"),
        ("200x1500-fill-80-upscale", "200x1500"),
        ("200x300-fill-80-upscale", "200x300"),
    ],
)
def test_the_sizes_are_those_of_the_original_service(asked: str, expected: str) -> None:
    assert options(asked) == f"{expected}/filters:quality(80)"


@pytest.mark.parametrize(
    ("asked", "width", "height", "expected"),
    [
        # The original gave 500x450 here.
        ("500x100-fit-80-noupscale", 1000, 900, "fit-in/500x100"),
        ("100x100-fit-80-upscale", 3000, 1, "100x1"),
        ("100x100-fit-80-noupscale", 1, 3000, "1x100"),
        ("600x400-fit-80-upscale", 600, 400, "600x400"),
        ("1500x1500-fit-90-noupscale", 600, 400, "fit-in/1500x1500"),
    ],
)
def test_fit_fits_both_sides(asked: str, width: int, height: int, expected: str) -> None:
    assert options(asked, width, height).partition("/filters")[0] == expected


@pytest.mark.parametrize(
    ("asked", "width", "height", "expected"),
    [
        ("100x200-200x400-80-upscale", 600, 600, "200x100:400x500/100x200"),
        ("100x200-50x100-80-upscale", 600, 600, "275x250:325x350/100x200"),
        ("100x200-50x100-80-noupscale", 600, 600, "275x250:325x350/50x100"),
        # A sample that is larger than the picture is as much of it as there is, in its proportions.
        ("100x200-400x800-80-upscale", 248, 768, "0x136:248x632/100x200"),
        ("100x200-400x800-80-noupscale", 600, 100, "275x0:325x100/50x100"),
        ("1x1000-4x4000-80-upscale", 600, 10, "299x0:300x10/1x1000"),
    ],
)
def test_a_sample_is_the_middle_scaled(asked: str, width: int, height: int, expected: str) -> None:
    assert options(asked, width, height) == f"{expected}/filters:quality(80)"


@pytest.mark.parametrize(
    ("kind", "format_", "added"),
    [
        (JPEG, "jpg", ""),
        (JPEG, "png", ":format(png)"),
        (JPEG, "gif", ":format(gif)"),
        # By what the render is asked to accept, as a browser's.
        (JPEG, "webp", ""),
        (PNG, "avif", ""),
        (WEBP, "webp", ""),
        (AVIF, "webp", ""),
        (WEBP, "jpg", ":format(jpg)"),
        (HEIC, "jpg", ""),
        (TIFF, "png", ""),
        (SVG, "png", ""),
        (SVG, "webp", ":format(webp)"),
        (GIF, "gif", ""),
        (GIF, "jpg", ":format(jpg)"),
        (GIF, "webp", ":format(webp)"),
    ],
)
def test_a_format_is_asked_for_as_the_signed_url_of_the_same_variant_would(
    kind: PictureType, format_: str, added: str
) -> None:
    asked = read_resize(f"10x20-fill-80.{format_}", PICTURE)

    assert asked.options(248, 768, kind) == f"10x20/filters:quality(80){added}"
    assert asked.content_type == BY_EXTENSION[format_].content_type


@pytest.mark.parametrize("asked", ["4096x4096-fit", "4096x4096-fill", "4096x4096-fill-noupscale", "4096x8-512x1"])
@pytest.mark.parametrize("size", [(1, 1), (40_000, 1000), (1000, 40_000)])
def test_the_options_are_always_such_as_may_be_signed(asked: str, size: tuple[int, int]) -> None:
    read_options(options(asked, *size))


def test_variants_of_a_prefix_are_under_a_prefix() -> None:
    assert path("10x10-fit")[1:].startswith(variant_prefix("o/demo/cat/"))


@pytest.mark.parametrize(
    "key", ["m/o/demo/cat", "m/o/demo/cat/1_a.jpg", "m/o/demo/cat/1_a.jpg/", "o/demo/cat/1_a.jpg/x", "m", "", "x/m/o"]
)
def test_anything_else_in_the_website_bucket_is_no_variant(key: str) -> None:
    assert variant_picture(key) is None
