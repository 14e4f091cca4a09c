"""How near does a cached thumbnail come to a plain file of the same nginx?"""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import product
from pathlib import Path
from urllib.parse import urlsplit

from bench.load import Client, has_wrk, same_request
from bench.photographs import photograph
from bench.rounds import Figures, alternate, arguments, tell
from bench.stack import UNLIMITED, Stack, folder, processor_seconds, running
from deploy import nginx
from s3.serve import LOOPBACK, ROOM_PORTS, die_with_parent, free_ports
from thumbstack.picture_key import PictureKey
from thumbstack.signing import readable_path

_ACCEPT = {"Accept": "image/webp"}
_OPTIONS = "fit-in/400x400"
# As many workers and the same way to the socket as nginx/nginx.conf; without a log, and with nginx's own default one.
_PLAIN = """
{user}
pid nginx.pid;
worker_processes auto;
events {{ worker_connections 4096; }}
http {{
    default_type image/webp;
    sendfile on;
    tcp_nopush on;
    client_body_temp_path body; proxy_temp_path proxy;
    fastcgi_temp_path fastcgi; scgi_temp_path scgi; uwsgi_temp_path uwsgi;
    server {{ listen {address}:{silent}; root files; access_log off; }}
    server {{ listen {address}:{logged}; root files; access_log access.log combined; }}
}}
"""


@contextmanager
def _plain_nginx(place: Path, body: bytes) -> Iterator[tuple[int, int, Callable[[], float]]]:
    """An nginx with one file, /picture: its port without and with a log, and the processor seconds it has used."""
    silent, logged = free_ports(2, ROOM_PORTS)
    # Workers of a root's nginx are somebody else, who may not look into root's temporary folders.
    user = "user root;" if os.geteuid() == 0 else ""
    (place / "files").mkdir(parents=True)
    (place / "files" / "picture").write_bytes(body)
    (place / "nginx.conf").write_text(_PLAIN.format(user=user, address=LOOPBACK, silent=silent, logged=logged))
    # Without -p, relative paths would be the system's.
    command = [str(nginx.find()), "-e", "stderr", "-p", str(place), "-c", "nginx.conf", "-g", "daemon off;"]
    process = subprocess.Popen(command, preexec_fn=die_with_parent)
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    try:
        while len(workers.read_text().split()) < len(os.sched_getaffinity(0)):
            if process.poll() is not None:
                raise SystemExit("The plain nginx does not start; its own line above says why.")
            time.sleep(0.05)
        yield silent, logged, lambda: sum(processor_seconds(int(pid)) for pid in workers.read_text().split())
    finally:
        process.terminate()
        process.wait()


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
        with _plain_nginx(place / "plain", body) as (silent, logged, plain_seconds):
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
