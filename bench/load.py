"""Load: clients that ask one thing after the other, and how long the answers took."""

import json
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPConnection, HTTPResponse

from bench.rounds import Figures
from s3.serve import LOOPBACK

_UNITS = {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}


class Client:
    """One connection, kept open."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection(LOOPBACK, port, timeout=60)

    def ask(
        self, path: str, headers: Mapping[str, str], method: str = "GET", body: bytes | None = None
    ) -> tuple[HTTPResponse, bytes]:
        """The answer and its body; anything but a success ends the measurement."""
        self._connection.request(method, path, body=body, headers=dict(headers))
        answer = self._connection.getresponse()
        said = answer.read()
        if answer.status not in (200, 201):
            raise RuntimeError(f"{method} {path}: {answer.status} {said[:300]!r}")
        return answer, said


def by_threads(workers: Sequence[Callable[[], object]], count: int, unit: str) -> Figures:
    """Have all workers work at the same time, each in a thread, until `count` pieces of work are done."""
    pieces, milliseconds = iter(range(count)), list[float]()
    failures: list[BaseException] = []

    def work(piece: Callable[[], object]) -> None:
        try:
            for _ in pieces:
                began = time.perf_counter()
                piece()
                milliseconds.append((time.perf_counter() - began) * 1000)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(worker,), daemon=True) for worker in workers]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    if failures:
        raise failures[0]
    milliseconds.sort()
    return {
        f"{unit}/s": count / seconds,
        "p50 ms": milliseconds[count // 2],
        "p95 ms": milliseconds[min(count - 1, count * 95 // 100)],
        "p99 ms": milliseconds[min(count - 1, count * 99 // 100)],
    }


def has_wrk() -> bool:
    """Whether the load generator wrk is installed: 20 times as fast as Python, so that nginx is what is measured."""
    return shutil.which("wrk") is not None


def same_request(
    port: int,
    path: str,
    headers: Mapping[str, str],
    connections: int,
    seconds: float,
    method: str = "GET",
    body: bytes | None = None,
) -> Figures:
    """Ask for the same thing over and over; by wrk where there is one."""
    if not has_wrk():
        clients = [Client(port) for _ in range(connections)]
        workers = [lambda client=client: client.ask(path, headers, method, body) for client in clients]
        return by_threads(workers, max(connections, int(2000 * seconds)), "requests")
    command = [
        "wrk",
        "--latency",
        "-t",
        str(min(2, connections)),
        "-c",
        str(connections),
        "-d",
        f"{max(1, round(seconds))}s",
    ]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        # wrk has no other way to say it. JSON's strings are Lua's, too, as far as they are ASCII and hold no \\u.
        script.write(f"wrk.method = {json.dumps(method)}\n")
        if body is not None:
            script.write(f"wrk.body = {json.dumps(body.decode('ascii'))}\n")
        script.flush()
        command += ["-s", script.name, f"http://{LOOPBACK}:{port}{path}"]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 60)
    return read_wrk(done.stdout)


def read_wrk(said: str) -> Figures:
    """The figures of wrk's report; a report with errors in it is none."""
    rate = re.search(r"^Requests/sec:\s+([\d.]+)", said, re.MULTILINE)
    p50, p99 = (re.search(rf"^\s+{share}%\s+([\d.]+)(us|ms|s|m)$", said, re.MULTILINE) for share in (50, 99))
    if not (rate and p50 and p99) or "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"wrk did not get what it asked for:\n{said}")
    return {
        "requests/s": float(rate[1]),
        "p50 ms": float(p50[1]) * _UNITS[p50[2]],
        "p99 ms": float(p99[1]) * _UNITS[p99[2]],
    }
