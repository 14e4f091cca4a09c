"""Pictures that stock Thumbor does not read, or writes wrongly: HEIC, SVG, and more colours than a PNG knows."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

if TYPE_CHECKING:
    from tests.thumbor.conftest import S3, Thumbor

IMAGES = Path(__file__).parents[1] / "images"
AVIF, WEBP, NEITHER = "image/avif", "image/webp", "image/jpeg,image/png,image/*;q=0.1"
ACCEPTED = pytest.mark.parametrize("accept", [AVIF, WEBP, NEITHER])
PLAIN = ("", "40x0", "fit-in/40x40", "10x10:30x30/40x40", "filters:grayscale()")


def opened(body: bytes) -> Image.Image:
    with Image.open(io.BytesIO(body)) as image:
        image.load()
        return image


def mean(image: Image.Image) -> float:
    return float(np.asarray(image.convert("L")).mean())


def encoded(image: Image.Image, name: str) -> bytes:
    out = io.BytesIO()
    image.save(out, name)
    return out.getvalue()


def lab(image: Image.Image) -> Image.Image:
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    converted = ImageCms.applyTransform(image, to_lab)
    assert converted is not None
    return converted


@ACCEPTED
def test_heic_is_shown_to_everybody(thumbor: "Thumbor", s3: "S3", accept: str, coffee: bytes) -> None:
    picture = s3.put((IMAGES / "coffee.heic").read_bytes(), "heic")

    for options in ("fit-in/60x60", "", "60x60/filters:format(heic)"):
        answer = thumbor.get(picture, options, accept)

        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == (
            accept if accept != NEITHER and "format" not in options else "image/jpeg"
        )
        assert abs(mean(opened(answer.content)) - mean(opened(coffee))) < 10, options


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_heic_stands_upright(thumbor: "Thumbor", s3: "S3", orientation: int) -> None:
    # As a phone stores it: an image property turns it, and EXIF says so once more.
    seen = Image.new("RGB", (80, 40), "white")
    seen.paste("black", (0, 0, 40, 40))
    turned = {1: None, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    turn = turned[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    lying = seen if turn is None else seen.transpose(turn)
    pillow_heif.from_pillow(lying).save(out, exif=exif.tobytes(), quality=95)

    image = opened(thumbor.get(s3.put(out.getvalue(), "heic"), "", NEITHER).content)

    assert image.size == (80, 40)
    assert mean(image.crop((0, 0, 38, 40))) < 20
    assert mean(image.crop((42, 0, 80, 40))) > 235


@ACCEPTED
@pytest.mark.parametrize("kind", ["16 bits", "LAB", "CMYK", "palette with alpha", "float"])
def test_rare_colours_are_shown(thumbor: "Thumbor", s3: "S3", kind: str, accept: str) -> None:
    ramp = np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16)
    grey = Image.fromarray((ramp >> 8).astype(np.uint8))
    image, name = {
        "16 bits": (Image.fromarray(ramp), "PNG"),
        "LAB": (lab(grey.convert("RGB")), "TIFF"),
        "CMYK": (grey.convert("CMYK"), "TIFF"),
        "palette with alpha": (grey.convert("P").convert("PA"), "TIFF"),
        "float": (grey.convert("F"), "TIFF"),
    }[kind]
    picture = s3.put(encoded(image, name), name.lower())

    for options in PLAIN:
        answer = thumbor.get(picture, options, accept)
        assert answer.status_code == 200, options
        if "10x10" not in options:
            assert abs(mean(opened(answer.content)) - mean(grey)) < 8, options


def drawing(body: str, size: str = 'width="24" height="12"') -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{body}</svg>'.encode()


@pytest.mark.parametrize(
    ("options", "size"),
    [
        pytest.param("", (24, 12), id="its own"),
        pytest.param("fit-in/400x400", (400, 200), id="fit in"),
        pytest.param("400x400", (400, 400), id="cut"),
        pytest.param("0x6", (12, 6), id="smaller"),
        pytest.param("0x0:12x12/100x100", (100, 100), id="crop"),
        pytest.param("fit-in/4096x4096", None, id="large"),
    ],
)
def test_svg_is_drawn_sharp_and_on_white(
    thumbor: "Thumbor", s3: "S3", options: str, size: tuple[int, int] | None
) -> None:
    picture = s3.put(drawing('<rect width="12" height="12" fill="blue"/>'), "svg")

    answer = thumbor.get(picture, options, NEITHER)

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "image/png"
    image = opened(answer.content)
    assert image.width * image.height <= 16_000_000
    if size is None:
        return
    assert image.size == size
    rgb = image.convert("RGB")
    assert rgb.getpixel((1, 1)) == (0, 0, 255)
    if options != "0x0:12x12/100x100":
        assert rgb.getpixel((image.width - 1, image.height - 1)) == (255, 255, 255)
        # Drawn in its size, not enlarged: only the edge itself is blurred.
        colours = rgb.crop((0, 1, image.width, 2)).getcolors()
        assert colours is not None
        assert len(colours) <= 12


def test_svg_in_printers_points_is_drawn(thumbor: "Thumbor", s3: "S3") -> None:
    picture = s3.put(drawing("", 'width="30pt" viewBox="0 0 60 20"'), "svg")

    assert opened(thumbor.get(picture, "", NEITHER).content).size == (40, 13)


def test_svg_that_cannot_be_drawn_large_is_drawn_in_its_own_size(thumbor: "Thumbor", s3: "S3") -> None:
    slow = '<filter id="a"><feMorphology operator="dilate" radius="2"/></filter><circle r="9" filter="url(#a)"/>'
    picture = s3.put(drawing(slow), "svg")

    assert opened(thumbor.get(picture, "3000x1500", NEITHER).content).size == (3000, 1500)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_svg_text_is_drawn(thumbor: "Thumbor", s3: "S3", encoding: str) -> None:
    text = '<text x="10" y="60" font-size="50">Möwe</text>'
    svg = drawing(text, 'width="200" height="80"').decode().encode(encoding)

    image = opened(thumbor.get(s3.put(svg, "svg"), "", NEITHER).content)

    if not list(Path("/usr/share/fonts").rglob("DejaVuSans.ttf")):
        pytest.skip("the font is not installed (Debian: fonts-dejavu-core): text in SVG is not tested")
    assert mean(image) < 250


@pytest.mark.parametrize(
    "svg",
    [
        pytest.param(drawing("<script>1</script>"), id="script"),
        pytest.param(drawing('<image href="file:///etc/hostname" width="9" height="9"/>'), id="file"),
        pytest.param(drawing("<rect", ""), id="broken"),
        pytest.param(drawing("<rect/>", 'width="100000" height="100000"'), id="more than memory"),
        pytest.param(
            drawing(
                '<filter id="a"><feMorphology operator="dilate" radius="1500"/></filter>'
                '<circle r="500" filter="url(#a)"/>',
                'width="4000" height="4000"',
            ),
            id="more than time",
        ),
    ],
)
def test_an_svg_that_is_not_drawn_harms_nobody(thumbor: "Thumbor", s3: "S3", svg: bytes) -> None:
    picture = s3.put(svg, "svg")

    assert thumbor.get(picture, "10x10:100x100/100x100").status_code == 422
    assert thumbor.get_path("/healthcheck").text == "WORKING"
    assert thumbor.process.poll() is None
