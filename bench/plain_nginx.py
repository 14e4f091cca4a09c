"""nginx without anything of ours: the least that an answer of it can cost."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.stack import processor_seconds
from deploy import nginx
from s3.serve import LOOPBACK, ROOM_PORTS, die_with_parent, free_ports

# As many workers as nginx/nginx.conf has.
_MAIN = """
{user}
pid nginx.pid;
worker_processes auto;
events {{ worker_connections 4096; }}
http {{
    client_body_temp_path body; proxy_temp_path proxy;
    fastcgi_temp_path fastcgi; scgi_temp_path scgi; uwsgi_temp_path uwsgi;
    {http}
}}
"""
# The same way to the socket as nginx/nginx.conf; without a log, and with nginx's own default one.
_FILES = """
    default_type image/webp;
    sendfile on;
    tcp_nopush on;
    server {{ listen {address}:{silent}; root files; access_log off; }}
    server {{ listen {address}:{logged}; root files; access_log access.log combined; }}
"""


@contextmanager
def plain_nginx(place: Path, http: str) -> Iterator[Callable[[], float]]:
    """Run it in a folder, with these lines in its block http: the processor seconds that its workers have used."""
    # Workers of a root's nginx are somebody else, who may not look into root's temporary folders.
    user = "user root;" if os.geteuid() == 0 else ""
    place.mkdir(exist_ok=True)
    (place / "nginx.conf").write_text(_MAIN.format(user=user, http=http))
    # Without -p, relative paths would be the system's.
    command = [str(nginx.find()), "-e", "stderr", "-p", str(place), "-c", "nginx.conf", "-g", "daemon off;"]
    process = subprocess.Popen(command, preexec_fn=die_with_parent)
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    try:
        while len(workers.read_text().split()) < len(os.sched_getaffinity(0)):
            if process.poll() is not None:
                raise SystemExit("The plain nginx does not start; its own line above says why.")
            time.sleep(0.05)
        yield lambda: sum(processor_seconds(int(pid)) for pid in workers.read_text().split())
    finally:
        process.terminate()
        process.wait()


@contextmanager
def plain_files(place: Path, bodies: Mapping[str, bytes]) -> Iterator[tuple[int, int, Callable[[], float]]]:
    """An nginx with files at these paths: its port without and with a log, and the processor seconds it has used."""
    silent, logged = free_ports(2, ROOM_PORTS)
    for path, body in bodies.items():
        file = place / "files" / path.removeprefix("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)
    with plain_nginx(place, _FILES.format(address=LOOPBACK, silent=silent, logged=logged)) as seconds:
        yield silent, logged, seconds
