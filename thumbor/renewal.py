"""A process that outgrew its memory begins again, in the same place and with its door open: no request fails by it.

It takes no more requests, ends those that it has, and becomes a new Thumbor (execv) that is handed the open port. Who
comes meanwhile waits at the port, a second or two; nginx gives the other processes more meanwhile.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from types import FrameType
from typing import Any

from tornado.ioloop import IOLoop

from thumbstack.metrics import resident_bytes

_log = logging.getLogger("thumbstack.renewal")
# The longest that nginx waits for a render; what then still goes on is lost.
_PATIENCE_SECONDS = 60
_most_bytes = 0
_renewing = False
_stopping = False


def replace_above(text: str) -> None:
    """Set what the process may hold after a request; 0: anything."""
    global _most_bytes
    if not text.isdecimal():
        raise SystemExit("thumbor: MAX_RESIDENT_BYTES is wrong: it must be a number of bytes.")
    _most_bytes = int(text)


def look() -> None:
    """Begin again, soon, if there is too much in memory. Called after each request."""
    global _renewing
    if _most_bytes and not _renewing and (bytes_now := resident_bytes()) > _most_bytes:
        _renewing = True
        _log.warning("outgrown: %d bytes; beginning again", bytes_now)
        IOLoop.current().add_callback(_begin_again)


async def _begin_again() -> None:
    loop: Any = IOLoop.current()
    _heed_stops()
    doors = [file for file, _ in list(loop.handlers.values()) if _is_door(file)]
    # Tornado's own stop would close them.
    for door in doors:
        loop.remove_handler(door)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    # Requests, their connections, and results on their way to S3 are all tasks; the one left is this.
    while len(asyncio.all_tasks()) > 1 and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    if not doors or _stopping:
        return
    fd = doors[0].fileno()
    os.set_inheritable(fd, True)
    arguments = sys.orig_argv[1:]
    if "--fd" not in arguments:
        arguments += ["--fd", str(fd)]
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 (no shell: itself)


def _is_door(file: object) -> bool:
    return isinstance(file, socket.socket) and bool(file.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _heed_stops() -> None:
    """Who is told to stop meanwhile stops, as Thumbor does, and does not begin again."""
    for number in (signal.SIGTERM, signal.SIGINT):
        thumbors: Any = signal.getsignal(number)

        def stop(number: int, frame: FrameType | None, thumbors: Any = thumbors) -> None:
            global _stopping
            _stopping = True
            thumbors(number, frame)

        signal.signal(number, stop)
