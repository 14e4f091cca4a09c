"""Thumbor option strings: which are taken, which are refused, how one is asked at another width."""

import pytest

from thumbstack.options import read_options
from thumbstack.presets import read_presets
from thumbstack.refusal import BadOptions


@pytest.mark.parametrize(
    "text",
    [
        "",
        "300x200",
        "300x0",
        "-300x-200",
        "fit-in/400x400/filters:quality(90)",
        "adaptive-full-fit-in/400x400",
        "trim:top-left:20/10x20:110x220/fit-in/300x200/left/top/smart/filters:quality(80):format(webp)",
        "filters:watermark(o/demo/logo/1_a.png,-10,-10,50)",
        "filters:watermark(o/demo/logo/1_a.png,-10p,center,50,none,100)",
        "200x300/smart",
    ],
)
def test_thumbor_options_are_kept_as_they_are(text: str) -> None:
    assert str(read_options(text)) == text


@pytest.mark.parametrize("options", read_presets().values())
def test_every_shipped_preset_is_one(options: str) -> None:
    assert str(read_options(options)) == options


@pytest.mark.parametrize(
    "text",
    [
        "unsafe/300x200",
        "meta/300x200",
        "300x200/../..",
        "300x200//smart",
        "/300x200",
        "300x200/",
        "4097x10",
        "10x99999",
        "300x200/filters:quality(90",
        "filters:quality((90))",
        "filters:watermark(http://evil.example/a.png)",
        "300x200?x=1",
        "300x200\n",
        "filters:rgb(1, 2, 3)",
        "filters:background_color(#fff)",
        "filters:watermark(o/demo/logo/1_a.png,-10,-10,50,101)",
        "filters:quality(1):watermark(o/demo/logo/1_a.png,-10,-10,50,none,99999)",
        "filters:watermark(o/demo/logo/1_a.png,-10,-10,50,1e9)",
        "trim:\u0663",  # a digit, in Arabic
        "filters:" + ":".join(["quality(90)"] * 100),
        "o/demo/bob/1_a.jpg",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadOptions):
        read_options(text)


@pytest.mark.parametrize(
    ("text", "width", "asked"),
    [
        ("400x300/smart", 800, "800x600/smart"),
        # Fitted in a box, a tall picture would not have the width that is asked.
        ("fit-in/400x400/filters:quality(90)", 320, "fit-in/320x0/filters:quality(90)"),
        ("full-fit-in/400x300", 320, "full-fit-in/320x0"),
        ("4000x10", 100, "100x1"),
        ("filters:quality(90)", 640, "640x0/filters:quality(90)"),
        ("", 640, "640x0"),
        ("0x300", 640, "640x0"),
    ],
)
def test_a_variant_is_asked_at_another_width(text: str, width: int, asked: str) -> None:
    assert str(read_options(text).of_width(width)) == asked


def test_another_width_makes_no_side_too_long() -> None:
    options = read_options("100x4000")

    assert str(options.of_width(102)) == "102x4080"
    with pytest.raises(BadOptions):
        options.of_width(103)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("", "filters:format(webp)"),
        ("300x200", "300x200/filters:format(webp)"),
        ("300x200/smart", "300x200/smart/filters:format(webp)"),
        ("300x200/filters:quality(90):rgb(1,2,3)", "300x200/filters:quality(90):rgb(1,2,3):format(webp)"),
    ],
)
def test_a_variant_is_asked_in_a_format(text: str, asked: str) -> None:
    options = read_options(text).of_format("webp")

    assert str(options) == asked
    assert read_options(asked) == options
