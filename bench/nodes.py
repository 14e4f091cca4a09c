"""How much more do two nodes make than one, of thumbnails that nobody asked for, when each has a core of its own?

Two whole stacks on one S3 behind a balancer. S3, balancer and load need processor time too, and a machine of two cores
has none to spare for them; so one node is measured twice: with all of that on the other core, and on its own.
"""

import itertools
import os
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench.balancer import balancer
from bench.load import Client, by_threads
from bench.photographs import photograph
from bench.rounds import Figures, alternate, arguments, tell
from bench.stack import UNLIMITED, Stack, folder, running
from thumbstack.picture_key import PictureKey

_PHOTOGRAPHS = 6
_ACCEPT = {"jpg": "image/jpeg", "webp": "image/webp", "avif": "image/avif"}
# Goes on a while after the answers: a result on its way to S3 is not the next side's.
_REST_SECONDS = 0.5


def _pin(pids: Iterable[int], cores: Collection[int]) -> None:
    """Every thread of every process, as taskset does."""
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), cores)


def _measured(
    nodes: Sequence[Stack],
    others: Collection[int],
    balanced: tuple[int, list[int]],
    pictures: Sequence[PictureKey],
    numbers: "itertools.count[int]",
    accept: str,
    clients: int,
    count: int,
) -> Figures:
    port, balancer_pids = balanced
    # The first node started the S3.
    others_pids = [os.getpid(), *balancer_pids, *nodes[0].processes()["s3"]]
    _pin(others_pids, others)

    def ask(client: Client) -> None:
        number = next(numbers)
        picture = pictures[number % len(pictures)]
        path = nodes[0].signed(picture, f"fit-in/{480 + number % 64}x{512 + number // 64}")
        answer, _ = client.ask(path, {"Accept": accept})
        assert answer.getheader("X-Cache") == "MISS"

    everybody = [Client(port) for _ in range(clients)]
    before = [node.processor_seconds() for node in nodes]
    figures = by_threads([partial(ask, client) for client in everybody], count, "requests")
    time.sleep(_REST_SECONDS)
    after = [node.processor_seconds() for node in nodes]
    used = [{room: late[room] - early[room] for room in late} for early, late in zip(before, after, strict=True)]
    return {
        **figures,
        "ms of a node each": sum(seconds for node in used for room, seconds in node.items() if room != "s3")
        / count
        * 1000,
        "ms of s3 each": used[0]["s3"] / count * 1000,
    }


def main() -> None:
    """Measure by turns: two nodes; one, the rest elsewhere; one, everything on its core."""
    parser = arguments("nodes", __doc__ or "", rounds=3)
    parser.add_argument("--requests", type=int, default=100, help="in one measurement (%(default)s)")
    parser.add_argument("--clients", type=int, default=8, help="at a time (%(default)s)")
    parser.add_argument("--formats", nargs="+", choices=_ACCEPT, default=["jpg", "avif"], help="(%(default)s)")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("Two nodes need two cores, and this machine has one.")
    first, second = {cores[0]}, {cores[1]}
    variables = {**UNLIMITED, "THUMBOR_PROCESSES": "1"}
    comparisons = []
    with ExitStack() as ends:
        place = ends.enter_context(folder())
        one = ends.enter_context(running(place / "one", variables, first))
        other = Stack(place / "other", variables, second)
        ends.callback(other.stop)
        other.share(one.keys, one.s3_endpoint)
        other.start()
        pictures = [
            one.upload(Client(one.port), photograph(number, 2040, 1356, grain=6)) for number in range(_PHOTOGRAPHS)
        ]
        both = ends.enter_context(balancer(place / "both", [one.port, other.port]))
        alone = ends.enter_context(balancer(place / "alone", [one.port]))
        numbers = itertools.count()
        for kind in options.formats:
            rest = (pictures, numbers, _ACCEPT[kind], options.clients, options.requests)
            # With more than two cores the others have some of their own, and nothing competes.
            spare = set(cores) - first - second
            sides = {
                "two nodes": partial(_measured, [one, other], spare or set(cores), both, *rest),
                "one node": partial(_measured, [one], spare or second, alone, *rest),
                "one node, all on its core": partial(_measured, [one], first, alone, *rest),
            }
            goals = {"one node": 1.8, "one node, all on its core": 1.8}
            comparisons.append(alternate(f"{kind}, {options.clients} clients", sides, options.rounds, goals=goals))
    pinned = "each node on a core of its own; S3, balancer and load on " + ("others" if spare else "both")
    tell("nodes", comparisons, pinned=pinned)


if __name__ == "__main__":
    main()
