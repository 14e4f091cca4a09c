"""Warm-up: presets are rendered right after an upload, so that the first visitor finds them in the results bucket."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import requests

from thumbstack.picture_key import PictureKey
from thumbstack.signing import signed_path

log = logging.getLogger("uploader")
# One at a time in a process: visitors go first.
_AT_ONCE = 1
_PATIENCE_SECONDS = 60
# Uploads outrun renders for a while; past that, pictures are rendered when somebody asks.
_MAX_WAITING = 1000
_ACCEPTS = ("image/avif", "image/webp", "image/jpeg")


class Warming:
    """Asks Thumbor itself for variants, which its result storage keeps; nothing waits for it or fails with it."""

    def __init__(self, servers: Sequence[str], options: Sequence[str], security_key: str) -> None:
        self._servers = cycle(servers)
        self._options = options if servers else ()
        self._security_key = security_key
        self._pool: ThreadPoolExecutor | None = None
        self._waiting = 0

    def warm(self, picture: PictureKey) -> None:
        """Have the warm presets of a picture rendered, some time soon."""
        if not self._options or self._waiting >= _MAX_WAITING:
            return
        # Made here and not before: gunicorn forks, and threads do not come along.
        self._pool = self._pool or ThreadPoolExecutor(_AT_ONCE, "warming")
        self._waiting += 1
        self._pool.submit(self._render, picture)

    def wait(self) -> None:
        """Return when everything that was asked for is done."""
        if self._pool:
            self._pool.shutdown(wait=True)
            self._pool = None

    def _render(self, picture: PictureKey) -> None:
        try:
            for options in self._options:
                for accept in _ACCEPTS:
                    url = f"http://{next(self._servers)}{signed_path(picture, options, self._security_key)}"
                    requests.get(url, headers={"Accept": accept}, timeout=_PATIENCE_SECONDS)
        except requests.RequestException as error:
            log.warning("not warmed: %s: %r", picture, error)
        finally:
            self._waiting -= 1
