"""How do thumbnails that are cropped, turned upright, or of large originals compare with stock Thumbor's?

The whole stack (nginx, signature, S3, result stored) against stock Thumbor with its own engine, reading files.
"""

import io
import itertools
import os
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from PIL import Image

from bench.load import Client
from bench.photographs import photograph
from bench.rivals import measured, ours, theirs
from bench.rounds import alternate, arguments, progress, tell
from bench.servers import Asked, stock_thumbor
from bench.stack import UNLIMITED, folder, running

_PHOTOGRAPHS = 4
_ORIENTATION = 0x0112
# What is asked, of photographs of which size, held how (6: a phone held upright).
_KINDS = {
    "300x200": ("{width}x{height}", 2040, 1356, 1),
    "300x200/smart": ("{width}x{height}/smart", 2040, 1356, 1),
    "300x200 of a phone's, turned": ("{width}x{height}", 4000, 3000, 6),
    "300x200 of 6000x4000": ("{width}x{height}", 6000, 4000, 1),
    "1200x1200 of 6000x4000": ("{width}x{height}", 6000, 4000, 1),
}


@dataclass(frozen=True)
class Crop(Asked):
    """Any options, with the width and height filled in."""

    form: str = ""

    @property
    def options(self) -> str:
        """As Thumbor writes it."""
        return self.form.format(width=self.width, height=self.height)


class Crops:
    """Crops that nobody asked for before: each a pixel higher than the one before it."""

    def __init__(self, kind: str, names: list[str]) -> None:
        self._form = _KINDS[kind][0]
        width, height = kind.split()[0].partition("/")[0].split("x")
        self._width, self._height = int(width), int(height)
        self._names = names
        self._numbers = itertools.count()

    def next(self, kind: str) -> Crop:
        """The next one."""
        number = next(self._numbers)
        more = number // len(self._names)
        return Crop(self._names[number % len(self._names)], self._width, self._height + more, None, self._form)


def _turned(body: bytes, orientation: int) -> bytes:
    with Image.open(io.BytesIO(body)) as image:
        exif = image.getexif()
        exif[_ORIENTATION] = orientation
        out = io.BytesIO()
        image.save(out, "JPEG", quality=88, exif=exif)
    return out.getvalue()


def main() -> None:
    """Measure by turns: the stack, and stock Thumbor, for each kind of crop."""
    parser = arguments("crops", __doc__ or "", rounds=3)
    parser.add_argument("--requests", type=int, default=40, help="in one measurement (%(default)s)")
    parser.add_argument("--clients", type=int, default=4, help="at a time (%(default)s)")
    parser.add_argument("--kinds", nargs="+", choices=_KINDS, default=list(_KINDS), help="these (all)")
    options = parser.parse_args()
    comparisons = []
    with ExitStack() as ends:
        place = ends.enter_context(folder())
        cores = len(os.sched_getaffinity(0))
        stack = ends.enter_context(running(place / "stack", {**UNLIMITED, "THUMBOR_PROCESSES": str(cores)}))
        client = Client(stack.port)
        files = place / "files"
        sizes: dict[tuple[int, int, int], list[str]] = {}
        for kind in options.kinds:
            _, width, height, orientation = _KINDS[kind]
            if (width, height, orientation) in sizes:
                continue
            progress(f"photographs of {width}x{height}")
            names = sizes[width, height, orientation] = []
            for number in range(_PHOTOGRAPHS):
                body = _turned(photograph(number, width, height, grain=6), orientation)
                names.append(str(stack.upload(client, body)))
                # Under the same name for both.
                file = files / names[-1]
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(body)
        stock = ends.enter_context(stock_thumbor(files, place))
        sides = {"stack": ours(stack, ""), "stock Thumbor, files": theirs(stock)}
        for kind in options.kinds:
            names = sizes[_KINDS[kind][1:]]
            turns = {
                name: partial(measured, side, Crops(kind, names), stack, "jpg", options.clients, options.requests)
                for name, side in sides.items()
            }
            goals = {"stock Thumbor, files": 1.0}
            comparisons.append(alternate(kind, turns, options.rounds, goals=goals))
    tell("crops", comparisons, clients=options.clients)


if __name__ == "__main__":
    main()
