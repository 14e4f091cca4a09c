"""How near does a cached thumbnail come to a plain file of the same nginx?"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from itertools import product
from urllib.parse import urlsplit

from bench.load import Client, has_wrk, same_request
from bench.photographs import photograph
from bench.plain_nginx import plain_files
from bench.rounds import Figures, alternate, arguments, tell
from bench.stack import UNLIMITED, Stack, folder, running
from thumbstack.picture_key import PictureKey
from thumbstack.signing import readable_path

_ACCEPT = {"Accept": "image/webp"}
_OPTIONS = "fit-in/400x400"


def _measured(port: int, path: str, connections: int, seconds: int, nginx_seconds: Callable[[], float]) -> Figures:
    before = nginx_seconds()
    figures = same_request(port, path, _ACCEPT, connections, seconds)
    # Does not depend on what the load generator and others take of the same cores.
    return {**figures, "us of nginx each": (nginx_seconds() - before) / figures["requests/s"] / seconds * 1e6}


def _paths(stack: Stack, client: Client, picture: PictureKey) -> Mapping[str, str]:
    """The same variant by every kind of URL."""
    wish = json.dumps({"key": str(picture), "options": _OPTIONS, "expires": 3600}).encode()
    _, said = client.ask("/sign", {"Content-Type": "application/json"}, "POST", wish)
    link = urlsplit(json.loads(said)["url"]).path
    return {"signed": stack.signed(picture, _OPTIONS), "readable": readable_path(picture, _OPTIONS), "link": link}


def main() -> None:
    """Measure by turns: the stack, plain files without a log, plain files with one."""
    parser = arguments("hits", __doc__ or "")
    parser.add_argument("--seconds", type=int, default=2, help="length of one measurement (%(default)s)")
    parser.add_argument("--connections", type=int, nargs="+", default=[2, 16], help="at a time (%(default)s)")
    kinds = ["signed", "readable", "link"]
    parser.add_argument("--addresses", nargs="+", choices=kinds, default=["signed"], help="kinds of URL (%(default)s)")
    options = parser.parse_args()
    comparisons = []
    with folder() as place, running(place / "stack", {**UNLIMITED, "ALLOWED_OPTIONS": _OPTIONS}) as stack:
        client = Client(stack.port)
        paths = _paths(stack, client, stack.upload(client, photograph(0, 1200, 800, grain=4)))
        bodies = set()
        for path in paths.values():
            client.ask(path, _ACCEPT)
            hit, body = client.ask(path, _ACCEPT)
            assert hit.getheader("X-Cache") == "HIT"
            bodies.add(body)
        assert len(bodies) == 1
        with plain_files(place / "plain", {"/picture": body}) as (silent, logged, plain_seconds):
            assert Client(silent).ask("/picture", _ACCEPT)[1] == body
            for kind, connections in product(options.addresses, options.connections):
                measured = partial(_measured, connections=connections, seconds=options.seconds)
                sides = {
                    "stack": partial(measured, stack.port, paths[kind], nginx_seconds=stack.nginx_seconds),
                    "plain file": partial(measured, silent, "/picture", nginx_seconds=plain_seconds),
                    "plain file, logged": partial(measured, logged, "/picture", nginx_seconds=plain_seconds),
                }
                goals = {"plain file": 0.8}
                comparisons.append(alternate(f"{kind}, {connections} connections", sides, options.rounds, goals=goals))
    tell("hits", comparisons, bytes=len(body), wrk=has_wrk())


if __name__ == "__main__":
    main()
