"""Variants made anew by Thumbor itself: exactly what a visitor gets, under the keys that it looks for."""

import threading
import time
from collections.abc import Sequence
from itertools import cycle

import urllib3

from thumbstack.picture_key import PictureKey
from thumbstack.refusal import NoSuchPicture, Refused, Unavailable, Undecodable
from thumbstack.signing import signed_path

# Longer than the longest render.
_PATIENCE_SECONDS = 70
_BUSY = frozenset((429, 502, 503, 504))
_TRIES = 5
_LONGEST_WAIT_SECONDS = 30


class Renders:
    """Asks the Thumbor processes in turn, past the edge: its limits are for visitors, and its cache is to be renewed.

    There are never more under way than threads that ask, so no visitor waits for more than these. Where one is told
    that there is too much to do just now, all wait for as long as they are asked to.
    """

    def __init__(self, servers: Sequence[str], security_key: str) -> None:
        if not servers:
            raise Refused("THUMBOR_SERVERS is not set: there is nobody to render.")
        self._servers = cycle(servers)
        self._security_key = security_key
        self._pool = urllib3.PoolManager(maxsize=64, retries=False, timeout=urllib3.Timeout(2, _PATIENCE_SECONDS))
        self._lock = threading.Lock()
        self._not_before = 0.0

    def anew(self, picture: PictureKey, options: str, accept: str) -> None:
        """Have a variant rendered and stored over the one that is there.

        Raises NoSuchPicture where its original is gone, Undecodable where it cannot be shown.
        """
        path = signed_path(picture, options, self._security_key)
        for tried in range(1, _TRIES + 1):
            time.sleep(max(0.0, self._not_before - time.monotonic()))
            with self._lock:
                server = next(self._servers)
            try:
                answer = self._pool.request(
                    "GET", f"http://{server}{path}", headers={"Accept": accept, "Cache-Control": "no-cache"}
                )
            except urllib3.exceptions.HTTPError:
                self._wait(2.0**tried)
                continue
            if answer.status == 200:
                return
            if answer.status == 404:
                raise NoSuchPicture("No such picture")
            if answer.status in _BUSY:
                self._wait(_seconds(answer.headers.get("Retry-After")) or 2.0**tried)
                continue
            if answer.status == 422:
                raise Undecodable("The original is damaged, or too large to be shown: upload it again.")
            raise Refused(f"Thumbor answers {answer.status} to {options or 'the whole picture'}.")
        raise Unavailable("Thumbor, or the storage behind it, does not do its part: try again later.")

    def _wait(self, seconds: float) -> None:
        self._not_before = max(self._not_before, time.monotonic() + min(seconds, _LONGEST_WAIT_SECONDS))


def _seconds(retry_after: str | None) -> float:
    return float(retry_after) if retry_after and retry_after.isdecimal() else 0.0
