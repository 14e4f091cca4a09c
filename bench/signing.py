"""How near does a signed URL come to bare Flask answering a constant?"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from bench.load import Client, has_wrk, same_request
from bench.photographs import photograph
from bench.plain_nginx import plain_nginx
from bench.rounds import Figures, alternate, arguments, tell
from bench.stack import ROOT, folder, processor_seconds, running
from s3.serve import LOOPBACK, ROOM_PORTS, die_with_parent, free_ports

_JSON = {"Content-Type": "application/json"}
# What nginx/ does with /sign, and nothing else that it does.
_PLAIN = """
    access_log access.log combined;
    upstream bare {{ server {address}:{behind}; keepalive 16; }}
    server {{
        listen {address}:{port};
        location / {{ proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://bare; }}
    }}
"""


@contextmanager
def _bare_flask(log: Path) -> Iterator[tuple[int, Callable[[], float]]]:
    """Flask under the signer's own gunicorn.conf.py: its port, and the processor seconds that its workers have used."""
    (port,) = free_ports(1, ROOM_PORTS)
    command = [sys.executable, "-m", "gunicorn", "--config", "signer/gunicorn.conf.py"]
    command += ["--bind", f"{LOOPBACK}:{port}", "bench.bare_flask:application"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, preexec_fn=die_with_parent)
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    try:
        while True:
            try:
                Client(port).ask("/sign", _JSON, "POST", b"{}")
                break
            except OSError:
                if process.poll() is not None:
                    raise SystemExit(f"Flask does not start:\n{log.read_text()}") from None
                time.sleep(0.05)
        yield port, lambda: sum(processor_seconds(int(pid)) for pid in workers.read_text().split())
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _handing_on(place: Path, behind: int) -> Iterator[int]:
    """An nginx that hands all on: its port."""
    (port,) = free_ports(1, ROOM_PORTS)
    with plain_nginx(place, _PLAIN.format(address=LOOPBACK, port=port, behind=behind)):
        yield port


def _measured(port: int, body: bytes, connections: int, seconds: int, used: Callable[[], float]) -> Figures:
    before = used()
    figures = same_request(port, "/sign", _JSON, connections, seconds, "POST", body)
    # Does not depend on what the load generator and others take of the same cores.
    return {**figures, "us of Python each": (used() - before) / figures["requests/s"] / seconds * 1e6}


def main() -> None:
    """Measure by turns: one signed URL, straight and through nginx, and a srcset."""
    parser = arguments("signing", __doc__ or "")
    parser.add_argument("--seconds", type=int, default=2, help="length of one measurement (%(default)s)")
    parser.add_argument("--connections", type=int, default=8, help="at a time (%(default)s)")
    options = parser.parse_args()
    comparisons = []
    with ExitStack() as ends:
        place = ends.enter_context(folder())
        stack = ends.enter_context(running(place / "stack"))
        flask, flask_seconds = ends.enter_context(_bare_flask(place / "flask.log"))
        plain = ends.enter_context(_handing_on(place / "plain", flask))
        picture = stack.upload(Client(stack.port), photograph(0, 1200, 800, grain=4))
        one = {"key": str(picture), "options": "fit-in/400x400/filters:quality(90)"}
        bodies = {"one URL": one, "a srcset of five": {**one, "widths": [200, 400, 600, 800, 1200]}}
        for way, ours, theirs in (("straight", stack.signer_port, flask), ("through nginx", stack.port, plain)):
            for what, fields in bodies.items():
                measured = partial(
                    _measured,
                    body=json.dumps(fields).encode(),
                    connections=options.connections,
                    seconds=options.seconds,
                )
                sides = {
                    "signer": partial(measured, ours, used=lambda: stack.processor_seconds()["signer"]),
                    "bare Flask": partial(measured, theirs, used=flask_seconds),
                }
                goals = {"bare Flask": 0.5} if fields is one else {}
                comparisons.append(alternate(f"{what}, {way}", sides, options.rounds, goals=goals))
    tell("signing", comparisons, connections=options.connections, wrk=has_wrk())


if __name__ == "__main__":
    main()
