"""What a client is told, and when, while S3 misbehaves: nginx and Thumbor as they are run, S3 scripted.

``pytest tests/thumbor/test_faults.py -rP`` prints the seconds that each took; none is asserted.
"""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from deploy import nginx
from deploy.rooms import Settings, nginx_variables, plan
from thumbstack.result_key import result_key
from thumbstack.signing import signed_path

if TYPE_CHECKING:
    from tests.thumbor.conftest import S3, ScriptedS3, Thumbor, Thumbors, WaitUntil

KEY = "a-key-for-tests-that-is-long-enough"
KEYS = {"SECURITY_KEYS": KEY, "AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "tester-secret"}


class Edge:
    """nginx in front of Thumbor processes of the tests."""

    def __init__(self, folder: Path, *thumbors: "Thumbor") -> None:
        settings = Settings(data=folder, s3_endpoint="http://127.0.0.1:9")
        rooms = plan(settings, KEYS)
        settings = settings.model_copy(update={"port": next(room.port for room in rooms if room.name == "signer")})
        servers = " ".join(f"server {thumbor.url.removeprefix('http://')} max_fails=0;" for thumbor in thumbors)
        conf = folder / "run" / "nginx" / "conf"
        for name in (conf, folder / "cache", folder / "tombstones", folder / "logs"):
            name.mkdir(parents=True)
        nginx.render(conf, {**nginx_variables(settings, rooms, "abc"), "THUMBOR_UPSTREAM": servers})
        self.url = f"http://{settings.edge}"
        self._command: list[str | Path] = [nginx.find(), "-e", "stderr", "-c", conf / "nginx.conf", "-g", "daemon off;"]

    def start(self, wait_until: "WaitUntil") -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(self._command)

        def answers() -> bool:
            assert process.poll() is None
            try:
                return requests.get(f"{self.url}/ping", timeout=5).ok
            except requests.ConnectionError:
                return False

        wait_until(answers)
        return process


@pytest.fixture(scope="module")
def edge(on_scripted: "Thumbor", tmp_path_factory: pytest.TempPathFactory, wait_until: "WaitUntil") -> Iterator[Edge]:
    """nginx in front of a Thumbor on the scripted S3."""
    started = Edge(tmp_path_factory.mktemp("edge"), on_scripted)
    process = started.start(wait_until)
    yield started
    process.terminate()
    process.wait(30)


def ask(edge: Edge, path: str, case: str) -> requests.Response:
    began = time.monotonic()
    answer = requests.get(edge.url + path, headers={"Accept": "image/jpeg"}, timeout=60)
    print(f"{case:28} {answer.status_code}  {time.monotonic() - began:4.1f} s")
    return answer


SOURCE, RESULT = "test-pictures", "test-results"


@pytest.mark.parametrize(
    ("faults", "status"),
    [
        ({(SOURCE, "GET"): "403"}, 502),
        ({(SOURCE, "GET"): "404"}, 404),
        ({(SOURCE, "GET"): "500"}, 502),
        ({(SOURCE, "GET"): "503"}, 502),
        ({(SOURCE, "GET"): "hang"}, 504),
        ({(SOURCE, "GET"): "drip"}, 504),
        ({(SOURCE, "GET"): "truncate"}, 502),
        ({(RESULT, "GET"): "403"}, 200),
        ({(RESULT, "GET"): "500"}, 200),
        ({(RESULT, "GET"): "503"}, 200),
        ({(RESULT, "GET"): "hang"}, 200),
        ({(RESULT, "GET"): "drip"}, 200),
        ({(RESULT, "GET"): "truncate"}, 200),
        ({(RESULT, "PUT"): "403"}, 200),
        ({(RESULT, "PUT"): "500"}, 200),
        ({(RESULT, "PUT"): "503"}, 200),
        ({(RESULT, "PUT"): "hang"}, 200),
        ({(SOURCE, "HEAD"): "hang"}, 200),
        ({(SOURCE, "GET"): "hang", (RESULT, "GET"): "hang"}, 504),
        ({(SOURCE, "GET"): "drip", (RESULT, "GET"): "hang"}, 504),
        ({(SOURCE, "GET"): "503", (RESULT, "GET"): "503"}, 502),
    ],
    ids=lambda what: (
        " and ".join(f"{bucket.partition('-')[2]} {method} {fault}" for (bucket, method), fault in what.items())
        if isinstance(what, dict)
        else str(what)
    ),
)
def test_a_fault_of_s3_is_told_as_what_it_is(
    edge: Edge,
    scripted: "ScriptedS3",
    coffee: bytes,
    faults: dict[tuple[str, str], str],
    status: int,
    request: pytest.FixtureRequest,
) -> None:
    picture = scripted.put(coffee)
    if faults.get((RESULT, "GET")) in ("truncate", "drip"):
        # There must be a body that can break off.
        key = result_key(picture, "30x20", "jpg")
        scripted.objects[f"/{RESULT}/{key}"] = coffee
    scripted.faults.update(faults)

    answer = ask(edge, signed_path(picture, "30x20", KEY), request.node.callspec.id)

    assert answer.status_code == status
    if status != 200:
        assert set(answer.json()) == {"error", "code"}
        assert (answer.headers.get("Retry-After") is not None) == (status >= 500)
        assert SOURCE not in answer.text


def test_an_s3_that_refuses_connections_is_told(
    thumbors: "Thumbors", s3: "S3", wait_until: "WaitUntil", scripted: "ScriptedS3", coffee: bytes, tmp_path: Path
) -> None:
    nobody = thumbors.start({**s3.environment(), "S3_ENDPOINT": "http://127.0.0.1:9"})
    edge = Edge(tmp_path, nobody)
    process = edge.start(wait_until)
    try:
        answer = ask(edge, signed_path(scripted.put(coffee), "30x20", KEY), "connections refused")
    finally:
        process.terminate()
        process.wait(30)

    assert (answer.status_code, answer.json()["code"]) == (502, "bad_gateway")
