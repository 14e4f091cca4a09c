"""How near does a thumbnail that nobody has asked for come to stock Thumbor alone, without nginx, signature and S3?"""

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from bench.load import Client, by_threads
from bench.photographs import photograph
from bench.rounds import Figures, alternate, arguments, tell
from bench.stack import ROOT, Stack, folder, processor_seconds, running
from s3.serve import LOOPBACK, ROOM_PORTS, die_with_parent, free_ports

# As many as `make run` starts.
_PROCESSES = 2
_PHOTOGRAPHS = 6
# The cheapest render, and so the hardest comparison: AVIF and WebP only add to both sides.
_ACCEPT = {"Accept": "image/jpeg"}


@contextmanager
def bare_thumbor(photographs: Path) -> Iterator[tuple[int, int]]:
    """One Thumbor process: its port and its id."""
    port = free_ports(1, ROOM_PORTS)[0]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT}:{ROOT}/thumbor",
        "PHOTOGRAPHS": str(photographs),
        # thumbor.conf insists on them; nothing here asks for either.
        "SECURITY_KEYS": "bench-bench-bench-bench-bench",
        "PICTURES_BUCKET": "none",
        "RESULTS_BUCKET": "none",
        "STOP_SECONDS": "1",
    }
    program = str(Path(sys.executable).parent / "thumbor")
    command = [program, "--ip", LOOPBACK, "--port", str(port), "--conf", "bench/bare_thumbor.conf"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, preexec_fn=die_with_parent)
    try:
        while True:
            try:
                Client(port).ask("/healthcheck", {})
                break
            except OSError:
                if process.poll() is not None:
                    raise SystemExit("Thumbor does not start; its own lines above say why.") from None
                time.sleep(0.05)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


class Sizes:
    """Sizes near 512x512 that nobody asked for before: the width decides, the height makes the address a new one."""

    def __init__(self) -> None:
        self._numbers = itertools.count()

    def next(self) -> tuple[int, str]:
        """Which photograph, and its options."""
        number = next(self._numbers)
        return number % _PHOTOGRAPHS, f"fit-in/{480 + number % 64}x{512 + number // 64}"


def _bare(thumbors: Sequence[tuple[int, int]], clients: int, count: int) -> Figures:
    sizes = Sizes()

    def ask(client: Client) -> None:
        which, options = sizes.next()
        client.ask(f"/unsafe/{options}/{which}.jpg", _ACCEPT)

    # Each process gets its share of the clients, which is kinder than what --processes does.
    everybody = [Client(thumbors[number % len(thumbors)][0]) for number in range(clients)]
    before = sum(processor_seconds(pid) for _, pid in thumbors)
    figures = by_threads([partial(ask, client) for client in everybody], count, "requests")
    used = sum(processor_seconds(pid) for _, pid in thumbors) - before
    return {**figures, "ms of thumbor each": used / count * 1000}


def _through(stack: Stack, sign: Callable[[int, str], str], sizes: Sizes, clients: int, count: int) -> Figures:
    def ask(client: Client) -> None:
        answer, _ = client.ask(sign(*sizes.next()), _ACCEPT)
        assert answer.getheader("X-Cache") == "MISS"

    everybody = [Client(stack.port) for _ in range(clients)]
    before = stack.processor_seconds()
    figures = by_threads([partial(ask, client) for client in everybody], count, "requests")
    # Results are stored after the answer: that work is not the next side's.
    time.sleep(0.5)
    after = stack.processor_seconds()
    return {
        **figures,
        **{f"ms of {room} each": (after[room] - before[room]) / count * 1000 for room in ("thumbor", "s3", "nginx")},
    }


def main() -> None:
    """Measure by turns: the stack, and as many bare Thumbor processes as it has."""
    parser = arguments("misses", __doc__ or "")
    parser.add_argument("--requests", type=int, default=100, help="in one measurement (%(default)s)")
    parser.add_argument("--clients", type=int, nargs="+", default=[2, 16], help="at a time (%(default)s)")
    options = parser.parse_args()
    bodies = [photograph(number, 2040, 1356, grain=6) for number in range(_PHOTOGRAPHS)]
    comparisons = []
    with ExitStack() as ends:
        place = ends.enter_context(folder())
        os.environ["THUMBOR_PROCESSES"] = str(_PROCESSES)
        stack = ends.enter_context(running(place / "stack"))
        (place / "photographs").mkdir()
        for number, body in enumerate(bodies):
            (place / "photographs" / f"{number}.jpg").write_bytes(body)
        pictures = [stack.upload(Client(stack.port), body) for body in bodies]
        thumbors = [ends.enter_context(bare_thumbor(place / "photographs")) for _ in range(_PROCESSES)]
        sizes = Sizes()
        for clients in options.clients:
            sides = {
                "stack": partial(
                    _through,
                    stack,
                    lambda which, options: stack.signed(pictures[which], options),
                    sizes,
                    clients,
                    options.requests,
                ),
                "bare Thumbor": partial(_bare, thumbors, clients, options.requests),
            }
            goals = {"bare Thumbor": 0.7}
            comparisons.append(alternate(f"{clients} clients", sides, options.rounds, goals=goals))
    tell("misses", comparisons, photograph_bytes=[len(body) for body in bodies])


if __name__ == "__main__":
    main()
