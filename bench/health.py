"""How long does /healthz take while 16 clients have thumbnails rendered that nobody asked for before?"""

import itertools
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from threading import Thread

from bench.load import Client, by_threads
from bench.photographs import photograph
from bench.rounds import Figures, alternate, arguments, tell
from bench.stack import Stack, folder, running
from thumbstack.picture_key import PictureKey

# Nobody asks faster: a load balancer and Docker ask every few seconds.
_PAUSE_SECONDS = 0.01


def _ask(port: int, count: int) -> Figures:
    client = Client(port)

    def ask() -> None:
        time.sleep(_PAUSE_SECONDS)
        client.ask("/healthz", {})

    figures = by_threads([ask], count, "requests")
    pause = _PAUSE_SECONDS * 1000
    return {name: value - pause if name.endswith("ms") else value for name, value in figures.items()}


def _render(port: int, paths: list[str], clients: int) -> None:
    """Have 16 threads ask for one variant after the other; ended from outside."""
    asked = itertools.count()

    def go() -> None:
        client = Client(port)
        while True:
            client.ask(paths[next(asked) % len(paths)], {"Accept": "image/webp"})

    threads = [Thread(target=go, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@contextmanager
def _rendering(stack: Stack, pictures: list[PictureKey], clients: int, sizes: Iterator[int]) -> Iterator[None]:
    # More than are made meanwhile. In a process of its own: the one that measures shall not wait for its own threads.
    paths = [stack.signed(picture, f"fit-in/{next(sizes)}x800") for _ in range(1000) for picture in pictures]
    load = multiprocessing.Process(target=_render, args=(stack.port, paths, clients), daemon=True)
    load.start()
    try:
        time.sleep(1)
        yield
        if not load.is_alive():
            raise RuntimeError("the clients gave up")
    finally:
        load.terminate()
        load.join()


def _measure(stack: Stack, pictures: list[PictureKey], clients: int, sizes: Iterator[int], count: int) -> Figures:
    with _rendering(stack, pictures, clients, sizes):
        return _ask(stack.port, count)


def main() -> None:
    """Measure by turns: with and without the load."""
    parser = arguments("health", __doc__ or "", rounds=3)
    parser.add_argument("--clients", type=int, default=16, help="that have thumbnails rendered (%(default)s)")
    parser.add_argument("--requests", type=int, default=500, help="for /healthz, in one measurement (%(default)s)")
    options = parser.parse_args()
    with folder() as place, running(place / "stack") as stack:
        client = Client(stack.port)
        pictures = [stack.upload(client, photograph(number, 2040, 1356, grain=6)) for number in range(2)]
        sizes = itertools.cycle(range(200, 2200))
        sides = {
            f"{options.clients} clients render": partial(
                _measure, stack, pictures, options.clients, sizes, options.requests
            ),
            "idle": partial(_ask, stack.port, options.requests),
        }
        comparison = alternate("/healthz", sides, options.rounds)
    tell("health", [comparison])


if __name__ == "__main__":
    main()
