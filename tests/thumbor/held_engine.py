"""Our engine with a gate before the encoder: a render that takes as long as a test wants."""

import os
import time
from pathlib import Path

import picture_engine


class Engine(picture_engine.Engine):
    """Says that it waits, and waits until the file `open` is there."""

    def read(self, extension: str | None = None, quality: int | None = None) -> bytes:
        """Encode, once the gate is open."""
        gate = Path(os.environ["GATE"])
        (gate / "waiting").touch()
        while not (gate / "open").exists():
            time.sleep(0.01)
        return super().read(extension, quality)
