"""Is an upload ever lost, doubled or damaged when 200 clients upload at once, also while the uploader is killed?

Counts, and ends with 1 where what was promised does not hold. How much memory the uploader takes is sampled.
"""

import hashlib
import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from bench.memory import watched
from bench.photographs import photograph
from bench.rounds import Comparison, arguments, tell
from bench.stack import Stack, folder, running
from s3.serve import LOOPBACK

_PICTURES = "thumbstack-pictures"
# Of about 1 to 5 MB; a comment makes each upload one of its own.
_SIZES = ((1800, 1200), (2400, 1600), (3000, 2000), (3600, 2400), (4200, 2800))
_ANSWERED_WITHIN_SECONDS = 120


@dataclass(frozen=True)
class Sent:
    """One upload, and what became of it. `status` is 0 where the connection broke."""

    name: str
    sha256: str
    bytes: int
    status: int
    key: str | None
    seconds: float


def _below(pid: int) -> Iterator[int]:
    """A process and all that it started."""
    yield pid
    try:
        lists = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return
    for child in (int(text) for found in lists for text in found):
        yield from _below(child)


def _uploader() -> list[int]:
    """The processes of the uploader, its first process first; the stack is below this process."""
    found = []
    for pid in _below(os.getpid()):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"uploader.wsgi" in command or b"heic_child" in command:
            found.append(pid)
    return found


@contextmanager
def _killed_every(seconds: float) -> Iterator[Counter[str]]:
    """SIGKILL to the whole uploader, or to one worker of it, again and again; 0: never."""
    kills: Counter[str] = Counter()
    done = threading.Event()
    dice = random.Random(1)

    def kill() -> None:
        while seconds and not done.wait(seconds):
            first, *workers = _uploader() or [0]
            if not workers:
                continue
            everything = dice.random() < 0.7
            for pid in [first, *workers] if everything else workers[:1]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            kills["the whole room" if everything else "one worker"] += 1

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield kills
    finally:
        done.set()
        thread.join()


def _upload(port: int, name: str, body: bytes) -> Sent:
    """One upload on a connection of its own, as `curl -F` does."""
    comment = name.encode()
    # SOI, then the comment, then the rest.
    parts = [body[:2], b"\xff\xfe", (len(comment) + 2).to_bytes(2, "big"), comment, body[2:]]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    head = f'--frontier\r\nContent-Disposition: form-data; name="file"; filename="{name}.jpg"\r\n\r\n'.encode()
    message = [head, *parts, b"\r\n--frontier--\r\n"]
    size = sum(map(len, parts))
    headers = {
        "Content-Type": "multipart/form-data; boundary=frontier",
        "Content-Length": str(sum(map(len, message))),
    }
    connection = HTTPConnection(LOOPBACK, port, timeout=_ANSWERED_WITHIN_SECONDS)
    began = time.perf_counter()
    try:
        connection.request("POST", "/", body=message, headers=headers)
        answer = connection.getresponse()
        said = answer.read()
        key = json.loads(said)["pictures"][0]["key"] if answer.status == 201 else None
        return Sent(name, digest.hexdigest(), size, answer.status, key, time.perf_counter() - began)
    except (OSError, HTTPException, ValueError):
        return Sent(name, digest.hexdigest(), size, 0, None, time.perf_counter() - began)
    finally:
        connection.close()


def _downloaded(port: int, key: str) -> str:
    """The SHA-256 of what the service gives back for a key; empty where it gives nothing."""
    connection = HTTPConnection(LOOPBACK, port, timeout=_ANSWERED_WITHIN_SECONDS)
    try:
        connection.request("GET", f"/{key}")
        answer = connection.getresponse()
        body = answer.read()
        return hashlib.sha256(body).hexdigest() if answer.status == 200 else ""
    except (OSError, HTTPException):
        return ""
    finally:
        connection.close()


def _stored(stack: Stack) -> set[str]:
    """All keys of the bucket with the originals, whoever wrote them."""
    pages = stack.s3().get_paginator("list_objects_v2").paginate(Bucket=_PICTURES)
    return {item["Key"] for page in pages for item in page.get("Contents", ())}


def _run(
    stack: Stack, bodies: list[bytes], clients: int, each: int, seconds: float, kill_every: float, label: str
) -> tuple[Mapping[str, float], bool]:
    """All clients upload at once, `each` times or for some seconds; then everything is looked at."""
    before = _stored(stack)
    until = time.monotonic() + seconds

    def client(number: int) -> list[Sent]:
        mine: list[Sent] = []
        while len(mine) < each or (seconds and time.monotonic() < until):
            sent = _upload(stack.port, f"{label}-{number}-{len(mine)}", bodies[(number + len(mine)) % len(bodies)])
            mine.append(sent)
            if sent.status != 201:
                # As whoever reads Retry-After.
                time.sleep(1)
        return mine

    began = time.monotonic()
    with (
        watched(_uploader, "Rss") as memory,
        _killed_every(kill_every) as kills,
        ThreadPoolExecutor(clients) as threads,
    ):
        sent = [upload for uploads in threads.map(client, range(clients)) for upload in uploads]
    took = time.monotonic() - began
    while not stack.is_ready():
        time.sleep(0.2)

    taken = {upload.key: upload for upload in sent if upload.key}
    there = _stored(stack) - before
    with ThreadPoolExecutor(4) as threads:
        digests = dict(zip(there, threads.map(partial(_downloaded, stack.port), there), strict=True))
    lost = [key for key, upload in taken.items() if digests.get(key) != upload.sha256]
    unanswered = {upload.sha256 for upload in sent if not upload.key}
    others = [digests[key] for key in there - taken.keys()]
    whole = sum(digest in unanswered for digest in others)
    doubled = (
        len(others)
        - len(set(others))
        + sum(digest in {upload.sha256 for upload in taken.values()} for digest in others)
    )
    milliseconds = sorted(upload.seconds * 1000 for upload in taken.values())
    print(f"{label}: statuses {dict(Counter(upload.status for upload in sent))}, kills {dict(kills)}")
    print(f"  memory at its peak { ({name: round(value) for name, value in memory.of.items()}) }", flush=True)
    figures = {
        "uploads/s": len(taken) / took,
        "MB/s": sum(upload.bytes for upload in taken.values()) / 1e6 / took,
        "p50 ms": milliseconds[len(milliseconds) // 2],
        "p99 ms": milliseconds[len(milliseconds) * 99 // 100],
        "MB at first": memory.seen[0],
        "MB at most": max(memory.seen),
        "MB at last": memory.seen[-1],
        "201": len(taken),
        "other answers": len(sent) - len(taken),
        "lost or damaged": len(lost),
        "stored without a 201": whole,
        "broken": len(others) - whole,
        "doubled": doubled,
    }
    answered = all(upload.status == 201 for upload in sent) or kill_every > 0
    return figures, answered and len(taken) + len(unanswered) == len(sent) and not (
        lost or doubled or len(others) - whole
    )


def main() -> None:
    """Measure: undisturbed, and with the uploader killed every few seconds."""
    parser = arguments("many_uploads", __doc__ or "", rounds=1)
    parser.add_argument("--clients", type=int, default=200, help="at a time (%(default)s)")
    parser.add_argument("--each", type=int, default=2, help="uploads of each client (%(default)s)")
    parser.add_argument("--seconds", type=float, default=60, help="how long it is killed and used (%(default)s)")
    # supervisord takes what ends within 5 s for something that does not start.
    parser.add_argument("--kill-every", type=float, default=8, help="seconds (%(default)s)")
    options = parser.parse_args()
    bodies = [photograph(number, width, height, grain=14) for number, (width, height) in enumerate(_SIZES)]
    sides: dict[str, list[Mapping[str, float]]] = {"undisturbed": [], "killed": []}
    good = True
    with folder() as place, running(place / "stack") as stack:
        for number in range(options.rounds):
            for side, seconds, every in (("undisturbed", 0.0, 0.0), ("killed", options.seconds, options.kill_every)):
                figures, kept = _run(stack, bodies, options.clients, options.each, seconds, every, f"{side}-{number}")
                sides[side].append(figures)
                good = good and kept
        comparison = Comparison(f"{options.clients} clients", sides)
        print("\n".join(comparison.lines()), flush=True)
    tell("many_uploads", [comparison], photograph_bytes=[len(body) for body in bodies], good=good)
    sys.exit(not good)


if __name__ == "__main__":
    main()
