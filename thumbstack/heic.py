"""HEIC, decoded in a child process: a decoder of it was seen to crash on a damaged file, and with it its process.

docs/decisions/0010-heic.md
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_CHILD = Path(__file__).with_name("heic_child.py")
# 12 megapixels take a second on one core; the child also bounds its own.
_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Heic:
    """What the child tells. `small` is a PNG of 512 pixels at most, upright; empty where the limits are passed."""

    width: int
    height: int
    frames: int
    small: bytes


def decode_heic(data: bytes, max_pixels: int, max_frames: int) -> Heic:
    """Decode the main picture. Raises ValueError where the child cannot."""
    try:
        child = subprocess.run(
            # Isolated: neither the environment's settings nor the current folder reach it.
            [sys.executable, "-I", str(_CHILD), str(max_pixels), str(max_frames)],
            input=data,
            capture_output=True,
            timeout=_TIMEOUT_SECONDS,
            check=True,
        )
    except subprocess.SubprocessError as error:
        raise ValueError("the decoder gave up") from error
    line, _, small = child.stdout.partition(b"\n")
    facts = json.loads(line)
    return Heic(facts["width"], facts["height"], facts["frames"], small)
