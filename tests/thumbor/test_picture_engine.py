"""What the engine makes of pixels: that it decodes little, and that nobody sees it."""

import io
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps
from thumbor.config import Config
from thumbor.context import RequestParameters

if TYPE_CHECKING:
    from picture_engine import Engine

LANCZOS = Image.Resampling.LANCZOS
Box = tuple[int, int, int, int]


@pytest.fixture(scope="module", autouse=True)
def _pillow_as_it_was() -> Iterator[None]:
    """Thumbor's engine, once imported, changes settings of Pillow that are all the process's."""
    openers, most = dict(Image.OPEN), Image.MAX_IMAGE_PIXELS
    block, truncated = ImageFile.MAXBLOCK, ImageFile.LOAD_TRUNCATED_IMAGES
    yield
    Image.OPEN.clear()
    Image.OPEN.update(openers)
    Image.ID[:] = [name for name in Image.ID if name in openers]
    Image.MAX_IMAGE_PIXELS, ImageFile.MAXBLOCK, ImageFile.LOAD_TRUNCATED_IMAGES = most, block, truncated


def loaded(body: bytes, extension: str, filters: str = "", **asked: object) -> "Engine":
    from picture_engine import Engine

    config = Config(MAX_PIXELS=40_000_000, AVIF_SPEED=9)
    context = SimpleNamespace(config=config, request=RequestParameters(filters=filters, **asked))
    engine = Engine(context)
    context.modules = SimpleNamespace(engine=engine)
    engine.load(body, extension)
    return engine


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def decoded(body: bytes) -> Image.Image:
    with Image.open(io.BytesIO(body)) as image:
        image.load()
        return image


def likeness(one: Image.Image, other: Image.Image) -> float:
    """PSNR in dB; from 40 on nobody sees a difference."""
    assert one.size == other.size
    first, second = (np.asarray(image.convert("RGB"), dtype=float) for image in (one, other))
    return float(10 * np.log10(255**2 / max(np.square(first - second).mean(), 1e-9)))


def upright(lying: Image.Image, orientation: int) -> Image.Image:
    image = lying.copy()
    image.getexif()[0x0112] = orientation
    return ImageOps.exif_transpose(image)


@pytest.fixture(scope="module")
def photographs(coffee: bytes, cat: bytes) -> dict[str, Image.Image]:
    """Photographs of odd sizes, as a camera's: of the same sharpness as the small ones they are of."""
    small = {"coffee": decoded(coffee).convert("RGB"), "cat": decoded(cat).convert("RGB")}
    return {
        "landscape": small["coffee"].resize((2040, 1356), LANCZOS),
        "odd": small["coffee"].resize((2001, 1333), LANCZOS),
        "portrait": small["cat"].rotate(90, expand=True).resize((1503, 2251), LANCZOS),
    }


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("box", [None, (30, 10, 170, 90)])
@pytest.mark.parametrize("size", [None, (50, 37)])
def test_turned_cut_resized_and_mirrored_at_once_is_the_same_as_in_steps(
    coffee: bytes, orientation: int, box: Box | None, size: tuple[int, int] | None
) -> None:
    lying = decoded(coffee).resize((200, 180), LANCZOS)
    exif = Image.Exif()
    exif[0x0112] = orientation
    engine = loaded(encoded(lying, "PNG", exif=exif), ".png")
    expected = upright(lying, orientation)

    engine.reorientate()
    if box:
        engine.crop(*box)
        expected = expected.crop(box)
    if size:
        engine.resize(*size)
        expected = expected.resize(size, LANCZOS)
    engine.flip_horizontally()
    expected = ImageOps.mirror(expected)

    assert engine.size == expected.size
    assert likeness(decoded(engine.read(".png")), expected) > (99 if not size else 45)


def fit(engine: "Engine", _: Image.Image) -> Box | None:
    engine.resize(512, round(512 * engine.size[1] / engine.size[0]))
    return None


def cut(engine: "Engine", _: Image.Image) -> Box | None:
    width, height = engine.size
    side = min(width, height)
    box = (width - side) // 2, (height - side) // 2, (width + side) // 2, (height + side) // 2
    engine.crop(*box)
    engine.resize(300, 300)
    return box


def part(engine: "Engine", _: Image.Image) -> Box | None:
    engine.crop(101, 203, 1302, 1103)
    engine.resize(240, 180)
    return 101, 203, 1302, 1103


@pytest.mark.parametrize("name", ["landscape", "odd", "portrait"])
@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(("shape", "least"), [(fit, 40), (cut, 44), (part, 44)])
def test_a_jpeg_that_is_decoded_small_looks_like_one_that_is_not(
    photographs: dict[str, Image.Image],
    name: str,
    orientation: int,
    shape: Callable[["Engine", Image.Image], Box | None],
    least: float,
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    body = encoded(photographs[name], "JPEG", quality=90, exif=exif)
    whole = upright(decoded(body), orientation)
    engine = loaded(body, ".jpg")
    source = engine.image

    engine.reorientate()
    box = shape(engine, whole)
    made = decoded(engine.read(".png"))

    assert likeness(made, (whole.crop(box) if box else whole).resize(made.size, LANCZOS)) > least
    assert source.width * source.height <= photographs[name].width * photographs[name].height / 4 + 4000


def test_formats_look_alike_and_the_newer_is_the_smaller(
    photographs: dict[str, Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SECURITY_KEYS", "PICTURES_BUCKET", "RESULTS_BUCKET"):
        monkeypatch.setenv(name, "a-value-that-is-long-enough-for-all")
    conf = runpy.run_path(str(Path(__file__).parents[2] / "thumbor" / "thumbor.conf"))
    qualities = {".jpg": 80, ".webp": conf["WEBP_QUALITY"], ".avif": conf["AVIF_QUALITY"]}
    for image in photographs.values():
        small = image.resize((512, round(512 * image.height / image.width)), LANCZOS)
        bodies = {
            extension: loaded(encoded(small, "PNG"), ".png").read(extension, quality)
            for extension, quality in qualities.items()
        }
        sizes = {extension: len(body) for extension, body in bodies.items()}
        seen = {extension: likeness(decoded(body), small) for extension, body in bodies.items()}

        assert sizes[".avif"] < sizes[".webp"] < sizes[".jpg"], sizes
        assert max(seen.values()) - min(seen.values()) < 3, seen


@pytest.mark.parametrize("kind", ["photograph", "drawing"])
def test_a_png_is_no_larger_than_pillows_own(photographs: dict[str, Image.Image], kind: str) -> None:
    image = photographs["odd"].resize((300, 200), LANCZOS)
    if kind == "drawing":
        image = Image.new("RGB", (300, 200), "white")
        image.paste("teal", (40, 40, 200, 150))
    body = loaded(encoded(image, "PNG"), ".png").read(".png")

    assert likeness(decoded(body), image) > 99
    assert len(body) < 1.06 * len(encoded(image, "PNG"))


def test_alpha_stays_where_it_can_and_is_white_where_it_cannot() -> None:
    image = Image.new("RGBA", (64, 64), (255, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 32, 64))
    body = encoded(image, "PNG")

    for extension in (".png", ".webp", ".avif"):
        made = decoded(loaded(body, ".png").read(extension, 80)).convert("RGBA")
        assert made.getpixel((8, 8))[3] == 0  # type: ignore[index]
        assert made.getpixel((56, 8))[3] == 255  # type: ignore[index]
    red, green, blue = decoded(loaded(body, ".png").read(".jpg", 80)).getpixel((8, 8))  # type: ignore[misc]
    assert min(red, green, blue) > 250


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
@pytest.mark.parametrize("extension", [".gif", ".webp"])
def test_an_animation_keeps_frames_times_and_loops(kind: str, extension: str) -> None:
    frames = [Image.new("RGB", (80, 60), color) for color in ("red", "lime", "blue")]
    body = encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=[100, 250, 400], loop=0)
    engine = loaded(body, f".{kind.lower()}")

    engine.crop(10, 0, 70, 60)
    engine.resize(30, 30)
    engine.flip_vertically()
    made = Image.open(io.BytesIO(engine.read(extension, 80)))

    assert (made.n_frames, made.size, made.info["loop"]) == (3, (30, 30), 0)  # type: ignore[attr-defined]
    for number, (color, duration) in enumerate(zip(("red", "lime", "blue"), (100, 250, 400), strict=True)):
        made.seek(number)
        made.load()
        assert made.info["duration"] == duration
        assert likeness(made.convert("RGB"), Image.new("RGB", (30, 30), color)) > 20


@pytest.mark.parametrize("size", [(4097, 10), (10, 4097)])
def test_no_side_comes_out_longer_than_4096(coffee: bytes, size: tuple[int, int]) -> None:
    from original import Refused

    engine = loaded(coffee, ".jpg")

    with pytest.raises(Refused):
        engine.resize(*size)

    assert engine.context.request.refusal[0] == 400


def test_a_png_is_not_decoded_before_it_must_be(cat: bytes) -> None:
    lying = decoded(cat)
    exif = Image.Exif()
    exif[0x0112] = 6
    plain, turned = encoded(lying, "PNG"), encoded(lying, "PNG", exif=exif)
    at = turned.index(b"eXIf") - 4
    length = 12 + int.from_bytes(turned[at : at + 4], "big")
    # Behind the pixels, where Pillow looks for it too.
    last = turned[:at] + turned[at + length : -12] + turned[at : at + length] + turned[-12:]

    opened = loaded(plain, ".png")

    assert opened._image.tile
    for body in (turned, last):
        engine = loaded(body, ".png")
        engine.reorientate()
        assert engine.size == (lying.height, lying.width)
