"""A stand-in for a load balancer: an nginx that hands each request to the node with the fewest under way."""

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

from deploy import nginx
from s3.serve import LOOPBACK, ROOM_PORTS, die_with_parent, free_ports

_CONFIGURATION = """
{user}
pid nginx.pid;
worker_processes 1;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy;
    fastcgi_temp_path fastcgi; scgi_temp_path scgi; uwsgi_temp_path uwsgi;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $remote_addr;
    upstream nodes {{ least_conn; keepalive 64; {servers} }}
    server {{ listen {address}:{port}; location / {{ proxy_pass http://nodes; }} }}
}}
"""


@contextmanager
def balancer(place: Path, nodes: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    """Balance over these ports; the balancer's own port, and its processes."""
    port = free_ports(1, ROOM_PORTS)[0]
    place.mkdir()
    configuration = _CONFIGURATION.format(
        # Workers of a root's nginx are somebody else, who may not look into root's temporary folders.
        user="user root;" if os.geteuid() == 0 else "",
        address=LOOPBACK,
        port=port,
        servers=" ".join(f"server {LOOPBACK}:{node} max_fails=0;" for node in nodes),
    )
    (place / "nginx.conf").write_text(configuration)
    command = [str(nginx.find()), "-e", "stderr", "-p", str(place), "-c", "nginx.conf", "-g", "daemon off;"]
    process = subprocess.Popen(command, preexec_fn=die_with_parent)
    try:
        while not _answers(port):
            if process.poll() is not None:
                raise SystemExit("The balancer does not start; its own line above says why.")
            time.sleep(0.05)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        yield port, [process.pid, *map(int, children)]
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    connection = HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
