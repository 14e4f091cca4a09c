"""How a process ends: told to stop, or outgrown. Either way it takes no more requests, and ends those that it has.

Thumbor's own stop waits for a fixed time, and what is under way then is answered with 500. This one lasts as long as
something is under way; what takes too long is cut off without a word, so that nginx asks the next process.

A process that outgrew its memory begins again, in the same place and with its door open: it becomes a new Thumbor
(execv) that is handed the open port. Who comes meanwhile waits at the port, a second or two.
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

from thumbor.context import Context
from tornado.ioloop import IOLoop

from thumbstack.metrics import resident_bytes

_log = logging.getLogger("thumbstack.ending")
# The longest that nginx waits for a render.
_RENDER_SECONDS = 60
_most_bytes = 0
_stop_seconds = 0
_renewing = _stopping = False
_endings: set[Any] = set()


def limit(most_bytes: str, stop_seconds: str) -> None:
    """Set what the process may hold after a request (0: anything), and how long a stop may take."""
    global _most_bytes, _stop_seconds
    for name, text in (("MAX_RESIDENT_BYTES", most_bytes), ("STOP_SECONDS", stop_seconds)):
        if not text.isdecimal():
            raise SystemExit(f"thumbor: {name} is wrong: it must be a whole number.")
    _most_bytes, _stop_seconds = int(most_bytes), int(stop_seconds)


def get_handlers(_context: Context) -> list[Any]:
    """Answer Thumbor, which asks its handler lists before it starts: none, but signals are ours from then on."""
    IOLoop.current().add_callback(_take_signals)
    return []


def look() -> None:
    """Begin again, soon, if there is too much in memory. Called after each request."""
    global _renewing
    if _most_bytes and not (_renewing or _stopping) and (bytes_now := resident_bytes()) > _most_bytes:
        _renewing = True
        _log.warning("outgrown: %d bytes; beginning again", bytes_now)
        IOLoop.current().add_callback(_begin_again)


def _take_signals() -> None:
    loop = IOLoop.current()

    def told(number: int, _: FrameType | None) -> None:
        loop.add_callback_from_signal(_stop, number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)


async def _stop(number: int) -> None:
    global _stopping
    _stopping = True
    _log.warning("Caught signal: %d. Shutting down server.", number)
    for door in _shut_doors():
        door.close()
    if not await _all_ended(_stop_seconds):
        # Nothing of it runs any more, so nothing can be answered.
        os._exit(0)
    IOLoop.current().stop()


async def _begin_again() -> None:
    if _stopping:
        return
    door, *_ = _shut_doors()
    await _all_ended(_RENDER_SECONDS)
    if _stopping:
        return
    os.set_inheritable(door.fileno(), True)
    arguments = sys.orig_argv[1:]
    if "--fd" not in arguments:
        arguments += ["--fd", str(door.fileno())]
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 (no shell: itself)


def _shut_doors() -> list[socket.socket]:
    """Take no more requests; the ports stay open, as Tornado's own stop would not leave them."""
    loop: Any = IOLoop.current()
    doors = [file for file, _ in list(loop.handlers.values()) if _is_door(file)]
    for door in doors:
        loop.remove_handler(door)
    return doors


async def _all_ended(within_seconds: int) -> bool:
    """Wait for whatever is under way: requests, their connections, and results on their way to S3 are all tasks."""
    _endings.add(asyncio.current_task())
    deadline = time.monotonic() + within_seconds
    while asyncio.all_tasks() - _endings:
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(0.02)
    return True


def _is_door(file: object) -> bool:
    return isinstance(file, socket.socket) and bool(file.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
