"""A registry for images on loopback: Debian's docker-registry, its files in a folder that is looked into."""

import base64
import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

_NONE = "no docker-registry here (Debian: apt-get install docker-registry): pushing images is not tested"
# Loopback, which Docker asks without TLS.
_HOST = "127.0.0.1"
# docker:secret
_HTPASSWD = "docker:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"


class Registry:
    """One running registry."""

    def __init__(self, port: int, folder: Path, authorization: str = "") -> None:
        self.host = f"{_HOST}:{port}"
        self._folder = folder
        self._headers = {"Authorization": f"Basic {authorization}"} if authorization else {}

    def ask(self, path: str) -> requests.Response:
        return requests.get(f"http://{self.host}/v2/{path}", headers=self._headers, timeout=20)

    def repositories(self) -> list[str]:
        found: list[str] = self.ask("_catalog").json()["repositories"]
        return sorted(found)

    def tags(self, repository: str) -> list[str]:
        found: list[str] = self.ask(f"{repository}/tags/list").json()["tags"]
        return sorted(found)

    def manifest(self, repository: str, tag: str) -> Any:
        accept = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
        answer = requests.get(
            f"http://{self.host}/v2/{repository}/manifests/{tag}", headers=self._headers | accept, timeout=20
        )
        answer.raise_for_status()
        return answer.json()

    def blobs(self) -> dict[str, int]:
        """All that is stored, layers and manifests, by digest: when it was written."""
        data = self._folder.glob("docker/registry/v2/blobs/*/*/*/data")
        return {file.parent.name: file.stat().st_mtime_ns for file in data}


@contextlib.contextmanager
def running(folder: Path, *, login: bool = False) -> Iterator[Registry]:
    """A registry on a free port; with `login` it asks for docker:secret. Skips where there is none, fails in CI."""
    if not shutil.which("docker-registry"):
        if os.environ.get("CI"):
            pytest.fail(_NONE)
        pytest.skip(_NONE)
    folder.mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port = probe.getsockname()[1]
    settings: dict[str, Any] = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder)}},
        "http": {"addr": f"{_HOST}:{port}"},
    }
    if login:
        (folder / "htpasswd").write_text(_HTPASSWD + "\n")
        settings["auth"] = {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}
    # JSON is YAML, too.
    (folder / "settings.yml").write_text(json.dumps(settings))
    log = folder / "log"
    with log.open("w") as out:
        server = subprocess.Popen(["docker-registry", "serve", folder / "settings.yml"], stdout=out, stderr=out)
    registry = Registry(port, folder, base64.b64encode(b"docker:secret").decode() if login else "")
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(requests.ConnectionError):
                if registry.ask("").ok:
                    break
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log.read_text())
            time.sleep(0.1)
        yield registry
    finally:
        server.terminate()
        server.wait(10)
