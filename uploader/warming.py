"""Warm-up: presets are rendered right after an upload, so that the first visitor finds them in the results bucket."""

import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from itertools import cycle
from queue import Full, Queue

import requests

from thumbstack.picture_key import PictureKey
from thumbstack.presets import options_of_part
from thumbstack.result_key import accepts
from thumbstack.signing import signed_path

log = logging.getLogger("uploader")
_PATIENCE_SECONDS = 60
# Uploads outrun renders for a while; past that, pictures are rendered when somebody asks.
_MAX_WAITING = 1000


class Warming:
    """Asks Thumbor itself for variants, which its result storage keeps; nothing waits for it or fails with it.

    One at a time in a process: visitors go first. What waits when the process ends is rendered when somebody asks.
    """

    def __init__(self, servers: Sequence[str], options: Sequence[str], security_key: str) -> None:
        self._servers = cycle(servers)
        self._options = options if servers else ()
        self._security_key = security_key
        self._waiting: Queue[tuple[PictureKey, str]] = Queue(_MAX_WAITING)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def warm(self, picture: PictureKey, crop: str = "") -> None:
        """Have the warm presets of a picture, or of the part that was chosen of it, rendered some time soon."""
        if not self._options:
            return
        with self._lock:
            if self._thread is None:
                # Not before: gunicorn forks, and threads do not come along. A daemon: no stop waits for it.
                self._thread = threading.Thread(target=self._go_on, name="warming", daemon=True)
                self._thread.start()
        with suppress(Full):
            self._waiting.put_nowait((picture, crop))

    def wait(self) -> None:
        """Return when everything that was asked for is done."""
        self._waiting.join()

    def _go_on(self) -> None:
        while True:
            picture, crop = self._waiting.get()
            try:
                self._render(picture, crop)
            except Exception as error:
                log.warning("not warmed: %s: %r", picture, error)
            finally:
                self._waiting.task_done()

    def _render(self, picture: PictureKey, crop: str) -> None:
        for options in options_of_part({text: text for text in self._options}, crop).values():
            for accept in accepts(picture):
                url = f"http://{next(self._servers)}{signed_path(picture, options, self._security_key)}"
                requests.get(url, headers={"Accept": accept}, timeout=_PATIENCE_SECONDS)
