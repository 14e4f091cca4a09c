"""Thumbor option strings: which are taken, which are refused, how one is asked at another width."""

import pytest
from libthumbor import CryptoURL

from thumbstack.options import read_options
from thumbstack.picture_key import PictureKey
from thumbstack.presets import read_presets
from thumbstack.refusal import BadOptions
from thumbstack.signing import signed_path


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
        ("fit-in/400x400/filters:quality(90)", 320, "fit-in/320x320/filters:quality(90)"),
        ("filters:quality(90)", 640, "640x0/filters:quality(90)"),
        ("", 640, "640x0"),
        ("0x300", 640, "640x0"),
    ],
)
def test_a_variant_is_asked_at_another_width(text: str, width: int, asked: str) -> None:
    assert str(read_options(text).of_width(width)) == asked


def test_a_signed_path_is_what_libthumbor_makes() -> None:
    picture = PictureKey("demo", "bob", "1763600000_0123456789abcdef.jpg")
    theirs = CryptoURL(key="k" * 32).generate(image_url=str(picture), width=300, height=200, smart=True)

    assert signed_path(picture, "300x200/smart", "k" * 32) == theirs


def test_the_signature_of_the_original_proxy_is_ours() -> None:
    # Vector of the Renuo thumbs proxy: https://github.com/renuo/renuo-thumbs-proxy
    from libthumbor.url_signers.base64_hmac_sha1 import UrlSigner

    signer = UrlSigner("UJwHAZLsRejTyLI88lAriHL7xAXa6q0umiwwpPcP")

    assert (
        signer.signature("200x300/smart/ao3ief5j.cloudfront.com/o/app-env/abcd/x.jpg")
        == b"1F9lm7tvzty050d8dRMOrDujQjA="
    )
