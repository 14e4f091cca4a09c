"""What takes too much is refused before it is decoded, also where it was put straight into the bucket."""

import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from PIL import Image

if TYPE_CHECKING:
    from tests.thumbor.conftest import S3, Thumbor, Thumbors

MEGABYTE = 1024 * 1024


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def enormous_jpeg() -> bytes:
    """A JPEG that says it has 64250x64250 pixels."""
    body = encoded(Image.new("RGB", (64, 64)), "JPEG")
    at = body.index(b"\xff\xc0") + 5
    return body[:at] + struct.pack(">HH", 64250, 64250) + body[at + 4 :]


def enormous_png() -> bytes:
    """A PNG that says so."""
    body = encoded(Image.new("RGB", (64, 64)), "PNG")
    head = b"IHDR" + struct.pack(">II", 64250, 64250) + body[24:29]
    return body[:12] + head + struct.pack(">I", zlib.crc32(head)) + body[33:]


def enormous_webp() -> bytes:
    """A WebP that says it has 16383x16383."""
    body = bytearray(encoded(Image.new("RGBA", (64, 64), (1, 2, 3, 4)), "WEBP", lossless=False))
    assert body[12:16] == b"VP8X"
    body[24:30] = (16382).to_bytes(3, "little") * 2
    return bytes(body)


def claiming_exif() -> bytes:
    """EXIF of 98 bytes, an entry of which claims two thousand million numbers: piexif made room for them."""
    entries = b"".join(struct.pack("<HHII", tag, 3, 0x7FFFFFFF, 8) for tag in range(0x100, 0x107))
    exif = b"Exif\0\0II*\0" + struct.pack("<I", 8) + struct.pack("<H", 7) + entries + bytes(4)
    return encoded(Image.new("RGB", (64, 64)), "JPEG", exif=exif)


def long_gif() -> bytes:
    """A GIF of a thousand frames."""
    frames = [Image.new("RGB", (2, 2), color) for color in ("red", "teal")] * 500
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


def large_animation() -> bytes:
    """A WebP of few frames, but large ones: 120 million pixels."""
    frames = [Image.new("RGB", (2000, 2000), color) for color in ("red", "teal")] * 15
    return encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True, quality=0, method=0)


def tiled_tiff() -> bytes:
    """A TIFF of 16x16 in a tile of 65520x65520."""
    body = bytearray(encoded(Image.new("L", (16, 16)), "TIFF"))
    at = struct.unpack_from("<I", body, 4)[0]
    count = struct.unpack_from("<H", body, at)[0]
    entries = [bytes(body[at + 2 + 12 * n : at + 14 + 12 * n]) for n in range(count)]
    entries += [struct.pack("<HHII", tag, 4, 1, 65520) for tag in (322, 323)]
    entries.append(struct.pack("<HHII", 324, 4, 1, 8))
    directory = struct.pack("<H", len(entries)) + b"".join(sorted(entries)) + bytes(4)
    struct.pack_into("<I", body, 4, len(body))
    return bytes(body) + directory


def many_pieces_of_exif() -> bytes:
    """A good JPEG with EXIF in two hundred pieces, which Pillow copies all together with each."""
    body = encoded(Image.new("RGB", (64, 64)), "JPEG")
    return body[:2] + b"\xff\xe1\0\x08Exif\0\0" * 200 + body[2:]


def truncated(photo: bytes) -> bytes:
    """Two thirds of a photograph."""
    return photo[: len(photo) * 2 // 3]


def peak(thumbor: "Thumbor") -> int:
    """The most memory that the process ever had, in bytes."""
    with open(f"/proc/{thumbor.process.pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


@pytest.fixture(scope="module")
def fresh(thumbors: "Thumbors", s3: "S3") -> "Thumbor":
    """One that has not rendered anything large."""
    return thumbors.start(s3.environment())


BROKEN = {
    "64250x64250 as JPEG": (enormous_jpeg, "jpg"),
    "64250x64250 as PNG": (enormous_png, "png"),
    "16383x16383 as WebP": (enormous_webp, "webp"),
    "a thousand frames": (long_gif, "gif"),
    "a large animation": (large_animation, "webp"),
    "a large tile": (tiled_tiff, "tiff"),
    "no picture": (lambda: b"this is no picture", "jpg"),
    "nothing": (lambda: b"", "jpg"),
    "too many pieces of EXIF": (many_pieces_of_exif, "jpg"),
    "too many scans": (lambda: enormous_jpeg()[:2] + b"\xff\xda\0\2" * 200, "jpg"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_takes_too_much_is_refused_and_takes_nothing(fresh: "Thumbor", s3: "S3", what: str) -> None:
    make, extension = BROKEN[what]
    picture = s3.put(make(), extension)
    before = peak(fresh)

    for options in ("60x40", "", "10x10:30x30/filters:grayscale()"):
        assert fresh.get(picture, options).status_code == 422

    assert peak(fresh) - before < 60 * MEGABYTE
    assert s3.results(picture) == []


@pytest.mark.parametrize("options", ["60x40", "", "filters:grayscale()", "5x5:60x60/30x30", "trim/30x30"])
def test_a_cut_off_picture_is_refused_and_not_shown_grey(
    thumbor: "Thumbor", s3: "S3", coffee: bytes, options: str
) -> None:
    assert thumbor.get(s3.put(truncated(coffee), "jpg"), options).status_code == 422


def test_exif_that_claims_much_takes_nothing_and_the_picture_is_shown(fresh: "Thumbor", s3: "S3") -> None:
    before = peak(fresh)

    assert fresh.get(s3.put(claiming_exif(), "jpg"), "60x40").status_code == 200

    assert peak(fresh) - before < 60 * MEGABYTE


def test_an_original_of_twice_the_bytes_that_may_be_uploaded_is_not_read(thumbors: "Thumbors", s3: "S3") -> None:
    thumbor = thumbors.start({**s3.environment(), "MAX_UPLOAD_BYTES": "50000"})

    turned, larger = (encoded(Image.effect_noise((side, side), 99), "PNG") for side in (270, 350))

    assert 50000 < len(turned) < 100000 < len(larger)
    assert thumbor.get(s3.put(turned, "png"), "60x40").status_code == 200
    assert thumbor.get(s3.put(larger, "png"), "60x40").status_code == 422


@pytest.mark.parametrize(
    "options",
    [
        "4097x10",
        "10x4097",
        "fit-in/5000x5000",
        "4097x4097/filters:no_upscale()",
        "fit-in/9000x9/filters:fill(red)",
        # In proportion: 20 by 100 becomes 4096 by 20480.
        "4096x0",
        "full-fit-in/4096x4096",
        "fit-in/4096x40960/filters:upscale()",
        "0x0:20x10/0x4096",
    ],
)
def test_no_address_makes_a_side_longer_than_4096(thumbor: "Thumbor", s3: "S3", options: str) -> None:
    picture = s3.put(encoded(Image.new("RGB", (20, 100)), "PNG"), "png")

    assert thumbor.get(picture, options).status_code == 400


def test_two_of_the_largest_pictures_at_once_stay_within_the_containers_memory(thumbors: "Thumbors", s3: "S3") -> None:
    thumbor = thumbors.start(s3.environment())
    body = encoded(Image.new("RGB", (8000, 5000), "teal"), "WEBP", lossless=True, quality=0, method=0)
    pictures = [s3.put(body, "webp") for _ in range(3)]

    with ThreadPoolExecutor(3) as clients:
        statuses = [answer.status_code for answer in clients.map(lambda each: thumbor.get(each, "300x200"), pictures)]

    assert statuses == [200] * 3
    assert peak(thumbor) < 900 * MEGABYTE


def test_a_broken_original_is_decoded_once_and_looked_at_again_when_it_is_another(
    thumbor: "Thumbor", s3: "S3", coffee: bytes
) -> None:
    picture = s3.put(truncated(coffee), "jpg")
    thumbor.lines()

    for size in ("60x40", "61x40", "60x41"):
        assert thumbor.get(picture, size).status_code == 422

    tried = [line for line in thumbor.lines() if line["level"] == "warning" and "truncated" in line["message"]]
    assert len(tried) == 1
    s3.client.put_object(Bucket="test-pictures", Key=str(picture), Body=coffee)
    assert thumbor.get(picture, "60x40").status_code == 200
    s3.client.delete_object(Bucket="test-pictures", Key=str(picture))
    assert thumbor.get(picture, "62x40").status_code == 404
