"""Memory of processes, sampled while something else goes on."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_SAMPLE_SECONDS = 0.2


@dataclass
class Memory:
    """What processes take together, in MB, over time: what each has in itself, and its share of what they share."""

    seen: list[float] = field(default_factory=list)
    # At the peak, by kind: Rss counts shared parts in each process, Pss_Anon only what is no file's.
    of: Mapping[str, float] = field(default_factory=dict)


@contextmanager
def watched(pids: Callable[[], Sequence[int]], kind: str = "Pss") -> Iterator[Memory]:
    """Sample the processes that there are at each moment; at the end once more."""
    memory, done = Memory(), threading.Event()

    def sample() -> None:
        kinds = _megabytes(pids())
        memory.seen.append(kinds[kind])
        if kinds[kind] >= max(memory.seen):
            memory.of = kinds

    def watch() -> None:
        while not done.wait(_SAMPLE_SECONDS):
            sample()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield memory
    finally:
        done.set()
        thread.join()
        sample()


def _megabytes(pids: Sequence[int]) -> Mapping[str, float]:
    kinds = {"Rss": 0.0, "Pss": 0.0, "Pss_Anon": 0.0}
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            name, amount = line.split()[:2]
            if (kind := name.rstrip(":")) in kinds:
                kinds[kind] += int(amount) / 1024
    return kinds
