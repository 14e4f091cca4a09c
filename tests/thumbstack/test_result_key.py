import pytest

from thumbstack.picture_key import PictureKey
from thumbstack.result_key import read_result_key, result_format, result_key

AVIF, WEBP, NEITHER = "image/avif", "image/webp", "image/jpeg,image/png,image/*;q=0.1"


def picture(extension: str) -> PictureKey:
    return PictureKey("demo", "cup", f"1_ab.{extension}")


# What real Thumbor does is compared in tests/thumbor/test_formats.py.
@pytest.mark.parametrize(
    ("extension", "options", "accept", "expected"),
    [
        ("jpg", "300x200", NEITHER, "jpg"),
        ("jpg", "300x200", WEBP, "webp"),
        ("jpg", "300x200", AVIF, "avif"),
        ("jpg", "300x200", f"{AVIF},{WEBP}", "webp"),
        ("jpeg", "", NEITHER, "jpg"),
        ("tiff", "", NEITHER, "png"),
        ("jpg", "filters:format(png)", AVIF, "png"),
        ("jpg", "300x200/filters:quality(9):format( 'JPEG' )", AVIF, "jpg"),
        ("jpg", "filters:format(png):format(gif)", AVIF, "gif"),
        ("jpg", "filters:format(bmp)", AVIF, "avif"),
        ("png", "filters:format(heic)", AVIF, "png"),
        ("gif", "filters:format(png)", AVIF, "png"),
        ("gif", "filters:format(gif)", NEITHER, "gif"),
        ("gif", "filters:format(gif)", AVIF, "gif"),
        ("gif", "filters:format(heic)", AVIF, "gif"),
        ("avif", "", AVIF, "avif"),
        ("avif", "", WEBP, "webp"),
        ("avif", "", NEITHER, "jpg"),
        ("avif", "filters:format(avif)", NEITHER, "avif"),
        ("webp", "", NEITHER, "webp"),
        ("jpg", "filters:noformat(png)", NEITHER, "jpg"),
    ],
)
def test_the_format_is_what_thumbor_would_write(extension: str, options: str, accept: str, expected: str) -> None:
    assert result_format(picture(extension), options, accept) == expected


@pytest.mark.parametrize("options", ["", "300x200", "fit-in/400x400/filters:quality(90)"])
def test_a_result_key_begins_with_its_picture_and_is_read_back(options: str) -> None:
    key = result_key(picture("jpg"), options, "webp")

    assert key.startswith("o/demo/cup/1_ab.jpg/")
    assert key.endswith(".webp")
    assert read_result_key(key) == (picture("jpg"), options)


@pytest.mark.parametrize(
    "options",
    [
        "a" * 201,
        "/".join("b" * 200 for _ in range(5)),
        "filters:x(a//b)",
        "filters:x(/../b)",
        "filters:x(\n)",
        "filters:x(é)",
    ],
    ids=["segment", "key", "empty segment", "dots", "control", "not ASCII"],
)
def test_options_that_not_every_store_keeps_are_hashed(options: str) -> None:
    key = result_key(picture("jpg"), options, "avif")

    assert len(key) < 120
    assert read_result_key(key) == (picture("jpg"), None)
    assert key != result_key(picture("jpg"), options + "c", "avif")


@pytest.mark.parametrize("key", ["o/demo/cup/1_ab.jpg", "x/demo/cup/1_ab.jpg/_.jpg", "o/demo/../1_ab.jpg/_.jpg", ""])
def test_anything_else_is_no_result_key(key: str) -> None:
    assert read_result_key(key) is None
