"""The images and compose.yaml: read as Compose understands them, then seen in containers that run."""

import json
import os
import re
import runpy
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

ROOT = Path(__file__).parents[2]
ROOMS = ("nginx", "uploader", "signer", "thumbor", "curator", "s3")
COMMIT = "0123456789abcdef0123456789abcdef01234567"

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("docker_engine")]


def run(*command: str, **variables: str) -> str:
    """What a command of ours prints; its complaint where it fails."""
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


def compose(**variables: str) -> Any:
    """compose.yaml as Compose understands it."""
    variables = {"SECURITY_KEYS": "s" * 28, **variables}
    return json.loads(run("docker", "compose", "--env-file", "/dev/null", "config", "--format", "json", **variables))


LAPTOP = {"COMPOSE_PROFILES": "local", "OPEN_APP": "demo", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}


@pytest.fixture(scope="module")
def laptop() -> Any:
    """compose.yaml as `make up` has it."""
    return compose(**LAPTOP)["services"]


def test_only_nginx_publishes_a_port_and_only_to_this_machine(laptop: Any) -> None:
    published = {name: service["ports"] for name, service in laptop.items() if service.get("ports")}

    assert list(published) == ["nginx"]
    assert [(port["host_ip"], port["published"]) for port in published["nginx"]] == [("127.0.0.1", "5000")]


@pytest.mark.parametrize("room", ROOMS)
def test_every_container_is_locked_in(laptop: Any, room: str) -> None:
    service = laptop[room]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert int(service["mem_limit"]) > 0
    assert service["restart"] == "unless-stopped"
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}


def test_no_room_is_handed_a_secret_that_it_has_no_use_for(laptop: Any) -> None:
    secrets = ("SECURITY_KEYS", "API_KEYS", "AWS_SECRET_ACCESS_KEY")

    handed = {name: {secret for secret in secrets if secret in laptop[name]["environment"]} for name in ROOMS}

    assert handed == {
        "nginx": set(),
        "uploader": set(secrets),
        "signer": set(secrets),
        "thumbor": {"SECURITY_KEYS", "AWS_SECRET_ACCESS_KEY"},
        "curator": set(secrets),
        "s3": {"AWS_SECRET_ACCESS_KEY"},
    }


def test_rooms_have_no_way_out_where_s3_is_the_local_one() -> None:
    networks = compose(**LAPTOP)["networks"]

    assert {name for name, network in networks.items() if network.get("internal")} == {"rooms", "storage", "role"}


def test_without_the_laptops_settings_there_is_no_s3_no_open_app_and_a_way_to_aws() -> None:
    on_aws = compose(S3_ENDPOINT="", STORAGE_INTERNAL="false")

    assert set(on_aws["services"]) == set(ROOMS) - {"s3"}
    assert not on_aws["networks"]["storage"].get("internal")
    for name in ("uploader", "signer"):
        assert on_aws["services"][name]["environment"]["OPEN_APP"] is None
    assert on_aws["services"]["uploader"]["environment"]["AWS_ACCESS_KEY_ID"] is None


def test_without_a_key_nothing_starts_and_the_variable_is_named() -> None:
    done = subprocess.run(
        ["docker", "compose", "--env-file", "/dev/null", "config"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert "SECURITY_KEYS" in done.stderr


def test_no_container_is_killed_before_its_own_patience_ends(laptop: Any) -> None:
    def gunicorns(room: str) -> int:
        return int(runpy.run_path(str(ROOT / room / "gunicorn.conf.py"))["graceful_timeout"])

    def nginxs(directive: str, file: str) -> int:
        found = re.search(rf"^\s*{directive} (\d+)s;", (ROOT / "nginx" / file).read_text(), re.MULTILINE)
        assert found
        return int(found[1])

    thumbors = re.search(r'"STOP_SECONDS", "(\d+)"', (ROOT / "thumbor/thumbor.conf").read_text())
    assert thumbors
    patience = {
        "nginx": nginxs("worker_shutdown_timeout", "nginx.conf"),
        "uploader": gunicorns("uploader"),
        "signer": gunicorns("signer"),
        "thumbor": nginxs("proxy_read_timeout", "snippets/thumbor.conf") + int(thumbors[1]),
    }

    grace = {name: seconds(laptop[name]["stop_grace_period"]) for name in patience}

    assert all(grace[name] > patience[name] for name in patience), (grace, patience)


def seconds(period: str) -> int:
    """1m20s as 80."""
    minutes, rest = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", period).groups()  # type: ignore[union-attr]
    return 60 * int(minutes or 0) + int(rest or 0)


@pytest.fixture(scope="module")
def images() -> Iterator[dict[str, Any]]:
    """Each room's image, as the engine describes it."""
    repository = "thumbstack-test"
    variables = {**LAPTOP, "SECURITY_KEYS": "s" * 28, "IMAGE_REPOSITORY": repository, "GIT_COMMIT": COMMIT}
    run("docker", "compose", "--env-file", "/dev/null", "build", "--quiet", **variables)
    names = [f"{repository}/{room}" for room in ROOMS]
    yield dict(zip(ROOMS, json.loads(run("docker", "image", "inspect", *names)), strict=True))
    run("docker", "image", "rm", *names)


@pytest.mark.parametrize("room", ROOMS)
def test_an_image_says_where_it_comes_from_and_runs_as_nobody_of_the_host(images: dict[str, Any], room: str) -> None:
    config = images[room]["Config"]

    assert config["Labels"]["org.opencontainers.image.revision"] == COMMIT
    assert f"GIT_COMMIT={COMMIT}" in config["Env"]
    assert config["User"] == "10001:10001"
    # A shell in between would keep signals to itself.
    assert config["Cmd"][0] != "/bin/sh"
    assert config["Healthcheck"]["Test"][0] == "CMD"


@pytest.mark.parametrize("room", ROOMS)
def test_an_image_holds_no_installer_and_no_code_of_another_room(images: dict[str, Any], room: str) -> None:
    seen = run("docker", "run", "--rm", images[room]["Id"], "sh", "-c", "command -v pip uv gcc curl; ls /srv").split()

    # nginx serves what client/ is built into, and needs nothing of the domain.
    assert seen == sorted({room, "client"} if room == "nginx" else {room, "thumbstack"})


class Project:
    """The whole service, started by `make up`."""

    def __init__(self, data: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.name = f"thumbstack-test-{port}"
        self.url = f"http://127.0.0.1:{port}"
        self._variables = {"COMPOSE_PROJECT_NAME": self.name, "PORT": str(port), "DATA": str(data)}

    def make(self, target: str, arguments: str = "") -> str:
        return run("make", target, f"ARGS={arguments}", **self._variables)

    def container(self, service: str) -> Any:
        described = json.loads(run("docker", "inspect", f"{self.name}-{service}-1"))
        return described[0]

    def inside(self, service: str, command: str) -> None:
        run("docker", "exec", f"{self.name}-{service}-1", "sh", "-c", command)

    def address(self, service: str) -> str:
        return str(self.container(service)["NetworkSettings"]["Networks"][f"{self.name}_rooms"]["IPAddress"])

    def status(self, path: str) -> int | None:
        try:
            return requests.get(self.url + path, timeout=10).status_code
        except requests.RequestException:
            return None


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A running project of its own; its containers, networks and volumes are gone afterwards."""
    project = Project(tmp_path_factory.mktemp("data"))
    try:
        greeting = project.make("up")
        assert f"Ready: {project.url}" in greeting
        yield project
    finally:
        project.make("down", "-v")
        assert run("docker", "ps", "-aq", "--filter", f"name={project.name}") == ""


def eventually(what: Callable[[], bool], within: float = 60) -> bool:
    """Whether it comes true; a minute is what features.md gives a health check."""
    deadline = time.monotonic() + within
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


def test_a_picture_goes_in_comes_out_smaller_and_is_gone(project: Project, coffee: bytes) -> None:
    uploaded = requests.post(f"{project.url}/", files={"file": ("coffee.jpg", coffee)}, timeout=60)
    picture = uploaded.json()["pictures"][0]
    thumbnails = [requests.get(picture["urls"]["avatar"], timeout=60) for _ in range(2)]
    deleted = requests.delete(f"{project.url}/", params={"name": "coffee"}, timeout=60)
    after = requests.get(picture["urls"]["avatar"], timeout=60)

    assert uploaded.status_code == 201
    assert [(answer.status_code, answer.headers["X-Cache"]) for answer in thumbnails] == [(200, "MISS"), (200, "HIT")]
    assert deleted.json()["status"] == "coffee.jpg deleted"
    assert after.status_code in (404, 410)


def test_a_process_that_hangs_makes_its_container_unhealthy(project: Project) -> None:
    project.inside("signer", "kill -STOP -1 2>/dev/null; true")
    try:
        assert eventually(lambda: project.container("signer")["State"]["Health"]["Status"] == "unhealthy")
    finally:
        project.inside("signer", "kill -CONT -1; true")

    assert eventually(lambda: project.container("signer")["State"]["Health"]["Status"] == "healthy")


@pytest.mark.parametrize("room", ["uploader", "thumbor", "nginx", "s3"])
def test_a_room_whose_process_is_killed_comes_back(project: Project, room: str) -> None:
    before = project.container(room)["RestartCount"]

    # All that it runs but the init, which cannot be killed from within.
    subprocess.run(["docker", "exec", f"{project.name}-{room}-1", "sh", "-c", "kill -9 -1"], check=False)

    assert eventually(lambda: project.container(room)["RestartCount"] > before)
    assert eventually(lambda: project.container(room)["State"]["Health"]["Status"] == "healthy")
    assert eventually(lambda: project.status("/readyz") == 200)


def test_nginx_follows_rooms_that_exchange_their_addresses(project: Project) -> None:
    before = {room: project.address(room) for room in ("uploader", "signer")}
    names = {room: f"{project.name}-{room}-1" for room in before}
    # Docker gives the lowest free address first: to the one that had the higher.
    later, earlier = sorted(before, key=lambda room: int(before[room].split(".")[-1]))
    run("docker", "stop", *names.values())
    run("docker", "start", names[earlier])
    run("docker", "start", names[later])
    after = {room: project.address(room) for room in before}
    assert after == {"uploader": before["signer"], "signer": before["uploader"]}, "the exchange was not played"

    assert eventually(lambda: project.status("/readyz") == 200)
    # GET is not what /sign is for, and that is the signer's to say.
    assert eventually(lambda: project.status("/sign") == 405)


def test_everybody_ends_well_when_told_to_stop(project: Project) -> None:
    run("docker", "compose", "--project-name", project.name, "stop", SECURITY_KEYS="s" * 28, COMPOSE_PROFILES="local")

    assert {room: project.container(room)["State"]["ExitCode"] for room in ROOMS} == dict.fromkeys(ROOMS, 0)
