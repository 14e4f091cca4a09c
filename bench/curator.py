"""How many pictures a second does `resize_images -j 2` make anew, against the same renders asked of Thumbor by hand?

Both have the same presets of the same photographs rendered by the same processes and stored in the same S3. The second
side is the bare renders: two clients, who list nothing, forget nothing at the edge, tell no node, and wait for no
result to be stored. The third is stock Thumbor on files, which stores nothing.
"""

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

from bench.load import Client, by_threads
from bench.misses import bare_thumbor
from bench.photographs import photograph
from bench.rounds import Figures, alternate, arguments, tell
from bench.stack import ROOT, Stack, folder, processor_seconds, running
from thumbstack.picture_key import PictureKey
from thumbstack.presets import read_presets

_ACCEPTS = ("image/avif", "image/webp", "image/jpeg")
_JOBS = 2


def _resized(stack: Stack, presets: Sequence[str], pictures: int) -> Figures:
    chosen = [part for name in presets for part in ("--preset", name)]
    before = stack.processor_seconds()
    done = subprocess.run(
        [sys.executable, "-m", "curator", "resize_images", "-j", str(_JOBS), "--formats", "all", "--json", *chosen],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **stack.keepers},
        capture_output=True,
        text=True,
        check=True,
    )
    after = stack.processor_seconds()
    told = json.loads(done.stdout)
    assert (told["processed"], told["errors"]) == (pictures, 0), told
    return {
        "pictures/s": pictures / told["duration_seconds"],
        "renders/s": told["variants"] / told["duration_seconds"],
        "ms of thumbor each": (after["thumbor"] - before["thumbor"]) / told["variants"] * 1000,
        "ms of s3 each": (after["s3"] - before["s3"]) / told["variants"] * 1000,
    }


def _asked(stack: Stack, pictures: Sequence[PictureKey], options: Sequence[str]) -> Figures:
    stack.empty_results()
    wanted = iter([(picture, one, accept) for picture in pictures for one in options for accept in _ACCEPTS])
    count = len(pictures) * len(options) * len(_ACCEPTS)

    def ask(client: Client) -> None:
        picture, one, accept = next(wanted)
        client.ask(stack.signed(picture, one), {"Accept": accept})

    clients = [Client(port) for port in itertools.islice(itertools.cycle(stack.thumbor_ports), _JOBS)]
    before = stack.processor_seconds()
    figures = by_threads([partial(ask, client) for client in clients], count, "renders")
    # Results are stored after the answer: that work is not the next side's.
    time.sleep(0.5)
    after = stack.processor_seconds()
    return {
        "pictures/s": figures["renders/s"] / count * len(pictures),
        "renders/s": figures["renders/s"],
        **{f"ms of {room} each": (after[room] - before[room]) / count * 1000 for room in ("thumbor", "s3")},
    }


def _stock(thumbors: Sequence[tuple[int, int]], pictures: int, options: Sequence[str]) -> Figures:
    wanted = iter([(number, one, accept) for number in range(pictures) for one in options for accept in _ACCEPTS])
    count = pictures * len(options) * len(_ACCEPTS)

    def ask(client: Client) -> None:
        number, one, accept = next(wanted)
        client.ask(f"/unsafe/{one}/{number}.jpg", {"Accept": accept})

    clients = [Client(thumbors[number % len(thumbors)][0]) for number in range(_JOBS)]
    before = sum(processor_seconds(pid) for _, pid in thumbors)
    figures = by_threads([partial(ask, client) for client in clients], count, "renders")
    used = sum(processor_seconds(pid) for _, pid in thumbors) - before
    return {
        "pictures/s": figures["renders/s"] / count * pictures,
        "renders/s": figures["renders/s"],
        "ms of thumbor each": used / count * 1000,
    }


def main() -> None:
    """Measure by turns."""
    parser = arguments("curator", __doc__ or "", rounds=3)
    parser.add_argument("--pictures", type=int, default=12, help="photographs of 2040x1356 (%(default)s)")
    parser.add_argument("--presets", nargs="+", default=["MI", "SI"], help="(%(default)s)")
    options = parser.parse_args()
    shipped = read_presets()
    asked = [shipped[name] for name in options.presets]
    with ExitStack() as ends:
        place = ends.enter_context(folder())
        os.environ["THUMBOR_PROCESSES"] = "2"
        stack = ends.enter_context(running(place / "stack"))
        bodies = [photograph(number, 2040, 1356, grain=6) for number in range(options.pictures)]
        (place / "photographs").mkdir()
        for number, body in enumerate(bodies):
            (place / "photographs" / f"{number}.jpg").write_bytes(body)
        pictures = [stack.upload(Client(stack.port), body) for body in bodies]
        thumbors = [ends.enter_context(bare_thumbor(place / "photographs")) for _ in range(2)]
        comparison = alternate(
            f"{options.pictures} pictures, {len(asked)} presets, 3 formats",
            {
                "resize_images -j 2": partial(_resized, stack, options.presets, len(pictures)),
                "Thumbor alone": partial(_asked, stack, pictures, asked),
                "stock Thumbor, files": partial(_stock, thumbors, len(pictures), asked),
            },
            options.rounds,
            goals={"Thumbor alone": 0.9},
        )
    tell("curator", [comparison], photograph_bytes=[len(body) for body in bodies])


if __name__ == "__main__":
    main()
