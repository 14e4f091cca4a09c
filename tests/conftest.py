"""Pictures that more than one room's tests send."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

IMAGES = Path(__file__).parent / "images"


@pytest.fixture(scope="session")
def coffee() -> bytes:
    """A real photograph, JPEG, 600x400."""
    return (IMAGES / "coffee.jpg").read_bytes()


@pytest.fixture(scope="session")
def cat() -> bytes:
    """A real photograph, PNG, 451x300."""
    return (IMAGES / "cat.png").read_bytes()


@pytest.fixture(scope="session")
def large_photo() -> bytes:
    """A JPEG of about 5 MB: a photograph enlarged to 4200x2800 with a camera's grain."""
    with Image.open(IMAGES / "coffee.jpg") as image:
        pixels = np.asarray(image.resize((4200, 2800)), dtype=np.int16)
    grain = np.random.default_rng(1).normal(0, 7, pixels.shape)
    out = io.BytesIO()
    Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8)).save(out, "JPEG", quality=88)
    return out.getvalue()
