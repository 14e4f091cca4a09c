"""How long from `make run` to ready, on data that is there and on a first start; and how long to stop?"""

import itertools
from collections.abc import Callable
from functools import partial

from bench.load import Client
from bench.photographs import photograph
from bench.rounds import Figures, alternate, arguments, tell
from bench.stack import Stack, folder


def _start_and_stop(stack: Stack) -> Figures:
    try:
        return {"s to ready": stack.start(), "s to stop": stack.stop()}
    finally:
        stack.stop()


def main() -> None:
    """Measure by turns: existing data, and empty data."""
    options = arguments("start_stop", __doc__ or "").parse_args()
    with folder() as place:
        existing = Stack(place / "existing")
        try:
            existing.start()
            existing.upload(Client(existing.port), photograph(0, 1200, 800, grain=4))
        finally:
            existing.stop()
        fresh = (Stack(place / f"empty-{number}") for number in itertools.count())
        sides: dict[str, Callable[[], Figures]] = {
            "existing data": partial(_start_and_stop, existing),
            "empty data": lambda: _start_and_stop(next(fresh)),
        }
        # The start that made the existing data has warmed everything up.
        comparison = alternate("start and stop", sides, options.rounds, warm_up=False)
    tell("start_stop", [comparison])


if __name__ == "__main__":
    main()
