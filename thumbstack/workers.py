"""What gunicorn is asked to do around its workers: their part of the metrics, and their end when they outgrow a limit.

gunicorn finds these functions by their names in a room's gunicorn.conf.py, and calls them.
"""

import atexit
import os
import shutil
import tempfile
from itertools import count
from pathlib import Path
from typing import Any

# Workers count into files that whoever is asked for /metrics adds up; memory, on a read-only root file system too.
# prometheus-client looks at this when it is imported.
if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="metrics-", dir="/dev/shm")
_folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
# What a process before this one has counted. Not at a reload, which imports nothing again.
shutil.rmtree(_folder, ignore_errors=True)
_folder.mkdir(parents=True)


@atexit.register
def _clear(parent: int = os.getpid()) -> None:
    # Workers end by way of here, too.
    if os.getpid() == parent:
        shutil.rmtree(_folder, ignore_errors=True)


from prometheus_client import multiprocess, values  # noqa: E402

_number = 0
# By process id, as it would be otherwise, every worker that ever was would leave files behind. This way who replaces
# another goes on counting in its files.
values.ValueClass = values.MultiProcessValue(lambda: _number)  # type: ignore[no-untyped-call]

from thumbstack.metrics import resident_bytes  # noqa: E402 - its numbers are of that class

_most_bytes = 0


def replace_above(bytes_otherwise: int) -> None:
    """Set what a worker may hold, unless MAX_RESIDENT_BYTES says it."""
    global _most_bytes
    text = os.environ.get("MAX_RESIDENT_BYTES") or str(bytes_otherwise)
    if not text.isdecimal():
        raise SystemExit("MAX_RESIDENT_BYTES is wrong: it must be a number of bytes.")
    _most_bytes = int(text)


def pre_fork(server: Any, worker: Any) -> None:
    """Number the workers, each by the lowest number that is free."""
    taken = {other.number for other in server.WORKERS.values()}
    worker.number = next(number for number in count(1) if number not in taken)


def post_fork(_server: Any, worker: Any) -> None:
    """Have a new worker count into its own files."""
    global _number
    _number = worker.number


def child_exit(_server: Any, worker: Any) -> None:
    """Take back what a worker that has ended had under way."""
    multiprocess.mark_process_dead(worker.number)  # type: ignore[no-untyped-call]


def post_request(worker: Any, _request: Any, _environ: Any, _response: Any) -> None:
    """Let a worker that outgrew its memory end what it has in hand; gunicorn puts another in its place."""
    if _most_bytes and worker.alive and (bytes_now := resident_bytes()) > _most_bytes:
        worker.log.warning("outgrown: %d bytes; another worker takes over", bytes_now)
        worker.handle_exit(None, None)
