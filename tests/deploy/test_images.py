"""`make build`, `push` and `clean`, on a real engine and real registries: Debian's, and the emulator's ECR."""

import base64
import json
import os
import re
import subprocess
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from deploy import images
from deploy.images import Image, StoppedError
from tests.deploy import emulator, registry
from tests.deploy.registry import Registry

ROOT = Path(__file__).parents[2]
ROOMS = ("curator", "instance", "nginx", "s3", "signer", "thumbor", "uploader")
# Not `thumbstack`: what this machine has built for itself stays as it is.
REPOSITORY = "thumbstack-images-test"

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("docker_engine")]


def run(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


COMMIT = run("git", "rev-parse", "HEAD")
DATE = run("git", "show", "-s", "--format=%cI")


# One that is pushed in a moment.
SMALL = [Image(f"{REPOSITORY}/instance:latest", COMMIT, DATE)]


class Build:
    """What `make` is told and what it says, under a name of its own."""

    def __init__(self, data: Path) -> None:
        self._variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(data),
            "DATA": str(data),
            "IMAGE_REPOSITORY": REPOSITORY,
        }

    def make(self, target: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        # The tests' own environment is there, whatever the times of its files say.
        command = ["make", target, f"INSTALLED={ROOT / '.venv/bin/python'}"]
        environment = {**self._variables, **variables}
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def identities(tag: str, repository: str = REPOSITORY) -> dict[str, str]:
    """The id of each room's image under that tag."""
    found = json.loads(run("docker", "image", "inspect", *(f"{repository}/{room}:{tag}" for room in ROOMS)))
    return {room: image["Id"] for room, image in zip(ROOMS, found, strict=True)}


def bill(room: str) -> Any:
    return json.loads((ROOT / f"dist/bills/{room}.cdx.json").read_text())


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Build]:
    """All images, built once; they are gone afterwards."""
    build = Build(tmp_path_factory.mktemp("build"))
    done = build.make("build")
    assert done.returncode == 0, done.stdout + done.stderr
    yield build
    done = build.make("clean")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry.running(tmp_path_factory.mktemp("registry") / "open") as running:
        yield running


@pytest.mark.usefixtures("build")
def test_every_image_is_tagged_and_labelled_with_its_commit() -> None:
    assert identities("latest") == identities(COMMIT)
    assert len(set(identities(COMMIT).values())) == len(ROOMS)
    for room in ROOMS:
        (found,) = json.loads(run("docker", "image", "inspect", f"{REPOSITORY}/{room}:{COMMIT}"))
        labels = found["Config"]["Labels"]
        assert labels["org.opencontainers.image.revision"] == COMMIT, room
        assert labels["org.opencontainers.image.created"] == DATE, room


@pytest.mark.usefixtures("build")
@pytest.mark.parametrize("room", ROOMS)
def test_the_bill_of_materials_is_cyclonedx_and_of_this_image(room: str) -> None:
    folder = files("cyclonedx.schema") / "_res"
    names = [f"{name}.SNAPSHOT.schema.json" for name in ("bom-1.6", "spdx", "jsf-0.82")]
    # Known by the names by which the first refers to the others.
    schemas = [
        json.loads((folder / name).read_text()) | {"$id": f"http://cyclonedx.org/schema/{name}"} for name in names
    ]
    there = jsonschema_rs.Registry([(schema["$id"], schema) for schema in schemas])
    jsonschema_rs.validator_for(schemas[0], registry=there).validate(bill(room))

    described = bill(room)["metadata"]
    assert described["component"]["name"] == f"{REPOSITORY}/{room}"
    assert described["component"]["version"] == COMMIT
    assert described["component"]["bom-ref"] == identities(COMMIT)[room]


@pytest.mark.usefixtures("build")
def test_the_bill_names_all_that_is_installed_and_nothing_else() -> None:
    image = f"{REPOSITORY}/uploader:{COMMIT}"
    debian = run("docker", "run", "--rm", image, "dpkg-query", "-Wf", "deb ${Package} ${Version}\n").splitlines()
    listing = "import importlib.metadata as m\nfor d in m.distributions(): print('pypi', d.metadata['Name'], d.version)"
    python = run("docker", "run", "--rm", image, "/opt/venv/bin/python", "-c", listing).splitlines()

    named = {
        f"{re.match(r'pkg:(deb|pypi)/', one['purl'])[1]} {one['name']} {one['version']}"  # type: ignore[index]
        for one in bill("uploader")["components"]
    }

    assert len(python) > 20
    assert named == {*debian, *python}


@pytest.mark.usefixtures("build")
def test_what_holds_no_package_has_an_empty_bill() -> None:
    assert bill("instance").get("components", []) == []


def test_the_same_commit_again_is_the_same_image_with_the_same_bill(build: Build) -> None:
    before, written = identities(COMMIT), {room: (ROOT / f"dist/bills/{room}.cdx.json").stat() for room in ROOMS}

    assert build.make("build").returncode == 0

    assert identities(COMMIT) == before
    for room, stat in written.items():
        assert (ROOT / f"dist/bills/{room}.cdx.json").stat().st_mtime_ns == stat.st_mtime_ns


@pytest.mark.usefixtures("build")
def test_a_folder_may_be_said(hub: Registry) -> None:
    images.push(SMALL, f"{hub.host}/somebody/pictures/", {})

    assert hub.repositories() == ["somebody/pictures/instance"]
    assert hub.tags("somebody/pictures/instance") == sorted([COMMIT, "latest"])
    # What it is called there is a name for the way only.
    assert hub.host not in run("docker", "image", "ls", "--format", "{{.Repository}}")


@pytest.mark.usefixtures("build")
def test_a_login_comes_from_the_environment_and_is_left_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with registry.running(tmp_path / "closed", login=True) as closed:
        sentence = (
            f"{re.escape(closed.host)} does not let you push .*: log in with `docker login {closed.host}`, "
            "or set REGISTRY_USER and REGISTRY_PASSWORD"
        )
        for wrong in ({}, {"REGISTRY_USER": "docker", "REGISTRY_PASSWORD": "guess"}):
            with pytest.raises(StoppedError, match=sentence):
                images.push(SMALL, closed.host, wrong)
        images.push(SMALL, closed.host, {"REGISTRY_USER": "docker", "REGISTRY_PASSWORD": "secret"})

        assert closed.tags("thumbstack/instance") == sorted([COMMIT, "latest"])
    assert "secret" not in capfd.readouterr().out
    assert not (tmp_path / ".docker").exists()


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({}, "push: REGISTRY is not set. Say where to: make push REGISTRY=docker.io/<you>"),
        ({"REGISTRY": "127.0.0.1:1"}, 'could not be pushed: Get "http://127.0.0.1:1/v2/"'),
        (
            {"REGISTRY": "h.example", "GIT_COMMIT": "b" * 40},
            f":{'b' * 40} is not there: run `make build` first.",
        ),
        ({"REGISTRY": "h.example", "REGISTRY_USER": "me"}, "REGISTRY_USER and REGISTRY_PASSWORD go together"),
    ],
    ids=["nowhere", "nobody", "not-built", "half-a-login"],
)
def test_a_push_that_cannot_be_says_what_to_change(build: Build, variables: dict[str, str], sentence: str) -> None:
    done = build.make("push", **variables)

    assert done.returncode != 0
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("build")
def test_ecr_is_logged_in_to_its_repositories_are_made_and_a_commit_stays_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with emulator.running(tmp_path / "ministack.log") as aws:
        for name, value in aws.environment.items():
            monkeypatch.setenv(name, value)
        host = f"127.0.0.1:{aws.port}"
        # The emulator has no name such as ECR's; how those are told is another test's.
        monkeypatch.setattr(images, "_ECR", re.compile(f"{re.escape(host)}(?P<region>)"))

        images.push(SMALL, host, {})
        images.push(SMALL, host, {})

        ecr = aws.client("ecr")
        (found,) = ecr.describe_images(repositoryName="thumbstack/instance")["imageDetails"]
        assert found["imageTags"] == [COMMIT]
        (described,) = ecr.describe_repositories(repositoryNames=["thumbstack/instance"])["repositories"]
        assert described["imageTagMutability"] == "IMMUTABLE"

        other = f"{REPOSITORY}/other/instance"
        run("docker", "tag", f"{REPOSITORY}/nginx:{COMMIT}", f"{other}:{COMMIT}")
        try:
            with pytest.raises(StoppedError, match="is there already with another content, and may not be changed"):
                images.push([Image(f"{other}:latest", COMMIT, DATE)], host, {})
        finally:
            run("docker", "image", "rm", f"{other}:{COMMIT}")


def test_hosts_of_ecr_are_known_by_their_name() -> None:
    def region(host: str) -> str | None:
        found = images._ECR.fullmatch(host)
        return found["region"] if found else None

    assert region("123456789012.dkr.ecr.eu-west-1.amazonaws.com") == "eu-west-1"
    assert region("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com") == "us-gov-west-1"
    assert region("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn") == "cn-north-1"
    for other in (
        "docker.io",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example",
        "ecr.eu-west-1.amazonaws.com",
    ):
        assert region(other) is None


def test_docker_hub_is_logged_in_to_by_the_name_docker_gives_it() -> None:
    pair = {"REGISTRY_USER": "me", "REGISTRY_PASSWORD": "secret"}
    token = base64.b64encode(b"me:secret").decode()

    assert images._own_login("docker.io", pair) == {"https://index.docker.io/v1/": token}
    assert images._own_login("ghcr.io", pair) == {"ghcr.io": token}
    assert images._own_login("ghcr.io", {}) is None


def test_clean_removes_what_was_built_of_this_commit_and_nothing_else(build: Build) -> None:
    mine = f"{REPOSITORY}/clean"
    for room in ROOMS:
        for tag in (COMMIT, "latest"):
            run("docker", "tag", f"{REPOSITORY}/{room}:{COMMIT}", f"{mine}/{room}:{tag}")
    # What is `latest` here is of another commit.
    run("docker", "tag", f"{REPOSITORY}/signer:{COMMIT}", f"{mine}/nginx:latest")

    done = build.make("clean", IMAGE_REPOSITORY=mine)

    assert done.returncode == 0, done.stderr
    left = run("docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", f"{mine}/*").splitlines()
    run("docker", "image", "rm", f"{mine}/nginx:latest")
    assert left == [f"{mine}/nginx:latest"]
    assert identities(COMMIT).keys() == set(ROOMS)
    bill = ROOT / "dist/bills/nginx.cdx.json"
    assert not bill.exists()
    # Now there is nothing of this commit, and a bill is another's.
    bill.write_text("{}")
    assert build.make("clean", IMAGE_REPOSITORY=mine).returncode == 0
    assert bill.exists()
    bill.unlink()
