"""From a commit to pictures: both real Jenkinsfiles on the real Makefile, real images, a real registry, an emulator of
AWS, and real containers behind its load balancer.

Played are Jenkins (jenkins.groovy), its queue, which starts Deploy as Jenkinsfile_build asked for, and the group of
instances: the emulator starts none, so that Fleet does, on this machine and with the local S3. A real boot is
tests/deploy/test_boot.py's. PYTEST_ADDOPTS names which tests the stage Test runs, as it would otherwise begin with this
one; the stage's command is the Jenkinsfile's own.
"""

import base64
import os
import re
import secrets
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy import emulator, registry
from tests.deploy.emulator import Aws
from tests.deploy.registry import Registry
from tests.jenkins.jenkins import ROOT, Played, git, play

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("docker_engine"), pytest.mark.timeout(900)]

STACK = "delivered"
# A name of this run only: what a run that was killed left behind is not this one's.
REPOSITORY = f"thumbstack-jenkins-test-{secrets.token_hex(4)}"
CREDENTIALS = {"aws-access-key-id": "test", "aws-secret-access-key": "test", "registry": "docker:secret"}
NETWORK = {"VPCCIDRBlock": "10.20.0.0/16", "SubnetACIDRBlock": "10.20.0.0/20", "SubnetBCIDRBlock": "10.20.16.0/20"}
IMAGE = "/thumbstack/tests/image"


class Fleet(threading.Thread):
    """The group's instances, as far as they are containers: starts what the launch template says, when it says so.

    A commit whose images are not in the registry starts nothing, and the one before goes on.
    """

    def __init__(self, aws: Aws, hub: Registry, folder: Path) -> None:
        super().__init__()
        self._aws, self._hub, self._folder = aws, hub, folder
        self._stopped = threading.Event()
        self._project = f"thumbstack-fleet-{aws.port}"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._variables = {"SECURITY_KEYS": "-"}
        self.started: list[str] = []
        self.refused: list[str] = []

    def run(self) -> None:
        seen = ""
        while not self._stopped.wait(0.5):
            commit = self._wanted()
            if commit and commit != seen:
                seen = commit
                (self.started if self._start(commit) else self.refused).append(commit)

    def stop(self) -> None:
        self._stopped.set()
        self.join()
        self._docker("compose", "down", "--volumes", "--rmi", "all")

    def _wanted(self) -> str:
        """The commit in the user data that the next instance would have."""
        found = self._aws.client("ec2").describe_launch_templates()["LaunchTemplates"]
        if not found:
            return ""
        (version,) = self._aws.client("ec2").describe_launch_template_versions(
            LaunchTemplateId=found[0]["LaunchTemplateId"], Versions=["$Latest"]
        )["LaunchTemplateVersions"]
        script = base64.b64decode(version["LaunchTemplateData"]["UserData"]).decode()
        said = re.search(r"COMMIT=([0-9a-f]{40}) IMAGE_REPOSITORY=(\S+)", script)
        assert said
        assert said[2] == f"{self._hub.host}/thumbstack"
        return said[1]

    def _start(self, commit: str) -> bool:
        resources = self._aws.resources(STACK)
        manager = self._aws.client("secretsmanager")
        for name, logical in (("SECURITY_KEYS", "SecurityKeys"), ("API_KEYS", "ApiKeys")):
            self._variables[name] = manager.get_secret_value(SecretId=resources[logical])["SecretString"]
        self._variables |= {
            "IMAGE_REPOSITORY": f"{self._hub.host}/thumbstack",
            "IMAGE_TAG": commit,
            "PORT": str(self.port),
            "COMPOSE_PROFILES": "local",
            "AWS_ACCESS_KEY_ID": "fleet",
            "AWS_SECRET_ACCESS_KEY": "secret-of-the-fleet",
        }
        self._docker("login", "--username", "docker", "--password", "secret", self._hub.host)
        rooms = ("nginx", "uploader", "signer", "thumbor", "s3")
        if self._docker("compose", "pull", "--quiet", *rooms):
            return False
        assert self._docker("compose", "up", "--no-build", "--detach", "--wait", *rooms) == 0
        self._aws.client("elbv2").register_targets(
            TargetGroupArn=resources["TargetGroup"], Targets=[{"Id": "127.0.0.1", "Port": self.port}]
        )
        return True

    def _docker(self, *arguments: str) -> int:
        environment = {
            "PATH": os.environ["PATH"],
            "DOCKER_CONFIG": str(self._folder / "docker"),
            "COMPOSE_PROJECT_NAME": self._project,
            "COMPOSE_ENV_FILES": "/dev/null",
            **self._variables,
        }
        with (self._folder / "fleet.log").open("a") as log:
            return subprocess.run(["docker", *arguments], cwd=ROOT, env=environment, stdout=log, stderr=log).returncode


class Estate:
    """A repository, a registry, an account, and the agent on which Jenkins works."""

    def __init__(self, folder: Path, hub: Registry, aws: Aws) -> None:
        self.folder, self.hub, self._aws = folder, hub, aws
        self.source = folder / "source"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(self.source)], check=True)
        self._with_what_is_not_committed_yet()
        self.commit = git(self.source, "rev-parse", "HEAD")
        # What make installs is there already, and newer than any lock.
        made = {name: folder / name for name in ("INSTALLED", "CLIENT_INSTALLED", "GROOVY_LINT")}
        for file in made.values():
            file.touch()
            os.utime(file, (time.time() + 86400,) * 2)
        made["BIN"] = ROOT / ".venv/bin"
        self.agent = {
            "HOME": str(folder),
            "MAKEFLAGS": " ".join(f"{name}={value}" for name, value in made.items()),
            "IMAGE_REPOSITORY": REPOSITORY,
            "REGISTRY": hub.host,
            "PYTEST_ADDOPTS": "-p no:cacheprovider tests/thumbstack/test_picture_key.py",
            **{name: value for name, value in aws.environment.items() if "KEY" not in name},
            "ImageId": IMAGE,
            "ImageRepository": f"{hub.host}/thumbstack",
            # The load balancer's name is known to the emulator only.
            "http_proxy": aws.url,
            "no_proxy": "127.0.0.1,localhost",
        }

    def _with_what_is_not_committed_yet(self) -> None:
        """In CI there is no such thing."""
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--modified", "--others", "--exclude-standard"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout.split("\0")  # fmt: skip
        for name in filter(None, listed):
            (self.source / name).parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).exists():
                shutil.copy2(ROOT / name, self.source / name)
            else:
                (self.source / name).unlink(missing_ok=True)
        if git(self.source, "status", "--porcelain"):
            git(self.source, "add", "--all")
            git(self.source, "commit", "--quiet", "--message=Not committed yet")

    def workspace(self, name: str) -> Path:
        """An agent's folder, with the packages of npm that an earlier build has left there."""
        workspace = self.folder / name
        for room in ("client", "tests/jenkins"):
            # make lint has installed them already, if it ran.
            subprocess.run(["make", f"{room}/node_modules/.package-lock.json"], cwd=ROOT, check=True)
            (workspace / room / "node_modules").mkdir(parents=True)
            for package in (ROOT / room / "node_modules").iterdir():
                (workspace / room / "node_modules" / package.name).symlink_to(package)
        if (ROOT / ".mypy_cache").exists():
            shutil.copytree(ROOT / ".mypy_cache", workspace / ".mypy_cache")
        return workspace

    def play(self, name: str, parameters: dict[str, str] | None = None) -> Played:
        file = self.source / f"Jenkinsfile_{name}"
        workspace = self.workspace(f"{name}-{time.monotonic_ns()}")
        return play(file, self.source, workspace, self.agent, parameters, CREDENTIALS)

    def make(self, *targets: str) -> str:
        """What make says in the repository, with the registry's login at hand."""
        login = {"REGISTRY_USER": "docker", "REGISTRY_PASSWORD": "secret", "PATH": os.environ["PATH"]}
        done = subprocess.run(
            ["make", *targets], cwd=self.source, env=self.agent | login, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def manifests(self) -> dict[str, Any]:
        return {name: self.hub.manifest(name, self.commit) for name in self.hub.repositories()}

    def stack(self) -> Any:
        (found,) = self._aws.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        return found

    def deployed(self) -> str:
        return str(self._aws.client("ssm").get_parameter(Name=f"/thumbstack/{STACK}/commit")["Parameter"]["Value"])


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    folder = tmp_path_factory.mktemp("estate")
    with registry.running(folder / "registry", login=True) as hub, emulator.running(folder / "ministack.log") as aws:
        aws.client("ssm").put_parameter(Name=IMAGE, Value="ami-0123456789abcdef0", Type="String")
        estate = Estate(folder, hub, aws)
        yield estate
        # Only now: no container of the fleet is left that uses an image.
        estate.make("clean")
        assert images() == []


@pytest.fixture(scope="module")
def fleet(estate: Estate) -> Iterator[Fleet]:
    fleet = Fleet(estate._aws, estate.hub, estate.folder)
    fleet.start()
    yield fleet
    fleet.stop()


@pytest.fixture(scope="module")
def built(estate: Estate) -> Played:
    """What came of the build's job."""
    return estate.play("build", {"STACK_NAME": STACK} | NETWORK)


@pytest.fixture(scope="module")
def delivered(estate: Estate, fleet: Fleet, built: Played) -> Played:
    """What came of the job that it started."""
    (triggered,) = built.record["triggered"]
    assert triggered["job"] == "Deploy"
    return estate.play("deploy", triggered["parameters"])


def images() -> list[str]:
    listed = ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", f"{REPOSITORY}/*"]
    return subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()


def test_the_build_goes_from_lint_to_images_in_the_registry(estate: Estate, built: Played) -> None:
    assert built.code == 0, built.log
    assert {name for name, result in built.stages.items() if result != "SUCCESS"} == {"Push to ECR"}
    # The tests ran, and their results were published.
    assert built.record["tests"]["tests"] > 20
    assert built.record["tests"]["failures"] == 0
    rooms = [name.rpartition("/")[2] for name in estate.hub.repositories()]
    assert {"nginx", "uploader", "signer", "thumbor", "instance"} <= set(rooms)
    assert built.record["artifacts"] == [f"dist/bills/{room}.cdx.json" for room in rooms]
    for name in estate.hub.repositories():
        assert estate.hub.tags(name) == sorted([estate.commit, "latest"])
    # The images were started, and did their work, before they were pushed.
    assert f"commit     {estate.commit}" in built.log
    assert built.log.index("does its work.") < built.log.index(f"pushing {estate.hub.host}")
    assert built.record["triggered"][0]["parameters"]["COMMIT_ID"] == estate.commit
    assert images() == []


def test_the_commit_is_on_aws_and_does_its_work_there(estate: Estate, delivered: Played, fleet: Fleet) -> None:
    assert delivered.code == 0, delivered.log
    assert set(delivered.stages.values()) == {"SUCCESS"}
    assert estate.stack()["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
    assert estate.deployed() == estate.commit
    assert fleet.started == [estate.commit]
    # The changes were shown before they were made, and the pictures went through the load balancer.
    assert delivered.log.index("add      InstanceGroup") < delivered.log.index("CREATE_COMPLETE")
    outputs = {output["OutputKey"]: output["OutputValue"] for output in estate.stack()["Outputs"]}
    assert f"{outputs['ServiceUrl']} does its work." in delivered.log
    assert f"commit     {estate.commit}" in delivered.log


@pytest.mark.usefixtures("delivered")
def test_a_commit_that_does_not_come_up_is_taken_back(estate: Estate, fleet: Fleet) -> None:
    # Nobody has built it.
    git(estate.source, "commit", "--quiet", "--allow-empty", "--message=Bad")
    bad = git(estate.source, "rev-parse", "HEAD")

    played = estate.play("deploy", {"COMMIT_ID": bad, "STACK_NAME": STACK} | NETWORK)

    assert played.code == 1
    assert played.stages == {
        "Check": "SUCCESS",
        "Checkout": "SUCCESS",
        "Changes": "SUCCESS",
        "Update": "SUCCESS",
        "Smoke": "FAILURE",
    }, played.log
    assert f"{estate.commit} answers, not {bad}." in played.log
    assert f"Going back to {estate.commit}" in played.log
    assert "does its work." in played.log.partition("Going back")[2]
    assert estate.deployed() == estate.commit
    assert estate.stack()["StackStatus"] == "UPDATE_COMPLETE"


@pytest.mark.usefixtures("built")
def test_built_and_pushed_again_nothing_is_new(estate: Estate) -> None:
    git(estate.source, "checkout", "--quiet", "--detach", estate.commit)
    before, stored = estate.manifests(), set(estate.hub.blobs())

    estate.make("build")
    pushed = estate.make("push")
    twice = estate.make("build", "push")

    assert estate.manifests() == before
    assert set(estate.hub.blobs()) == stored
    for told in (pushed, twice):
        assert ": Layer already exists" in told
        assert ": Pushed" not in told
