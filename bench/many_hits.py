"""How near do cached thumbnails come to plain files of the same nginx when 10 000 are asked, and when nothing changed?

Different pictures at random, so that no file stays open; and one whose ETag the client has, so that the answer is 304.
"""

import itertools
import random
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection
from pathlib import Path

from bench.load import Client, by_threads, has_wrk, read_wrk
from bench.photographs import photograph
from bench.plain_nginx import plain_files
from bench.rounds import Figures, alternate, arguments, progress, tell
from bench.stack import folder, running
from s3.serve import LOOPBACK

_ACCEPT = {"Accept": "image/webp"}
_ORIGINALS = 25
# What wrk does with one thread; each begins elsewhere.
_RANDOM_PATHS = """
local paths = {{}}
for line in io.lines("{paths}") do paths[#paths + 1] = line end
local threads = 0
function setup(thread) threads = threads + 1; thread:set("number", threads) end
function init() math.randomseed(number) end
function request() return wrk.format("GET", paths[math.random(#paths)]) end
"""


def _etag(port: int, path: str) -> str:
    connection = HTTPConnection(LOOPBACK, port, timeout=60)
    connection.request("GET", path, headers=_ACCEPT)
    answer = connection.getresponse()
    answer.read()
    tag = answer.getheader("ETag") or ""
    connection.request("GET", path, headers={**_ACCEPT, "If-None-Match": tag})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status == 304, answer.status
    return tag


@dataclass(frozen=True)
class Side:
    """One of the two nginx, and the same bytes at its own paths."""

    port: int
    paths: Sequence[str]
    nginx_seconds: Callable[[], float]


def _measured(side: Side, place: Path, unchanged: bool, connections: int, seconds: int) -> Figures:
    paths, headers = side.paths, _ACCEPT
    if unchanged:
        paths = paths[:1]
        headers = {**_ACCEPT, "If-None-Match": _etag(side.port, paths[0])}
    before = side.nginx_seconds()
    figures = _asked(place, side.port, paths, headers, connections, seconds)
    return {**figures, "us of nginx each": (side.nginx_seconds() - before) / figures["requests/s"] / seconds * 1e6}


def _asked(
    place: Path, port: int, paths: Sequence[str], headers: Mapping[str, str], connections: int, seconds: int
) -> Figures:
    """Any of the paths over and over; by wrk where there is one."""
    if not has_wrk():

        def ask(connection: HTTPConnection) -> None:
            connection.request("GET", random.choice(paths), headers=dict(headers))
            answer = connection.getresponse()
            answer.read()
            assert answer.status in (200, 304), answer.status

        everybody = [HTTPConnection(LOOPBACK, port, timeout=60) for _ in range(connections)]
        return by_threads([partial(ask, one) for one in everybody], max(connections, 2000 * seconds), "requests")
    (place / "paths").write_text("\n".join(paths))
    (place / "paths.lua").write_text(_RANDOM_PATHS.format(paths=place / "paths"))
    command = ["wrk", "--latency", "-t", str(min(2, connections)), "-c", str(connections), "-d", f"{seconds}s"]
    command += ["-s", str(place / "paths.lua"), *(f"-H{name}: {value}" for name, value in headers.items())]
    done = subprocess.run(
        [*command, f"http://{LOOPBACK}:{port}"], check=True, capture_output=True, text=True, timeout=seconds + 60
    )
    return read_wrk(done.stdout)


def main() -> None:
    """Fill the edge's cache, then measure by turns: the stack, and the same bytes as plain files."""
    parser = arguments("many_hits", __doc__ or "", rounds=3)
    parser.add_argument("--pictures", type=int, default=10_000, help="different ones (%(default)s)")
    parser.add_argument("--seconds", type=int, default=2, help="length of one measurement (%(default)s)")
    parser.add_argument("--connections", type=int, nargs="+", default=[2, 16], help="at a time (%(default)s)")
    options = parser.parse_args()
    comparisons = []
    with ExitStack() as ends:
        place = ends.enter_context(folder())
        stack = ends.enter_context(running(place / "stack"))
        client = Client(stack.port)
        originals = [
            stack.upload(client, photograph(number, 900, 600, grain=4))
            for number in range(min(_ORIGINALS, options.pictures))
        ]
        paths = [
            stack.signed(originals[number % len(originals)], f"{200 + number // len(originals)}x0")
            for number in range(options.pictures)
        ]
        bodies: dict[str, bytes] = {}
        left = iter(paths)

        def fill(one: Client) -> None:
            path = next(left)
            bodies[path] = one.ask(path, _ACCEPT)[1]
            progress(f"{len(bodies)} of {len(paths)} pictures made")

        by_threads([partial(fill, Client(stack.port)) for _ in range(8)], len(paths), "pictures")
        progress("")
        answer, _ = client.ask(paths[0], _ACCEPT)
        assert answer.getheader("X-Cache") == "HIT"
        plain_paths = [f"/{number % 256}/{number}" for number in range(len(paths))]
        files = {plain_path: bodies[path] for plain_path, path in zip(plain_paths, paths, strict=True)}
        plain, _, plain_seconds = ends.enter_context(plain_files(place / "plain", files))
        both = {
            "stack": Side(stack.port, paths, stack.nginx_seconds),
            "plain files": Side(plain, plain_paths, plain_seconds),
        }
        for unchanged, connections in itertools.product((False, True), options.connections):
            what = "nothing changed (304)" if unchanged else f"{len(paths)} pictures at random"
            sides = {
                name: partial(_measured, side, place, unchanged, connections, options.seconds)
                for name, side in both.items()
            }
            goals = {"plain files": 0.95}
            comparisons.append(alternate(f"{what}, {connections} connections", sides, options.rounds, goals=goals))
    tell("many_hits", comparisons, wrk=has_wrk(), bytes=sum(map(len, bodies.values())) // len(bodies))


if __name__ == "__main__":
    main()
