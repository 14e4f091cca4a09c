"""Photographs as cameras make them, out of small ones: enlarged or put together, with grain."""

import io
import random
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from bench.stack import ROOT

_IMAGES = [ROOT / "tests" / "images" / name for name in ("coffee.jpg", "rocket.jpg", "cat.png")]
# In scikit-image's package, each CC0, public domain or without known restrictions, as its skimage.data says.
_SOURCES = ("astronaut", "cat", "coffee", "rocket", "hubble_deep_field", "retina", "immunohistochemistry")
# How an original is stored: near what cameras and other programs do.
_SAVED: dict[str, dict[str, object]] = {
    "jpg": {"format": "JPEG", "quality": 90},
    "png": {"format": "PNG", "compress_level": 4},
    "webp": {"format": "WEBP", "quality": 88, "method": 2},
    "avif": {"format": "AVIF", "quality": 80, "speed": 9, "max_threads": 1},
}
FORMATS = tuple(_SAVED)


def photograph(number: int, width: int, height: int, grain: float) -> bytes:
    """One of as many different ones as there are numbers; more grain (0-20) makes more bytes."""
    with Image.open(_IMAGES[number % len(_IMAGES)]) as image:
        pixels = np.asarray(image.convert("RGB").resize((width, height)), dtype=np.int16)
    out = io.BytesIO()
    _grained(pixels, number, grain).save(out, "JPEG", quality=88)
    return out.getvalue()


def photographs(folder: Path, count: int, kinds: Iterable[str] = FORMATS) -> None:
    """Make `count` different ones of about 2040x1356 in every format, as <number>.<format>; those there are stay."""
    with ProcessPoolExecutor() as processes:
        list(processes.map(partial(_make, folder, tuple(kinds)), range(count)))


def _make(folder: Path, kinds: Iterable[str], number: int) -> None:
    if all((folder / f"{number}.{kind}").exists() for kind in kinds):
        return
    dice = random.Random(number)
    width, height = 2040, dice.choice((1356, 1360, 1348, 1148, 1530))
    # One photograph, enlarged, is soft; four or nine nearly as large as they are have the detail of a sharp lens.
    across = 1 + number % 3
    whole = Image.new("RGB", (width, height))
    for cell in range(across * across):
        x, y = cell % across, cell // across
        box = (x * width // across, y * height // across, (x + 1) * width // across, (y + 1) * height // across)
        whole.paste(_piece(dice, box[2] - box[0], box[3] - box[1]), box)
    picture = _grained(np.asarray(whole, dtype=np.int16), number, dice.uniform(1, 5))
    for kind in kinds:
        picture.save(folder / f"{number}.{kind}", **_SAVED[kind])  # type: ignore[arg-type]


def _piece(dice: random.Random, width: int, height: int) -> Image.Image:
    """A part of a photograph, perhaps mirrored, darker or lighter."""
    source = _source(dice.choice((*_SOURCES, "stereo_motorcycle")))
    share = dice.uniform(0.6, 1)
    size = (int(source.width * share), int(source.height * share))
    left, top = dice.randint(0, source.width - size[0]), dice.randint(0, source.height - size[1])
    part = source.crop((left, top, left + size[0], top + size[1]))
    part = ImageOps.mirror(part) if dice.random() < 0.5 else part
    fitted = ImageOps.fit(part, (width, height), Image.Resampling.BICUBIC)
    return ImageEnhance.Brightness(fitted).enhance(dice.uniform(0.8, 1.2))


@cache
def _source(name: str) -> Image.Image:
    # Imported here: only the comparison with others needs it.
    from skimage import data

    found = getattr(data, name)()
    return Image.fromarray(found[0] if isinstance(found, tuple) else found)


def _grained(pixels: NDArray[np.int16], number: int, grain: float) -> Image.Image:
    noise = np.random.default_rng(number).normal(0, grain, pixels.shape)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))
