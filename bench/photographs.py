"""Photographs as cameras make them, out of the small ones in tests/images: enlarged, with grain, as JPEG."""

import io

import numpy as np
from PIL import Image

from bench.stack import ROOT

_IMAGES = [ROOT / "tests" / "images" / name for name in ("coffee.jpg", "rocket.jpg", "cat.png")]


def photograph(number: int, width: int, height: int, grain: float) -> bytes:
    """One of as many different ones as there are numbers; more grain (0-20) makes more bytes."""
    with Image.open(_IMAGES[number % len(_IMAGES)]) as image:
        pixels = np.asarray(image.convert("RGB").resize((width, height)), dtype=np.int16)
    noise = np.random.default_rng(number).normal(0, grain, pixels.shape)
    out = io.BytesIO()
    Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8)).save(out, "JPEG", quality=88)
    return out.getvalue()
