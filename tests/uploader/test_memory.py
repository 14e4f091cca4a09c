"""Memory: what large pictures took is given back."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from PIL import Image

from tests.uploader.conftest import Room

# What a worker needs beside pictures: threads, connections, codecs that were loaded meanwhile.
_ALLOWED_MEGABYTES = 80


def megabytes(room: Room) -> float:
    """Resident memory of all workers."""
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in room.workers()]
    return sum(pages) * 4096 / 1e6


@pytest.mark.parametrize(("kind", "options"), [("WEBP", {"method": 0}), ("JPEG", {"progressive": True})])
def test_memory_comes_back_after_large_pictures(running: Room, kind: str, options: dict[str, bool]) -> None:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((5000, 4000)).convert("RGB").save(out, kind, quality=20, **options)

    def upload(_: object) -> int:
        files = {"file": ("large", out.getvalue())}
        # Sixteen wait for their turn to be decoded: as long as the test may take.
        return requests.post(
            f"http://127.0.0.1:{running.port}/", files=files, data={"again": "1"}, timeout=300
        ).status_code

    # Once, for what is loaded by the first picture of a kind.
    assert upload(0) == 201
    before = megabytes(running)

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(upload, range(32)))

    assert answers == [201] * 32
    assert megabytes(running) < before + _ALLOWED_MEGABYTES
