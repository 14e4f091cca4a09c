"""Where a picture was taken goes; everything else stays as it is, byte for byte."""

import io
import re
import struct
import zlib
from collections.abc import Callable

import pytest
from PIL import Image, PngImagePlugin

from tests.thumbstack.samples import IMAGES, multi_picture, picture
from thumbstack.containers import png
from thumbstack.location import without_location
from thumbstack.picture_type import AVIF, GIF, HEIC, JPEG, PDF, PNG, SVG, TIFF, WEBP, PictureType

GPS = 0x8825
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/"'
    b' exif:GPSLatitude="46,31.2N"\n  drone-dji:GpsLongtitude = \'7.04\' exif:ColorSpace="1" dc:rights="Ada">'
    b"<exif:GPSAltitude>4478/1</exif:GPSAltitude><exif:GPSMapDatum/></rdf:Description></rdf:RDF></x:xmpmeta>"
)
SECRET = re.compile(rb"46,31|7\.04|4478|gps", re.IGNORECASE)
ICC = b"a colour profile, or as good as one" * 4


def exif(*, gps: bool = True) -> Image.Exif:
    """What a phone writes: how it was held, whose picture it is, and where it was."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x013B] = "Ada Lovelace, who has a name of more than four bytes"
    exif[0x8298] = "(c) Ada"
    exif.get_ifd(0x8769)[0x927C] = b"maker's note " * 9
    if gps:
        exif.get_ifd(GPS).update({1: "N", 2: (46.0, 31.0, 12.3), 3: "E", 4: (7.0, 2.0, 2.5), 27: b"ASCII\0\0\0manual"})
    return exif


def saved(format_: str, *, gps: bool = True, **options: object) -> bytes:
    """A picture with all of it."""
    out = io.BytesIO()
    options = {"exif": exif(gps=gps).tobytes(), "icc_profile": ICC, **options}
    Image.linear_gradient("L").convert("RGB").resize((64, 48)).save(out, format_, **options)
    return out.getvalue()


def saved_tiff(*, gps: bool = True) -> bytes:
    out = io.BytesIO()
    tags = exif(gps=gps)
    Image.linear_gradient("L").convert("RGB").resize((64, 48)).save(out, "TIFF", exif=tags.tobytes(), icc_profile=ICC)
    return out.getvalue()


def heic() -> bytes:
    return (IMAGES / "coffee.heic").read_bytes()


WITH_GPS: dict[PictureType, Callable[[], bytes]] = {
    JPEG: lambda: saved("JPEG", xmp=XMP, comment=b"a comment"),
    PNG: lambda: saved("PNG"),
    WEBP: lambda: saved("WEBP", xmp=XMP),
    AVIF: lambda: saved("AVIF", xmp=XMP),
    TIFF: saved_tiff,
}


def read(body: bytes) -> tuple[bytes, dict[int, object], dict[int, object], object]:
    """Pixels, EXIF, GPS and colour profile, as Pillow reads them."""
    with Image.open(io.BytesIO(body)) as image:
        found = image.getexif()
        tags = {tag: value for tag, value in found.items() if tag not in (GPS, 0x8769)}
        tags |= found.get_ifd(0x8769)
        return image.tobytes(), tags, dict(found.get_ifd(GPS)), image.info.get("icc_profile")


@pytest.mark.parametrize("kind", WITH_GPS, ids=lambda kind: kind.extension)
def test_the_location_goes_and_all_else_stays(kind: PictureType) -> None:
    body = WITH_GPS[kind]()
    pixels, tags, gps, profile = read(body)
    assert gps, "the test's own picture has no GPS"

    cleaned = without_location(body, kind)

    assert read(cleaned) == (pixels, tags, {}, profile)
    assert len(cleaned) == len(body)
    assert not SECRET.search(cleaned)
    if b"a comment" in body:
        assert b"a comment" in cleaned
    assert (b'exif:ColorSpace="1" dc:rights="Ada"' in cleaned) is (b"xmpmeta" in body)


@pytest.mark.parametrize("order", ["II", "MM"])
def test_only_the_entry_and_its_directory_change(order: str) -> None:
    body = saved("JPEG", gps=False)
    pack = "<" if order == "II" else ">"
    tags = [(0x0112, 3, 1, struct.pack(pack + "HH", 3, 0)), (GPS, 4, 1, struct.pack(pack + "I", 38))]
    gps = struct.pack(pack + "HHHI4sI", 1, 1, 2, 2, b"N\0\0\0", 0)
    tiff = order.encode() + struct.pack(pack + "HIH", 42, 8, 2)
    tiff += b"".join(struct.pack(pack + "HHI4s", *tag) for tag in tags) + struct.pack(pack + "I", 0) + gps + b"the rest"
    segment = b"Exif\0\0" + tiff
    body = body[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + body[2:]

    cleaned = without_location(body, JPEG)

    changed = [index for index in range(len(body)) if cleaned[index] != body[index]]
    assert changed[0] >= 2 + 4 + 6 + 8
    assert changed[-1] < 2 + 4 + 6 + 38 + len(gps)
    with Image.open(io.BytesIO(cleaned)) as image:
        assert (dict(image.getexif())[0x0112], GPS in image.getexif()) == (3, False)


def test_a_heic_keeps_its_pixels_and_its_rights() -> None:
    body = heic()
    assert b"46,31" in body

    cleaned = without_location(body, HEIC)

    assert len(cleaned) == len(body)
    assert not SECRET.search(cleaned)
    assert b"(c) Tests" in cleaned
    meta_end = body.index(b"mdat")
    assert cleaned[:meta_end] == body[:meta_end]
    tiff = re.search(rb"II\*\0|MM\0\*", cleaned[meta_end:])
    assert tiff
    exif = Image.Exif()
    exif.load(b"Exif\0\0" + cleaned[meta_end + tiff.start() :])
    assert GPS not in exif
    assert exif[0x013B] == "Ada"


@pytest.mark.parametrize("compressed", [False, True])
def test_a_png_s_texts_lose_it_too(compressed: bool) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", XMP.decode(), zip=compressed)
    raw = exif().tobytes()
    info.add_text("Raw profile type exif", f"\nexif\n{len(raw):8}\n{raw.hex()}\n", zip=compressed)
    info.add_text("exif:GPSLatitude", "46/1, 31/1")
    info.add_text("Author", "Ada at 46,31", zip=compressed)
    body = saved("PNG", gps=False, pnginfo=info)

    cleaned = without_location(body, PNG)

    with Image.open(io.BytesIO(cleaned)) as image:
        image.load()
        text = image.info
        assert set(text) >= {"XML:com.adobe.xmp", "Author"}
        assert text["Author"] == "Ada at 46,31"
        assert not SECRET.search(text["XML:com.adobe.xmp"].encode())
        assert "exif:GPSLatitude" not in text
        profile = Image.Exif()
        profile.load(bytes.fromhex("".join(text["Raw profile type exif"].split()[2:])))
        assert GPS not in profile
        assert profile[0x8298] == "(c) Ada"
    for chunk in png.chunks(cleaned):
        crc = zlib.crc32(cleaned[chunk.start + 4 : chunk.end - 4])
        assert cleaned[chunk.end - 4 : chunk.end] == struct.pack(">I", crc)


def test_the_second_picture_of_a_camera_loses_it_too() -> None:
    body = saved("JPEG", gps=False) + bytes(64) + saved("JPEG")

    cleaned = without_location(body, JPEG)

    second = cleaned[cleaned.rindex(b"\xff\xd8\xff\xe0") :]
    assert len(cleaned) == len(body)
    assert read(second)[2] == {}


def test_the_video_of_a_motion_photo_loses_it_too() -> None:
    xyz = b"\0\0\0\x1e\xa9xyz\0\x12\x15\xc7+46.5200+007.0400/"
    loci = b"\0\0\0\x20loci\0\0\0\0\x15\xc7Place\0\0\0\x2e\0\0\0\x07\0\0\0"
    video = b"\0\0\0\x10ftypmp42\0\0\0\0" + b"\0\0\0\x46moov" + xyz + loci
    body = saved("JPEG", gps=False) + video

    cleaned = without_location(body, JPEG)

    assert len(cleaned) == len(body)
    assert b"+00.0000+000.0000/" in cleaned
    assert b"loci" not in cleaned
    assert b"Place" not in cleaned


def test_a_gif_loses_it_too() -> None:
    ramp = b"\1" + bytes(range(255, -1, -1)) + b"\0"
    body = picture("GIF")
    body = body[:-1] + b"\x21\xff\x0bXMP DataXMP" + XMP + ramp + b";"

    cleaned = without_location(body, GIF)

    assert not SECRET.search(cleaned)
    with Image.open(io.BytesIO(cleaned)) as image:
        image.load()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (saved("JPEG", gps=False), JPEG),
        (saved("PNG", gps=False), PNG),
        (saved("WEBP", gps=False), WEBP),
        (saved("AVIF", gps=False), AVIF),
        (saved_tiff(gps=False), TIFF),
        (picture("GIF"), GIF),
        (multi_picture(), JPEG),
        (b"<svg/>", SVG),
        (b"%PDF-1.7", PDF),
    ],
)
def test_a_picture_without_a_location_is_the_very_same(body: bytes, kind: PictureType) -> None:
    assert without_location(body, kind) is body
