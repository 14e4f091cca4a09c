"""How does a thumbnail that nobody asked for before compare with stock Thumbor's, imgproxy's and imagor's?

Whole stack (nginx, signature, S3, result stored) against each of them, in speed, memory, bytes, and likeness.
"""

import io
import itertools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Protocol

import numpy as np
from PIL import Image

from bench.load import Client, by_threads
from bench.memory import watched
from bench.photographs import FORMATS, photographs
from bench.rounds import Comparison, Figures, alternate, arguments, progress, tell
from bench.servers import AT_A_TIME, S3, Asked, Server, imagor, imgproxy, program, stock_thumbor
from bench.stack import UNLIMITED, Stack, folder, running
from thumbstack.picture_key import PictureKey

_PICTURES, _IMAGOR_RESULTS = "thumbstack-pictures", "bench-imagor-results"
_PREFIX = "o/demo/photographs"
_BOX = 512
_QUALITY = {"jpg": 80, "png": None, "webp": 75, "avif": 65}
_TYPES = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp", "avif": "image/avif"}
# Half more than stock Thumbor where decoding at a reduced scale helps; not behind anybody else.
_GOALS = {"stock Thumbor, files": 1.0, "imgproxy, S3": 1.0, "imagor, S3": 1.0}
# Goes on a while after the answers: a result on its way to S3 is not the next side's.
_REST_SECONDS = 0.5


@dataclass(frozen=True)
class Side:
    """One of those that are compared."""

    ports: Sequence[int]
    path: Callable[[Asked], str]
    pids: Callable[[], Sequence[int]]
    seconds: Callable[[], float]


def ours(stack: Stack, prefix: str = f"{_PREFIX}/") -> Side:
    """The whole stack; its names are below this prefix."""

    def path(asked: Asked) -> str:
        picture = PictureKey.parse(f"{prefix}{asked.name}")
        assert picture
        return stack.signed(picture, asked.options)

    def pids() -> Sequence[int]:
        return [pid for room, found in stack.processes().items() if room != "s3" for pid in found]

    def seconds() -> float:
        return sum(used for room, used in stack.processor_seconds().items() if room != "s3")

    return Side([stack.port], path, pids, seconds)


def theirs(server: Server) -> Side:
    """One of the others."""
    return Side(server.ports, server.path, lambda: server.pids, server.seconds)


class Numbered(Protocol):
    """Things to ask, each a new one."""

    def next(self, kind: str) -> Asked:
        """The next one of a format."""


class Requests:
    """What nobody asked for before: the height of the box, which no photograph reaches, makes each address new."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._numbers = dict.fromkeys(FORMATS, 0)
        self._lock = threading.Lock()

    def next(self, kind: str) -> Asked:
        """The next photograph of a format."""
        with self._lock:
            number = self._numbers[kind]
            self._numbers[kind] += 1
        return Asked(f"{number % self._count}.{kind}", _BOX, _BOX + number // self._count, _QUALITY[kind])


def measured(side: Side, requests: Numbered, stack: Stack, kind: str, clients: int, count: int) -> Figures:
    """Have clients ask for so many new ones, in all."""
    sizes: list[int] = []

    def ask(client: Client) -> None:
        answer, body = client.ask(side.path(requests.next(kind)), {"Accept": _TYPES[kind]})
        assert answer.getheader("Content-Type") == _TYPES[kind], answer.getheaders()
        assert answer.getheader("X-Cache", "MISS") == "MISS"
        sizes.append(len(body))

    everybody = [Client(side.ports[number % len(side.ports)]) for number in range(clients)]
    used, s3_used = side.seconds(), stack.processor_seconds()["s3"]
    with watched(side.pids) as memory:
        figures = by_threads([partial(ask, client) for client in everybody], count, "requests")
        time.sleep(_REST_SECONDS)
    return {
        "requests/s": figures["requests/s"],
        "p50 ms": figures["p50 ms"],
        "p95 ms": figures["p95 ms"],
        "MB at most": max(memory.seen),
        "kB each": mean(sizes) / 1000,
        "ms of processor each": (side.seconds() - used) / count * 1000,
        "ms of s3 each": (stack.processor_seconds()["s3"] - s3_used) / count * 1000,
    }


def _likeness(sides: Mapping[str, Side], place: Path, kind: str, count: int) -> Mapping[str, Mapping[str, float]]:
    """SSIM of each side's pictures with the original, resized whole by Lanczos."""
    # Its import takes a second, which only this bench needs.
    from skimage.metrics import structural_similarity

    found: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(count):
        with Image.open(place / f"{number}.{kind}") as image:
            original = image.convert("RGB")
        # A box of its own height: also this is asked for the first time.
        asked = Asked(f"{number}.{kind}", _BOX, 2 * _BOX, _QUALITY[kind])
        for name, side in sides.items():
            _, body = Client(side.ports[0]).ask(side.path(asked), {"Accept": _TYPES[kind]})
            with Image.open(io.BytesIO(body)) as image:
                made = image.convert("RGB")
            reference = original.resize(made.size, Image.Resampling.LANCZOS)
            pixels = np.asarray(reference), np.asarray(made)
            found[name].append(structural_similarity(*pixels, channel_axis=2))  # type: ignore[no-untyped-call]
    return {
        name: {"SSIM": round(mean(values), 4), "SSIM at least": round(min(values), 4)} for name, values in found.items()
    }


def _rows(comparisons: Iterable[Comparison], likeness: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[str]:
    """All of it once more, as a table."""
    rows = [
        "| | side | requests/s | of ours | p95 ms | processor ms | MB | kB | SSIM |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for comparison in comparisons:
        kind = comparison.what.partition(",")[0]
        for side in comparison.sides:
            seen = comparison.figures(side)
            ratio = comparison.ratios().get(side)
            like = likeness.get(kind, {}).get(side, {}).get("SSIM", "")
            rows.append(
                f"| {comparison.what} | {side} | {seen['requests/s']:g} | {ratio['median'] if ratio else ''}"
                f" | {seen['p95 ms']:.0f} | {seen['ms of processor each']:.1f} | {seen['MB at most']:.0f}"
                f" | {seen['kB each']:.1f} | {like} |"
            )
    return rows


def main() -> None:
    """Measure by turns: the stack, stock Thumbor, and what there is of imgproxy and imagor."""
    parser = arguments("rivals", __doc__ or "", rounds=2)
    parser.add_argument("--photographs", type=int, default=100, help="different ones, of each format (%(default)s)")
    parser.add_argument("--requests", type=int, default=75, help="in one measurement (%(default)s)")
    parser.add_argument("--clients", type=int, nargs="+", default=[2, 16], help="at a time (%(default)s)")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS), help="(%(default)s)")
    parser.add_argument("--likened", type=int, default=12, help="photographs whose SSIM is taken (%(default)s)")
    parser.add_argument("--keep", type=Path, help="a folder that keeps the photographs for the next time")
    options = parser.parse_args()
    comparisons: list[Comparison] = []
    likeness: dict[str, Mapping[str, Mapping[str, float]]] = {}
    cores = len(os.sched_getaffinity(0))
    left_out = [name for name in ("imgproxy", "imagor") if not program(name)]
    for name in left_out:
        print(f"LEFT OUT: {name}. {name.upper()} says where its program is; README.md how to have it.", file=sys.stderr)
    with ExitStack() as ends:
        place = ends.enter_context(folder())
        kept = options.keep or place / "photographs"
        kept.mkdir(exist_ok=True, parents=True)
        progress(f"making {options.photographs} photographs")
        photographs(kept, options.photographs, options.formats)
        stack = ends.enter_context(running(place / "stack", {**UNLIMITED, "THUMBOR_PROCESSES": str(cores)}))
        s3 = stack.s3()
        s3.create_bucket(Bucket=_IMAGOR_RESULTS)
        for number, kind in itertools.product(range(options.photographs), options.formats):
            name = f"{number}.{kind}"
            progress(f"storing {name}")
            s3.upload_file(str(kept / name), _PICTURES, f"{_PREFIX}/{name}", ExtraArgs={"ContentType": _TYPES[kind]})
        originals = S3(stack.s3_endpoint, _PICTURES, _PREFIX, stack.s3_credentials)
        sides = {"stack": ours(stack), "stock Thumbor, files": theirs(ends.enter_context(stock_thumbor(kept, place)))}
        if "imgproxy" not in left_out:
            sides["imgproxy, S3"] = theirs(ends.enter_context(imgproxy(originals, place)))
            sides["imgproxy, files"] = theirs(ends.enter_context(imgproxy(kept, place)))
        if "imagor" not in left_out:
            sides["imagor, S3"] = theirs(ends.enter_context(imagor(originals, place, _IMAGOR_RESULTS)))
            sides["imagor, files"] = theirs(ends.enter_context(imagor(kept, place)))
        requests = {name: Requests(options.photographs) for name in sides}
        for kind in options.formats:
            measures = {name: partial(measured, side, requests[name], stack, kind) for name, side in sides.items()}
            for measure in measures.values():
                measure(2, 8)  # warm up
            goals = {**_GOALS, "stock Thumbor, files": 1.5} if kind == "jpg" else _GOALS
            for clients in options.clients:
                turns = {name: partial(measure, clients, options.requests) for name, measure in measures.items()}
                comparisons.append(
                    alternate(f"{kind}, {clients} clients", turns, options.rounds, goals=goals, warm_up=False)
                )
            likeness[kind] = _likeness(sides, kept, kind, min(options.likened, options.photographs))
            for name, values in likeness[kind].items():
                print(f"  {name:26} " + "   ".join(f"{value:g} {what}" for what, value in values.items()), flush=True)
    print("\n".join(_rows(comparisons, likeness)))
    tell("rivals", comparisons, left_out=left_out, at_a_time=AT_A_TIME * cores, likeness=likeness)


if __name__ == "__main__":
    main()
