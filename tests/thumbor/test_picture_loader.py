"""Which originals are loaded, and what happens when S3 does not do its part."""

import io
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from libthumbor.url_signers.base64_hmac_sha1 import UrlSigner
from PIL import Image

from thumbstack.picture_key import PictureKey

if TYPE_CHECKING:
    from tests.thumbor.conftest import S3, ScriptedS3, Thumbor, Thumbors

KEY = "a-key-for-tests-that-is-long-enough"
PICTURE = PictureKey("demo", "cup", "1_0123456789abcdef.jpg")


def signed(text: str) -> str:
    """Sign whatever stands there: what is tested comes after the signature's check."""
    return f"/{UrlSigner(KEY).signature(text).decode()}/{text}"


def test_an_original_is_loaded_and_resized(thumbor: "Thumbor", s3: "S3", coffee: bytes) -> None:
    answer = thumbor.get(s3.put(coffee, "jpg"), "30x20")

    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.size == (30, 20)


def test_a_phones_photo_stands_upright(thumbor: "Thumbor", s3: "S3", coffee: bytes) -> None:
    with Image.open(io.BytesIO(coffee)) as image:
        exif = image.getexif()
        exif[0x0112] = 6
        lying = io.BytesIO()
        image.save(lying, "JPEG", exif=exif)

    answer = thumbor.get(s3.put(lying.getvalue(), "jpg"), "100x0")

    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.size == (100, 150)


def test_a_picture_that_is_not_there_is_404(thumbor: "Thumbor") -> None:
    assert thumbor.get(PICTURE, "30x20").status_code == 404


@pytest.mark.parametrize("change", ["unsafe", "size", "signature", "options", "unsigned"])
def test_unsigned_and_tampered_urls_are_refused(thumbor: "Thumbor", s3: "S3", coffee: bytes, change: str) -> None:
    picture = s3.put(coffee, "jpg")
    good = signed(f"30x20/{picture}")
    paths = {
        "unsafe": f"/unsafe/30x20/{picture}",
        "size": good.replace("/30x20/", "/31x20/"),
        "signature": good.replace(good[3], "x" if good[3] != "x" else "y", 1),
        "options": good.replace("/30x20/", "/30x20/filters:grayscale()/"),
        "unsigned": f"/30x20/{picture}",
    }
    assert thumbor.get_path(good).status_code == 200

    assert 400 <= thumbor.get_path(paths[change]).status_code < 500


@pytest.mark.parametrize("route", ["/image", "/image/1", "/upload", "/blacklist", "/"])
def test_thumbors_other_routes_are_not_there(thumbor: "Thumbor", route: str) -> None:
    assert 400 <= thumbor.get_path(route).status_code < 500


@pytest.mark.parametrize(
    "source",
    [
        "{host}/evil.jpg",
        "http:/127.0.0.1/evil.jpg",
        "other-bucket/o/demo/cup/1.jpg",
        "o/demo/../1.jpg",
        "o/demo/cup",
        "o/demo/cup/more/1.jpg",
        "o/demo/%2E%2E/1.jpg",
        "o/demo/%252E%252E/1.jpg",
        "o/demo/cup%2F..%2F1.jpg",
        "o/demo/CUP/1.jpg",
        "incoming/demo/cup/1.jpg",
        "o/demo/cup/1.jpg%00.png",
    ],
)
def test_what_is_no_picture_key_is_404_and_no_request_leaves(
    on_scripted: "Thumbor", scripted: "ScriptedS3", source: str
) -> None:
    host = f"http://127.0.0.1:{scripted.server_port}"

    answer = on_scripted.get_path(signed(f"30x20/{source.format(host=host)}"))

    assert answer.status_code == 404
    assert scripted.calls == []


def test_a_watermark_from_elsewhere_is_refused_and_no_request_leaves(
    on_scripted: "Thumbor", scripted: "ScriptedS3", coffee: bytes
) -> None:
    picture = scripted.put(coffee)
    host = f"http://127.0.0.1:{scripted.server_port}"

    for number, foreign in enumerate(
        (f"{host}/evil.png", "o/demo/../evil.png", "/etc/passwd", quote(f"{host}/evil.png", ""))
    ):
        answer = on_scripted.get(picture, f"30x2{number}/filters:watermark({foreign},0,0,50)")
        # Stock Thumbor's answer to a watermark that cannot be loaded.
        assert answer.status_code == 400

    assert {call for call in scripted.calls if "test-results" not in call} == {f"GET /test-pictures/{picture}"}


def test_a_watermark_from_our_own_pictures_works(thumbor: "Thumbor", s3: "S3", coffee: bytes, cat: bytes) -> None:
    picture, mark = s3.put(coffee, "jpg"), s3.put(cat, "png")

    plain = thumbor.get(picture, "300x200")
    marked = thumbor.get(picture, f"300x200/filters:watermark({mark},10,10,30,20,20)")

    assert marked.status_code == 200
    assert marked.content != plain.content


@pytest.mark.parametrize(
    "filters",
    [
        "brightness(40)",
        "contrast(40)",
        "rgb(20,-20,40)",
        "round_corner(20,255,255,255)",
        "quality(10)",
        "noise(40)",
        "grayscale()",
        "rotate(90)",
        "format(png)",
    ],
)
def test_a_filter_changes_the_picture(thumbor: "Thumbor", s3: "S3", coffee: bytes, filters: str) -> None:
    picture = s3.put(coffee, "jpg")

    answer = thumbor.get(picture, f"60x40/filters:{filters}")

    assert answer.status_code == 200
    assert answer.content != thumbor.get(picture, "60x40").content


@pytest.mark.parametrize(
    ("fault", "status"),
    [("404", 404), ("403", 502), ("500", 502), ("503", 502), ("truncate", 502), ("hang", 504)],
)
def test_trouble_with_the_original_is_never_500_and_never_a_hang(
    on_scripted: "Thumbor", scripted: "ScriptedS3", coffee: bytes, fault: str, status: int
) -> None:
    picture = scripted.put(coffee)
    scripted.faults["test-pictures", "GET"] = fault

    assert on_scripted.get(picture, "30x20").status_code == status

    scripted.faults.clear()
    assert on_scripted.get(picture, "30x20").status_code == 200


def test_an_s3_that_refuses_connections_is_502(thumbors: "Thumbors", s3: "S3") -> None:
    nobody = thumbors.start({**s3.environment(), "S3_ENDPOINT": "http://127.0.0.1:9"})

    assert nobody.get(PICTURE, "30x20").status_code == 502


def test_a_bucket_that_is_gone_is_no_missing_picture(thumbors: "Thumbors", s3: "S3") -> None:
    misled = thumbors.start({**s3.environment(), "PICTURES_BUCKET": "no-such-bucket-here"})

    assert misled.get(PICTURE, "30x20").status_code == 502
